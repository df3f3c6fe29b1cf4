// Rewinding again and again to one snapshot: what is restored is protected again and forgotten, so
// a rewind touches what was written since the last; and forgetting never loses a page.
#include <gtest/gtest.h>

#include <random>

#include "support/backends.h"
#include "support/contents.h"
#include "support/needs.h"

namespace verso::test {
namespace {

constexpr u64 pages = 3 * 512 + 77;

bool holds(std::span<const std::byte> bytes, u64 seed, u64 version) {
    return tally(bytes, seed, version).right == to_pages(bytes.size());
}

class RewindAgain : public testing::Test {
protected:
    void SetUp() override {
        VERSO_NEEDS_USERFAULTFD();
        region_ = Region::create({.size = to_bytes(pages), .name = "rewound"});
        VERSO_ASSERT_OK(region_);
        write_all(region_->bytes(), 1, 0);
        moment_ = region_->snapshot();
        VERSO_ASSERT_OK(moment_);
    }
    void write(u64 page, u64 version) { write_page(region_->bytes(), 1, page, version); }
    u64 rewind() {
        const Result<RewindReport> report = region_->rewind(*moment_);
        VERSO_EXPECT_OK(report);
        return report ? report->pages_restored : pages;
    }
    Result<Region> region_ = fail(ErrorKind::unsupported, 0, "not made yet");
    Result<Snapshot> moment_ = fail(ErrorKind::unsupported, 0, "not made yet");
};

TEST_F(RewindAgain, OnlyWhatWasWrittenSinceTheLastRewindIsRestored) {
    u64 restored = 0;
    for (u64 round = 0; round < 12; ++round) {
        for (u64 i = 0; i < 3; ++i) {
            write(128 * round + 40 * i, 1);
        }
        restored += rewind();
    }
    // 36, and a few twice where protecting them took too long at first; all of them each time: 234.
    EXPECT_GE(restored, 36U);
    EXPECT_LT(restored, 100U);
    EXPECT_TRUE(holds(region_->bytes(), 1, 0));
}

TEST_F(RewindAgain, APageThatIsWrittenEveryTimeStaysOpenAndIsRestoredEveryTime) {
    for (u64 round = 1; round <= 40; ++round) {
        write(700, round);
        EXPECT_EQ(rewind(), 1U) << "round " << round;
        EXPECT_TRUE(holds(region_->bytes(), 1, 0)) << "round " << round;
    }
    EXPECT_LT(region_->stats().write_faults, 20U);  // not one a round
}

TEST_F(RewindAgain, APageThatIsNoLongerWrittenIsForgottenInTheEnd) {
    for (u64 round = 1; round <= 4; ++round) {
        write(700, round);
        rewind();
    }
    u64 restored = 1;
    for (u64 round = 0; round < 40 && restored > 0; ++round) {
        restored = rewind();
    }
    EXPECT_EQ(restored, 0U);
    write(700, 9);
    EXPECT_EQ(rewind(), 1U);
    EXPECT_TRUE(holds(region_->bytes(), 1, 0));
}

TEST_F(RewindAgain, AnOlderSnapshotStillGetsEverythingBack) {
    write(5, 1);
    write(600, 1);
    const Result<Snapshot> newer = region_->snapshot();
    VERSO_ASSERT_OK(newer);
    write(600, 2);
    write(900, 2);
    for (unsigned round = 0; round < 3; ++round) {
        VERSO_ASSERT_OK(region_->rewind(*newer));
    }
    rewind();
    EXPECT_TRUE(holds(region_->bytes(), 1, 0));
    VERSO_ASSERT_OK(region_->rewind(*newer));
    const Tally seen = tally(region_->bytes(), 1, 0);
    EXPECT_EQ(seen.right, pages - 2);
}

TEST_F(RewindAgain, WhatARewindChangedIsStillReportedAsWritten) {
    const Result<Written> before = region_->written({});
    VERSO_ASSERT_OK(before);
    write(33, 1);
    EXPECT_EQ(rewind(), 1U);
    const Result<Written> since = region_->written(before->mark);
    VERSO_ASSERT_OK(since);
    ASSERT_EQ(since->ranges.size(), 1U);
    EXPECT_EQ(since->ranges[0].first, 33U);
}

TEST_F(RewindAgain, AForkOfTheSnapshotIsRightWhateverWasRewound) {
    std::mt19937_64 dice(20'261'125);
    for (u64 round = 1; round <= 30; ++round) {
        const u64 first = dice() % (pages - 200);
        for (u64 i = 0; i < 20 + dice() % 180; ++i) {
            write(round % 3 == 0 ? first + i : dice() % pages, round);
        }
        if (round % 5 == 0) {
            const Result<Region> child = moment_->fork();
            VERSO_ASSERT_OK(child);
            EXPECT_TRUE(holds(child->bytes(), 1, 0)) << "round " << round;
        }
        rewind();
        ASSERT_TRUE(holds(region_->bytes(), 1, 0)) << "round " << round;
    }
}

}  // namespace
}  // namespace verso::test
