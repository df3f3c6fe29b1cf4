// The arithmetic that turns samples into figures.
#include "cli/bench/harness/stats.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace verso::cli::bench {
namespace {

TEST(Quantile, OfNothingIsZero) { EXPECT_EQ(quantile({}, 0.5), 0); }
TEST(Quantile, OfOneSampleIsThatSample) { EXPECT_EQ(quantile({7}, 0.99), 7); }
TEST(Quantile, MedianOfAnEvenCountLiesBetweenTheTwoInTheMiddle) {
    EXPECT_DOUBLE_EQ(median({4, 1, 3, 2}), 2.5);
}
TEST(Quantile, MedianIgnoresTheOrderOfSamples) {
    EXPECT_DOUBLE_EQ(median({5, 1, 9}), median({9, 5, 1}));
}
TEST(Quantile, EndsAreSmallestAndLargest) {
    EXPECT_EQ(quantile({3, 1, 2}, 0), 1);
    EXPECT_EQ(quantile({3, 1, 2}, 1), 3);
}
TEST(Quantile, OneSlowSampleDoesNotMoveTheMedian) {
    EXPECT_DOUBLE_EQ(median({1, 1, 1, 1, 1'000'000}), 1);
}

TEST(Ratio, IsTheQuotient) { EXPECT_DOUBLE_EQ(ratio_of(3, 2), 1.5); }
TEST(Ratio, OverNothingIsZeroAndNotInfinite) { EXPECT_EQ(ratio_of(3, 0), 0); }

TEST(TailOf, ReportsTheVeryLongest) {
    std::vector<double> samples(1000, 10);
    samples[500] = 5000;
    const Tail tail = tail_of(samples);
    EXPECT_EQ(tail.p50, 10);
    EXPECT_EQ(tail.p99, 10);
    EXPECT_EQ(tail.max, 5000);
    EXPECT_EQ(tail.count, 1000U);
}

TEST(Histogram, KnowsItsMaximumExactly) {
    Histogram histogram;
    histogram.add(3);
    histogram.add(1'234'567);
    EXPECT_EQ(histogram.max(), 1'234'567U);
}
TEST(Histogram, OfNothingIsZero) { EXPECT_EQ(Histogram().quantile(0.99), 0U); }
TEST(Histogram, MergingAddsCountsAndKeepsTheLongest) {
    Histogram a;
    Histogram b;
    a.add(10);
    b.add(20);
    a.merge(b);
    EXPECT_EQ(a.count(), 2U);
    EXPECT_EQ(a.max(), 20U);
}
TEST(Histogram, TakesTheLongestTimeThereIs) {
    Histogram histogram;
    histogram.add(~u64{0});
    EXPECT_EQ(histogram.quantile(0.5), histogram.max());
}

RC_GTEST_PROP(Histogram, BucketsAreWithinOneSixteenth, ()) {
    const u64 ns = *rc::gen::inRange<u64>(1, u64{1} << 40);
    const std::size_t bucket = Histogram::bucket_of(ns);
    const u64 edge = Histogram::upper_edge(bucket);
    RC_ASSERT(edge >= ns);
    RC_ASSERT(static_cast<double>(edge) <= static_cast<double>(ns) * 1.0626);
    RC_ASSERT(Histogram::bucket_of(edge) == bucket);
}
RC_GTEST_PROP(Histogram, MedianAgreesWithTheExactOneUpToABucket, ()) {
    const auto values = *rc::gen::nonEmpty(
        rc::gen::container<std::vector<u64>>(rc::gen::inRange<u64>(1, 1'000'000)));
    Histogram histogram;
    std::vector<u64> sorted = values;
    for (const u64 value : values)
        histogram.add(value);
    std::sort(sorted.begin(), sorted.end());
    const u64 exact = sorted[(sorted.size() - 1) / 2];
    RC_ASSERT(histogram.quantile(0.5) >= exact);
    RC_ASSERT(static_cast<double>(histogram.quantile(0.5)) <= static_cast<double>(exact) * 1.0626);
}

}  // namespace
}  // namespace verso::cli::bench
