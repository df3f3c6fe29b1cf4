// Verdicts: what counts as met, and what never does.
#include "cli/bench/harness/line.h"

#include <gtest/gtest.h>

namespace verso::cli::bench {
namespace {

Line line(Target target, std::vector<double> ours, std::vector<double> rival) {
    Line made;
    made.row = "row";
    made.unit = "ns";
    made.target = target;
    made.ours_samples = std::move(ours);
    made.rival_samples = std::move(rival);
    return made;
}

TEST(Figure, IsTheRatioOfMedians) {
    EXPECT_DOUBLE_EQ(figure_of(line({}, {2, 100, 3}, {2, 2, 2})), 1.5);
}
TEST(Figure, OfASpeedupIsTheRivalsTimeOverOurs) {
    EXPECT_DOUBLE_EQ(figure_of(line({Basis::speedup, Bound::at_least, 100}, {2}, {500})), 250);
}
TEST(Figure, AbsoluteTakesOursAlone) {
    EXPECT_DOUBLE_EQ(figure_of(line({Basis::absolute, Bound::at_most, 2}, {1.5}, {9})), 1.5);
}

TEST(Judge, AFigureOnTheBoundIsMet) {
    EXPECT_EQ(judge(line({Basis::ratio, Bound::at_most, 1.5}, {3}, {2})), Verdict::met);
    EXPECT_EQ(judge(line({Basis::ratio, Bound::at_least, 1.5}, {3}, {2})), Verdict::met);
}
TEST(Judge, BeyondTheBoundIsMissed) {
    EXPECT_EQ(judge(line({Basis::ratio, Bound::at_most, 1.5}, {3.1}, {2})), Verdict::missed);
    EXPECT_EQ(judge(line({Basis::speedup, Bound::at_least, 100}, {2}, {199})), Verdict::missed);
}
TEST(Judge, NoSamplesNeverMeetATarget) {
    EXPECT_EQ(judge(line({Basis::ratio, Bound::at_most, 1.5}, {}, {2})), Verdict::missed);
    EXPECT_EQ(judge(line({Basis::ratio, Bound::at_most, 1.5}, {3}, {})), Verdict::missed);
    EXPECT_EQ(judge(line({Basis::absolute, Bound::at_most, 2}, {}, {})), Verdict::missed);
}
TEST(Judge, WithoutATargetIsReported) { EXPECT_EQ(judge(line({}, {3}, {2})), Verdict::reported); }
TEST(Judge, AFailedLineIsFailedAndNotSkipped) {
    Line failed = line({}, {}, {});
    failed.why_not = "no memory";
    EXPECT_EQ(judge(failed), Verdict::skipped);
    failed.failed = true;
    EXPECT_EQ(judge(failed), Verdict::failed);
}

// H16: "restored" timed before the pages exist.
TEST(H16Judge, AForkWithoutTheTimeOfItsFirstReadIsNeverMet) {
    Line fork = line({Basis::ratio, Bound::at_most, 1.5}, {1}, {1});
    fork.restores = true;
    fork.times.call_ns = {1};
    fork.times.last_page_ns = {9};
    EXPECT_EQ(judge(fork), Verdict::incomplete);
}
TEST(H16Judge, AForkWithoutTheTimeOfItsLastPageIsNeverMet) {
    Line fork = line({Basis::ratio, Bound::at_most, 1.5}, {1}, {1});
    fork.restores = true;
    fork.times.first_read_ns = {2};
    EXPECT_EQ(judge(fork), Verdict::incomplete);
    fork.times.last_page_ns = {9};
    EXPECT_EQ(judge(fork), Verdict::met);
}

TEST(Describe, SaysTheTargetWithItsSign) {
    EXPECT_EQ(describe({Basis::ratio, Bound::at_most, 1.15}, "ns"), "≤ 1.15");
    EXPECT_EQ(describe({Basis::speedup, Bound::at_least, 100}, "ns"), "≥ 100×");
    EXPECT_EQ(describe({Basis::absolute, Bound::at_most, 2}, "ms"), "≤ 2 ms");
    EXPECT_EQ(describe({}, "ns"), "-");
}

}  // namespace
}  // namespace verso::cli::bench
