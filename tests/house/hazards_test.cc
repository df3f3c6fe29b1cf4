// What others of this trade have met is a hazard with a number, H1 to H33, and a test that carries
// it (H09_RegistrationDroppedSilently), so that whoever meets the same thing finds it.
#include <regex>
#include <set>

#include <gtest/gtest.h>

#include "house/tree.h"

namespace verso::house {
namespace {

constexpr unsigned last_hazard = 33;

/// Those of virtual machines (H10) and of stores on disk (H18, H19), neither of which there are.
const std::set<unsigned> of_what_is_not_there = {10, 18, 19};

std::set<unsigned> tested_in(const std::vector<File>& files) {
    // H9_LostRegistration, H16Judge, H09_…: a number, then a name.
    static const std::regex suite(
        R"re(^TEST(?:_F|_P)?\((?:class )?H0*([0-9]+)(?:_?[A-Z][A-Za-z]+)?,)re");
    std::set<unsigned> numbers;
    for (const File& file : files) {
        for (const std::string& line : file.lines) {
            std::smatch found;
            if (std::regex_search(line, found, suite)) {
                numbers.insert(static_cast<unsigned>(std::stoul(found[1])));
            }
        }
    }
    return numbers;
}

TEST(Hazards, EachHasATestNamedAfterIt) {
    const std::set<unsigned> tested = tested_in(files_below({"tests"}, {".cc"}));
    for (unsigned hazard = 1; hazard <= last_hazard; ++hazard) {
        EXPECT_EQ(tested.contains(hazard), !of_what_is_not_there.contains(hazard))
            << "H" << hazard << (tested.contains(hazard) ? " is tested after all" : " has no test");
    }
}

TEST(Hazards, ATestThatOnlyMentionsOneDoesNotCount) {
    EXPECT_TRUE(
        tested_in({file_of("tests/x.cc", "TEST(Half, H12IsMentioned) {  // H9\n")}).empty());
    EXPECT_EQ(tested_in({file_of("tests/x.cc", "TEST_F(H09_Gone, IsNoticed) {\n")}),
              std::set<unsigned>{9});
}

}  // namespace
}  // namespace verso::house
