// What gets written: distinct pages in the shape that was asked for.
#include "cli/bench/harness/pattern.h"

#include <algorithm>
#include <set>

#include <gtest/gtest.h>

namespace verso::cli::bench {
namespace {

class PickPages : public testing::TestWithParam<Shape> {};

TEST_P(PickPages, GivesTheCountOfDistinctPagesInsideTheRegion) {
    for (const u64 count : {u64{1}, u64{17}, u64{100}, u64{1000}}) {
        const std::vector<u64> picked = pick_pages(GetParam(), 1000, count, 3);
        EXPECT_EQ(picked.size(), count);
        EXPECT_LT(*std::max_element(picked.begin(), picked.end()), 1000U);
        EXPECT_EQ(std::set<u64>(picked.begin(), picked.end()).size(), count);
    }
}
TEST_P(PickPages, IsTheSameForTheSameSeed) {
    EXPECT_EQ(pick_pages(GetParam(), 4096, 64, 5), pick_pages(GetParam(), 4096, 64, 5));
}
INSTANTIATE_TEST_SUITE_P(Shapes, PickPages,
                         testing::Values(Shape::scattered, Shape::runs_of_16, Shape::one_block));

TEST(PickPagesShape, OneBlockIsContiguous) {
    const std::vector<u64> picked = pick_pages(Shape::one_block, 4096, 40, 5);
    EXPECT_EQ(picked.back() - picked.front(), 39U);
}
TEST(PickPagesShape, RunsAreSixteenLong) {
    const std::vector<u64> picked = pick_pages(Shape::runs_of_16, 4096, 64, 5);
    for (std::size_t i = 0; i < picked.size(); i += 16)
        EXPECT_EQ(picked[i + 15] - picked[i], 15U);
}
TEST(PickPagesShape, ScatteredIsNotInOrder) {
    const std::vector<u64> picked = pick_pages(Shape::scattered, 4096, 64, 5);
    EXPECT_FALSE(std::is_sorted(picked.begin(), picked.end()));
}

TEST(Dice, StaysBelowItsBound) {
    Dice dice(1);
    for (int i = 0; i < 10'000; ++i)
        ASSERT_LT(dice.below(7), 7U);
}

}  // namespace
}  // namespace verso::cli::bench
