// Access faults of watched ranges. What ends a process or changes its handler runs in a fresh one.
#include <atomic>
#include <csignal>
#include <thread>

#include <gtest/gtest.h>

#include "linux/linux_test.h"
#include "verso/verso.hpp"

namespace verso::host {
namespace {

/// Makes the page writable and lets the store repeat.
class Unprotector final : public kernel::FaultSink {
public:
    bool on_access_fault(u64 address, bool write) override {
        ++faults;
        last_address = address;
        last_write = write;
        return answer &&
               perform(Call::protect(round_down(address, page_size), page_size, read_write)).ok();
    }
    std::atomic<int> faults{0};
    std::atomic<u64> last_address{0};
    std::atomic<bool> last_write{false};
    bool answer = true;
};

TEST(SegvWatch, AStoreReachesTheSinkAndRepeats) {
    const Scratch memory(-1, 4, read_write);
    Unprotector sink;
    ASSERT_TRUE(perform(Call::watch_segv(memory.at(0), memory.bytes()), {.sink = &sink}).ok());
    ASSERT_TRUE(perform(Call::protect(memory.at(0), memory.bytes(), MapFlag::read)).ok());
    EXPECT_EQ(memory.byte(2), 0) << "reads pass";
    memory.byte(2) = 5;
    EXPECT_EQ(memory.byte(2), 5);
    EXPECT_EQ(sink.faults, 1);
    EXPECT_EQ(sink.last_address, memory.at(2));
    EXPECT_TRUE(sink.last_write);
    EXPECT_TRUE(perform(Call::unwatch_segv(memory.at(0), memory.bytes())).ok());
}

TEST(SegvWatch, ALoadIsToldFromAStore) {
#if defined(__x86_64__)
    const Scratch memory(-1, 1, read_write);
    Unprotector sink;
    ASSERT_TRUE(perform(Call::watch_segv(memory.at(0), memory.bytes()), {.sink = &sink}).ok());
    ASSERT_TRUE(perform(Call::protect(memory.at(0), memory.bytes(), 0)).ok());
    EXPECT_EQ(memory.byte(0), 0);
    EXPECT_EQ(sink.faults, 1);
    EXPECT_FALSE(sink.last_write);
    EXPECT_TRUE(perform(Call::unwatch_segv(memory.at(0), memory.bytes())).ok());
#else
    GTEST_SKIP() << "only x86-64 says in the signal frame which of the two it was";
#endif
}

TEST(SegvWatch, SeveralRangesHaveSinksOfTheirOwn) {
    const Scratch first(-1, 1, read_write);
    const Scratch second(-1, 1, read_write);
    Unprotector sinks[2];
    ASSERT_TRUE(perform(Call::watch_segv(first.at(0), page_size), {.sink = &sinks[0]}).ok());
    ASSERT_TRUE(perform(Call::watch_segv(second.at(0), page_size), {.sink = &sinks[1]}).ok());
    ASSERT_TRUE(perform(Call::protect(second.at(0), page_size, MapFlag::read)).ok());
    second.byte(0) = 1;
    EXPECT_EQ(sinks[0].faults, 0);
    EXPECT_EQ(sinks[1].faults, 1);
    EXPECT_TRUE(perform(Call::unwatch_segv(first.at(0), page_size)).ok());
    EXPECT_TRUE(perform(Call::unwatch_segv(second.at(0), page_size)).ok());
}

TEST(SegvWatch, WhatIsNotWatchedCannotBeUnwatched) {
    EXPECT_EQ(perform(Call::unwatch_segv(0x1000, page_size)).verdict, Verdict::no_such_range);
}

TEST(SegvWatch, ThereIsRoomForEveryRegionAndAnAnswerForOneMore) {
    constexpr u64 regions = verso::Limits::regions_max;
    Unprotector sink;
    const u64 base = u64{1} << 40;
    u64 watched = 0;
    Outcome outcome = Outcome::done();
    while (outcome.ok() && watched <= regions) {
        outcome = perform(Call::watch_segv(base + to_bytes(watched), page_size), {.sink = &sink});
        watched += outcome.ok() ? 1 : 0;
    }
    EXPECT_EQ(watched, regions);
    EXPECT_EQ(outcome.verdict, Verdict::no_memory);
    for (u64 i = 0; i < watched; ++i) {
        EXPECT_TRUE(perform(Call::unwatch_segv(base + to_bytes(i), page_size)).ok());
    }
}

TEST(SegvWatch, ThreadsThatFaultWhileRangesComeAndGoLoseNothing) {
    const Scratch memory(-1, 2, read_write);
    const Scratch other(-1, 1, read_write);
    Unprotector sink;
    Unprotector passing;
    ASSERT_TRUE(perform(Call::watch_segv(memory.at(0), memory.bytes()), {.sink = &sink}).ok());
    constexpr int rounds = 500;
    std::jthread coming_and_going([&] {
        for (int i = 0; i < rounds; ++i) {
            EXPECT_TRUE(perform(Call::watch_segv(other.at(0), page_size), {.sink = &passing}).ok());
            EXPECT_TRUE(perform(Call::unwatch_segv(other.at(0), page_size)).ok());
        }
    });
    for (int i = 0; i < rounds; ++i) {
        ASSERT_TRUE(perform(Call::protect(memory.at(1), page_size, MapFlag::read)).ok());
        memory.byte(1) = static_cast<unsigned char>(i);
    }
    coming_and_going.join();
    EXPECT_EQ(sink.faults, rounds);
    EXPECT_EQ(passing.faults, 0);
    EXPECT_TRUE(perform(Call::unwatch_segv(memory.at(0), memory.bytes())).ok());
}

class SegvWatchDeathTest : public testing::Test {
protected:
    void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

TEST_F(SegvWatchDeathTest, AForeignFaultEndsTheProcessAsItWouldHave) {
    EXPECT_DEATH(
        {
            Unprotector sink;
            const Scratch memory(-1, 2, MapFlag::read);
            static_cast<void>(perform(Call::watch_segv(memory.at(0), page_size), {.sink = &sink}));
            memory.byte(1) = 1;
        },
        "");
}

TEST_F(SegvWatchDeathTest, AFaultThatTheSinkRefusesEndsTheProcess) {
    EXPECT_DEATH(
        {
            Unprotector sink;
            sink.answer = false;
            const Scratch memory(-1, 1, MapFlag::read);
            static_cast<void>(perform(Call::watch_segv(memory.at(0), page_size), {.sink = &sink}));
            memory.byte(0) = 1;
        },
        "");
}

TEST_F(SegvWatchDeathTest, AForeignFaultGoesToTheHandlerThatWasThereBefore) {
    EXPECT_EXIT(
        {
            ::signal(
                SIGSEGV, +[](int) { ::_exit(42); });
            Unprotector sink;
            const Scratch memory(-1, 2, MapFlag::read);
            static_cast<void>(perform(Call::watch_segv(memory.at(0), page_size), {.sink = &sink}));
            memory.byte(1) = 1;
        },
        testing::ExitedWithCode(42), "");
}

TEST_F(SegvWatchDeathTest, ASegvSentByHandIsNotMistakenForAFault) {
    EXPECT_DEATH(
        {
            Unprotector sink;
            const Scratch memory(-1, 1, read_write);
            static_cast<void>(perform(Call::watch_segv(memory.at(0), page_size), {.sink = &sink}));
            ::raise(SIGSEGV);
        },
        "");
}

}  // namespace
}  // namespace verso::host
