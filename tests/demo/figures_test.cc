// What the figures are made of: histogram, phases, smaps, hash.
#include <sstream>
#include <vector>

#include <gtest/gtest.h>

#include "base/histogram.h"
#include "cli/demo/hash.h"
#include "cli/demo/phases.h"
#include "cli/demo/random.h"
#include "cli/demo/smaps.h"

namespace verso::cli {
namespace {

TEST(Histogram, SmallTimesAndTheMaximumAreExact) {
    Histogram histogram;
    for (u64 ns = 0; ns < 32; ++ns) {
        histogram.add(ns);
    }
    histogram.add(123'456'789);
    EXPECT_EQ(histogram.figures().max_ns, 123'456'789U);
    EXPECT_EQ(histogram.figures().p50_ns, 16U);
    EXPECT_EQ(histogram.figures().count, 33U);
}

TEST(Histogram, AQuantileIsWithinFourPercent) {
    for (u64 value : {100ULL, 1'000ULL, 77'777ULL, 5'000'000ULL, 1ULL << 40}) {
        Histogram histogram;
        for (int sample = 0; sample < 100; ++sample) {
            histogram.add(value);
        }
        histogram.add(value * 3);
        const double ratio =
            static_cast<double>(histogram.figures().p50_ns) / static_cast<double>(value);
        EXPECT_GE(ratio, 1.0) << value;
        EXPECT_LE(ratio, 1.04) << value;
    }
}

TEST(Histogram, TheLargestTimeHasABucket) {
    Histogram histogram;
    histogram.add(~u64{0});
    EXPECT_EQ(histogram.figures().p50_ns, ~u64{0});
}

TEST(Phases, AStallThatBeginsBeforeTheWindowAndEndsInItIsInside) {
    Phases phases;
    const u64 before = now_ns();
    phases.open_window();
    EXPECT_EQ(phases.of(before, now_ns()), Phase::snapshot);
    phases.close_window();
    EXPECT_EQ(phases.of(before, now_ns()), Phase::snapshot);
}

TEST(Phases, AfterTheWindowItIsQuietOrTheChildrenAreAtWork) {
    Phases phases;
    EXPECT_EQ(phases.of(1, 2), Phase::quiet);
    phases.open_window();
    phases.close_window();
    const u64 later = now_ns() + 2 * window_after_ns;
    EXPECT_EQ(phases.of(later, later + 1), Phase::quiet);
    phases.children(true);
    EXPECT_EQ(phases.of(later, later + 1), Phase::children);
}

TEST(Smaps, AddsUpTheMappingsInTheRangeOnly) {
    std::istringstream smaps(
        "1000-3000 rw-p 00000000 00:00 0 \nRss: 8 kB\nPss:           4 kB\nPss_Dirty: 4 kB\n"
        "Shared_Clean: 1 kB\nPrivate_Dirty: 2 kB\nVmFlags: rd wr\n"
        "3000-5000 rw-p 00000000 00:00 0 \nPss:  7 kB\nPrivate_Clean: 5 kB\nPrivate_Dirty: 1 kB\n"
        "9000-a000 rw-p 00000000 00:00 0 [heap]\nPss: 100 kB\nPrivate_Dirty: 100 kB\n");
    const std::span<const std::byte> range(reinterpret_cast<const std::byte*>(0x1000), 0x4000);
    const MemoryFigures figures = smaps_figures(smaps, range);
    EXPECT_EQ(figures.pss, 11U << 10);
    EXPECT_EQ(figures.private_own, 8U << 10);
    EXPECT_EQ(figures.shared, 1U << 10);
}

TEST(Smaps, ReadsThisProcess) {
    const std::vector<std::byte> touched(8 << 20, std::byte{1});
    const MemoryFigures figures = own_memory(touched);
    EXPECT_GE(figures.pss, touched.size() / 2);
    EXPECT_GE(figures.process_pss, figures.pss / 2);
}

TEST(Hash, SlicesGiveTheHashOfTheWhole) {
    std::vector<std::byte> bytes(100'000);
    Random(7).fill(bytes);
    Hasher hasher;
    hasher.add(std::span(bytes).first(12'345));
    hasher.add(std::span(bytes).subspan(12'345));
    EXPECT_EQ(hasher.result(), hash_of(bytes));
    bytes[99'999] ^= std::byte{1};
    EXPECT_NE(hasher.result(), hash_of(bytes));
}

}  // namespace
}  // namespace verso::cli
