// A rival that does not do its work would make any engine look slow: each is held to its result.
#include <gtest/gtest.h>

#include "cli/bench/harness/writer.h"
#include "cli/bench/rivals/fork_rival.h"
#include "cli/bench/rivals/machine.h"
#include "cli/bench/rivals/memory.h"
#include "cli/bench/rivals/process.h"
#include "cli/bench/rivals/raw_async.h"
#include "cli/bench/rivals/raw_uffd.h"
#include "support/needs.h"

namespace verso::cli::bench {
namespace {

constexpr u64 small = u64{2} << 20;

class RawHandlerStyles : public testing::TestWithParam<HandlerStyle> {};

TEST_P(RawHandlerStyles, EveryFirstWriteIsServedAndTheOldBytesAreStored) {
    Result<RawRegion> region = RawRegion::create(small, false);
    VERSO_ASSERT_OK_OR_UNSUPPORTED(region);
    ASSERT_TRUE(region->protect_all());
    Result<std::unique_ptr<RawHandler>> handler = RawHandler::start(*region, GetParam());
    ASSERT_TRUE(handler) << handler.error().message;
    std::vector<u64> old(to_pages(small));
    for (u64 page = 0; page < old.size(); ++page) {
        auto* word = reinterpret_cast<u64*>(region->mapping.page(page));
        old[page] = *word;
        std::atomic_ref<u64>(*word).store(~old[page], std::memory_order_relaxed);
    }
    for (u64 page = 0; page < old.size(); ++page) {
        ASSERT_EQ(*reinterpret_cast<u64*>((*handler)->stored_page(page)), old[page]) << page;
        ASSERT_EQ(*reinterpret_cast<u64*>(region->alias.page(page)), ~old[page]) << page;
    }
}
INSTANTIATE_TEST_SUITE_P(All, RawHandlerStyles,
                         testing::Values(HandlerStyle{false, false}, HandlerStyle{false, true},
                                         HandlerStyle{true, false}, HandlerStyle{true, true}));

TEST(RawScan, FindsExactlyTheWrittenPagesAndArmsThemAgain) {
    Result<RawScan> raw = RawScan::create(small, 64);
    VERSO_ASSERT_OK_OR_UNSUPPORTED(raw);
    Result<u64> all = raw->written();
    VERSO_ASSERT_OK_OR_UNSUPPORTED(all);
    EXPECT_EQ(*all, to_pages(small));
    for (const u64 page : {u64{1}, u64{2}, u64{77}}) {
        *raw->region().mapping.page(page) = std::byte{9};
    }
    EXPECT_EQ(raw->written().value(), 3U);
    EXPECT_EQ(raw->written().value(), 0U);
}

TEST(RawScan, ContinuesWhenItsBufferIsFull) {
    Result<RawScan> raw = RawScan::create(small, 4);
    VERSO_ASSERT_OK_OR_UNSUPPORTED(raw);
    const Result<u64> all = raw->written();
    VERSO_ASSERT_OK_OR_UNSUPPORTED(all);
    for (u64 page = 0; page < 200; page += 2)
        *raw->region().mapping.page(page) = std::byte{9};
    EXPECT_EQ(raw->written().value(), 100U);
}

TEST(ForkAndRead, StampsAreInOrder) {
    Result<Mapping> memory = map_anonymous(small);
    ASSERT_TRUE(memory);
    populate(memory->bytes());
    Result<ForkTimes> times = fork_and_read(memory->bytes());
    ASSERT_TRUE(times) << times.error().message;
    EXPECT_GT(times->first_read_ns, 0U);
    EXPECT_GE(times->last_page_ns, times->first_read_ns);
}

TEST(ForkedSleeper, IsReapedWhenItsOwnerGoes) {
    Result<ForkedSleeper> child = ForkedSleeper::start(60'000);
    ASSERT_TRUE(child) << child.error().message;
    EXPECT_GT(child->call_ns(), 0U);
}

TEST(ChildProcess, TellsThatItRuns) {
    Result<ChildProcess> child = ChildProcess::start({"test"});
    ASSERT_TRUE(child) << child.error().message;
    EXPECT_EQ(child->receive().value().what, 'r');
}
TEST(ChildProcess, AnOrderOutOfTurnIsAnErrorAndNotSilence) {
    Result<ChildProcess> child = ChildProcess::start({"test"});
    ASSERT_TRUE(child && child->receive());
    EXPECT_FALSE(child->ask({'s', 0, 0}));  // read every page, of what?
}
TEST(ChildProcess, StartedByHandIsRefused) {
    Result<ChildProcess> child = ChildProcess::start({});
    ASSERT_TRUE(child);
    EXPECT_FALSE(child->receive());
}

TEST(Writer, CountsEveryStoreInThePhaseItHappened) {
    Result<Mapping> memory = map_anonymous(small);
    ASSERT_TRUE(memory);
    Writer writer(memory->bytes(), Habit::random, 1);
    while (writer.done() == 0)
        std::this_thread::yield();
    writer.enter(2);
    for (const u64 seen = writer.done(); writer.done() < seen + 10;)
        std::this_thread::yield();
    writer.stop();
    EXPECT_GT(writer.stores(0).count(), 0U);
    EXPECT_GT(writer.stores(2).count(), 0U);
    // Only the stores at the border can have met phase 1, which was jumped over.
    EXPECT_LE(writer.stores(1).count(), 2U);
}

class WriterHabits : public testing::TestWithParam<Habit> {};
TEST_P(WriterHabits, StaysInsideItsMemory) {
    Result<Mapping> memory = map_anonymous(page_size * 3);
    ASSERT_TRUE(memory);
    Writer writer(memory->bytes(), GetParam(), 1);
    while (writer.done() < 1000)
        std::this_thread::yield();
    writer.stop();
    SUCCEED();
}
INSTANTIATE_TEST_SUITE_P(All, WriterHabits,
                         testing::Values(Habit::random, Habit::sequential, Habit::hot_set));

TEST(Machine, NamesTheKernelAndItsMemory) {
    const Machine machine = describe_machine();
    EXPECT_FALSE(machine.kernel_release.empty());
    EXPECT_GT(machine.cpus, 0U);
    EXPECT_GT(machine.memory_mib, 0U);
}
TEST(Machine, AnUnknownCounterIsZero) { EXPECT_EQ(meminfo_bytes("NoSuchThing"), 0U); }

}  // namespace
}  // namespace verso::cli::bench
