// The page as a real browser draws it: at 1200 pixels, in the colours that carry its meaning, light
// and dark. Not run where there is no browser.
#include <array>
#include <fstream>
#include <set>

#include <fmt/format.h>
#include <png.h>

#include "check/report/html.h"
#include "explain/texts.h"
#include "support/shell.h"

namespace verso::check::report {
namespace {

using Colour = std::array<u8, 3>;
constexpr Colour paper = {0xfd, 0xfc, 0xf9}, dark_paper = {0x17, 0x18, 0x1a};
constexpr Colour changed = {0xff, 0xe6, 0x9a}, is_new = {0xd8, 0xef, 0xd3};
constexpr Colour broken = {0xfb, 0xe3, 0xe0}, dark_changed = {0x5e, 0x4c, 0x0d};

struct Picture {
    u32 width = 0;
    u32 height = 0;
    Colour corner{};
    std::set<Colour> colours;
    std::string fault;
};

Picture read_picture(const std::string& path) {
    Picture picture;
    png_image image{};
    image.version = PNG_IMAGE_VERSION;
    if (png_image_begin_read_from_file(&image, path.c_str()) == 0) {
        picture.fault = static_cast<const char*>(image.message);
        return picture;
    }
    image.format = PNG_FORMAT_RGB;
    std::vector<u8> bytes(PNG_IMAGE_SIZE(image));
    if (png_image_finish_read(&image, nullptr, bytes.data(), 0, nullptr) == 0) {
        picture.fault = static_cast<const char*>(image.message);
        return picture;
    }
    picture.width = image.width;
    picture.height = image.height;
    picture.corner = {bytes[0], bytes[1], bytes[2]};
    for (std::size_t i = 0; i + 2 < bytes.size(); i += 3) {
        picture.colours.insert({bytes[i], bytes[i + 1], bytes[i + 2]});
    }
    return picture;
}

class Screenshot : public testing::Test {
protected:
    void SetUp() override {
        if (test::run("command -v chromium").code != 0) {
            GTEST_SKIP() << "there is no chromium here; scripts/install-packages browser";
        }
    }
    Picture draw(const std::string& html, const std::string& scheme) const {
        const std::string page = folder_.path() + "/page.html";
        const std::string picture = folder_.path() + "/page.png";
        std::ofstream(page) << html;
        const test::Ran ran =
            test::run(fmt::format("'{}/scripts/screenshots' --page '{}' '{}' 1200 {} 2>&1",
                                  VERSO_SOURCE_DIR, page, picture, scheme));
        EXPECT_EQ(ran.code, 0) << ran.output;
        return read_picture(picture);
    }

    test::TemporaryFolder folder_;
};

TEST_F(Screenshot, ShowsWhatChangedWhatIsNewAndWhatBroke) {
    const Picture picture =
        draw(to_html(timeline_of(lost_write, "5.19"), "a lost write", ""), "light");
    ASSERT_EQ(picture.fault, "");
    EXPECT_EQ(picture.width, 1200U);
    EXPECT_EQ(picture.height, 1200U);
    EXPECT_EQ(picture.corner, paper);
    for (const Colour& colour : {changed, is_new, broken}) {
        EXPECT_TRUE(picture.colours.contains(colour))
            << fmt::format("{:02x}{:02x}{:02x}", colour[0], colour[1], colour[2]);
    }
}

TEST_F(Screenshot, IsDarkWhereTheReaderIs) {
    const Picture picture =
        draw(to_html(timeline_of(lost_write, "5.19"), "a lost write", ""), "dark");
    ASSERT_EQ(picture.fault, "");
    EXPECT_EQ(picture.corner, dark_paper);
    EXPECT_TRUE(picture.colours.contains(dark_changed));
    EXPECT_FALSE(picture.colours.contains(changed));
}

TEST_F(Screenshot, AnEmptyPageWouldBeNoticed) {
    const Picture picture = draw("<!DOCTYPE html><html><body></body></html>", "light");
    ASSERT_EQ(picture.fault, "");
    EXPECT_EQ(picture.colours.size(), 1U);
}

}  // namespace
}  // namespace verso::check::report
