// VERSO_CHECK and Result: what a failed promise and a failed environment look like.
#include <gtest/gtest.h>

#include "base/base.h"

namespace verso {
namespace {

TEST(CheckDeathTest, PrintsConditionPlaceAndValuesThenAborts) {
    const int pages = 3;
    EXPECT_DEATH(VERSO_CHECK(pages == 4, "have {} pages", pages),
                 "check_test.cc:[0-9]+: expected pages == 4: have 3 pages");
}

TEST(Check, LooksAtItsConditionOnce) {
    int looks = 0;
    VERSO_CHECK(++looks > 0, "never");
    EXPECT_EQ(looks, 1);
}

TEST(Check, FormatsNothingWhileTheConditionHolds) {
    bool formatted = false;
    const auto text = [&] {
        formatted = true;
        return 1;
    };
    VERSO_CHECK(!formatted, "{}", text());
    EXPECT_FALSE(formatted);
}

TEST(Result, FailCarriesKindNumberAndSentence) {
    const Result<int> result = fail(ErrorKind::resource, 12, "no room for {} pages", 7);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().kind, ErrorKind::resource);
    EXPECT_EQ(result.error().os_error, 12);
    EXPECT_EQ(result.error().message, "no room for 7 pages");
}

TEST(Result, PassKeepsTheErrorAndPutsWhatWasBeingDoneInFront) {
    Result<int> inner = fail(ErrorKind::peer, 0, "the other side is gone");
    const Result<std::string> outer = pass(inner, "importing a child");
    ASSERT_FALSE(outer);
    EXPECT_EQ(outer.error().kind, ErrorKind::peer);
    EXPECT_EQ(outer.error().message, "importing a child: the other side is gone");
}

TEST(Types, RoundsToUnits) {
    EXPECT_EQ(round_up(0, page_size), 0U);
    EXPECT_EQ(round_up(1, page_size), page_size);
    EXPECT_EQ(round_up(page_size, page_size), page_size);
    EXPECT_EQ(round_down(page_size + 1, page_size), page_size);
    EXPECT_TRUE(is_page_aligned(to_bytes(5)));
    EXPECT_FALSE(is_page_aligned(to_bytes(5) + 8));
    EXPECT_EQ(to_pages(to_bytes(5)), 5U);
}

}  // namespace
}  // namespace verso
