// Bitmap against the plainest thing that can hold bits, std::vector<bool>, over drawn operations;
// and the word borders by hand.
#include "base/bitmap.h"

#include <array>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace verso {
namespace {

using Oracle = std::vector<bool>;
using Runs = std::vector<std::pair<u64, u64>>;

u64 drawn(u64 below) { return *rc::gen::inRange<u64>(0, below); }

/// The same random operations on both.
void scramble(BitmapView& bitmap, Oracle& oracle) {
    const u64 steps = drawn(24);
    for (u64 step = 0; step < steps; ++step) {
        const u64 first = drawn(oracle.size());
        const u64 count = drawn(oracle.size() - first + 1);
        const u64 kind = drawn(4);
        if (kind == 0) {
            RC_ASSERT(bitmap.set(first) == oracle[first]);
            oracle[first] = true;
        } else if (kind == 1) {
            RC_ASSERT(bitmap.clear(first) == oracle[first]);
            oracle[first] = false;
        } else {
            kind == 2 ? bitmap.set_range(first, count) : bitmap.clear_range(first, count);
            for (u64 bit = first; bit < first + count; ++bit) {
                oracle[bit] = kind == 2;
            }
        }
    }
}

u64 next_in(const Oracle& oracle, u64 from, bool value) {
    while (from < oracle.size() && oracle[from] != value) {
        ++from;
    }
    return from;
}

Runs runs_in(const Oracle& oracle, u64 first, u64 end) {
    Runs runs;
    for (u64 at = next_in(oracle, first, true); at < end;) {
        const u64 stop = std::min(next_in(oracle, at, false), end);
        runs.emplace_back(at, stop - at);
        at = next_in(oracle, stop, true);
    }
    return runs;
}

RC_GTEST_PROP(Bitmap, AgreesWithAVectorOfBool, ()) {
    const u64 bits = *rc::gen::inRange<u64>(1, 300);
    Bitmap bitmap(bits);
    Oracle oracle(bits, false);
    scramble(*bitmap, oracle);
    u64 set = 0;
    for (u64 bit = 0; bit < bits; ++bit) {
        RC_ASSERT(bitmap->test(bit) == oracle[bit]);
        RC_ASSERT(bitmap->next_set(bit) == next_in(oracle, bit, true));
        RC_ASSERT(bitmap->next_clear(bit) == next_in(oracle, bit, false));
        set += oracle[bit] ? 1 : 0;
    }
    RC_ASSERT(bitmap->count() == set);
}

RC_GTEST_PROP(Bitmap, VisitsExactlyTheRunsOfAVectorOfBool, ()) {
    const u64 bits = *rc::gen::inRange<u64>(1, 300);
    Bitmap bitmap(bits);
    Oracle oracle(bits, false);
    scramble(*bitmap, oracle);
    const u64 first = drawn(bits);
    const u64 count = drawn(bits - first + 1);
    Runs visited;
    bitmap->for_each_run(first, count,
                         [&](u64 at, u64 length) { visited.emplace_back(at, length); });
    RC_ASSERT(visited == runs_in(oracle, first, first + count));
}

TEST(Bitmap, StartsClear) {
    const Bitmap bitmap(129);
    EXPECT_EQ(bitmap->count(), 0U);
    EXPECT_EQ(bitmap->next_set(0), 129U);
}

TEST(Bitmap, SearchesPastTheEndFindTheEnd) {
    Bitmap bitmap(70);
    bitmap->set_range(0, 70);
    EXPECT_EQ(bitmap->next_clear(0), 70U);
    EXPECT_EQ(bitmap->next_set(70), 70U);
}

// H23: the clean last page of one stretch must not shift the bits of the next.
TEST(H23_OddSizes, ACleanLastPageLeavesTheNextWordsBitsInPlace) {
    for (const u64 odd : {63, 64, 65, 127, 129}) {
        Bitmap bitmap(odd + 64);
        bitmap->set_range(0, odd - 1);
        bitmap->set(odd);
        EXPECT_FALSE(bitmap->test(odd - 1)) << odd;
        EXPECT_TRUE(bitmap->test(odd)) << odd;
        EXPECT_EQ(bitmap->count(), odd) << odd;
    }
}

TEST(Bitmap, AnEmptyRangeChangesNothing) {
    Bitmap bitmap(64);
    bitmap->set_range(64, 0);
    bitmap->set_range(0, 0);
    EXPECT_EQ(bitmap->count(), 0U);
}

TEST(Bitmap, OneThreadOutOfManySetsABitFirst) {
    Bitmap bitmap(4096);
    std::array<u64, 4> firsts{};
    {
        std::vector<std::jthread> threads;
        for (u64& mine : firsts) {
            threads.emplace_back([&bitmap, &mine] {
                for (u64 bit = 0; bit < bitmap->size(); ++bit) {
                    mine += bitmap->set(bit) ? 0 : 1;
                }
            });
        }
    }
    EXPECT_EQ(firsts[0] + firsts[1] + firsts[2] + firsts[3], bitmap->size());
}

TEST(BitmapDeathTest, ABitOutsideIsABug) {
    const Bitmap bitmap(64);
    EXPECT_DEATH(static_cast<void>(bitmap->test(64)), "bit 64 of 64");
}

TEST(BitmapDeathTest, ARangeOutsideIsABug) {
    Bitmap bitmap(64);
    EXPECT_DEATH(bitmap->set_range(60, 5), "range 60\\+5 of 64");
    EXPECT_DEATH(bitmap->set_range(2, ~u64{0}), "range");
}

}  // namespace
}  // namespace verso
