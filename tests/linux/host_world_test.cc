// The running kernel as a World: calls reach real processes and come back, and whatever becomes of
// such a process is told and stays its own affair.
#include <array>
#include <chrono>
#include <csignal>
#include <thread>

#include <gtest/gtest.h>

#include "linux/world_test.h"

namespace verso::host {
namespace {
using kernel::Event;
using kernel::EventKind;

/// Before any test has threads.
const bool keeper_started = Keeper::get().has_value();

class HostWorldTest : public testing::Test {
protected:
    const std::unique_ptr<HostWorld> world = new_world();
    kernel::Kernel& first = world->process(0);
};

TEST_F(HostWorldTest, ACallIsPerformedInTheProcessAndNotHere) {
    constexpr u64 pages = 16'384;  // so many that something else cannot be all over them here
    const u64 at = map_pages(first, pages);
    ASSERT_TRUE(first.perform(Call::store(at, 42)).ok());
    EXPECT_EQ(first.perform(Call::load(at)).value, 42);
    EXPECT_NE(world->pid_of(0), ::getpid());
    EXPECT_TRUE(first.perform(Call::check_mapped(at, to_bytes(pages))).ok());
    EXPECT_EQ(perform(Call::check_mapped(at, to_bytes(pages))).verdict, Verdict::no_memory);
}

TEST_F(HostWorldTest, WhatAPayloadHoldsArrivesBothWays) {
    const std::array<int, 2> numbers = {7, 9};
    std::array<int, 2> back = {};
    const u64 at = map_pages(first, 1);
    ASSERT_TRUE(first
                    .perform(Call::memory_write(at, sizeof numbers),
                             {.in = std::as_bytes(std::span(numbers))})
                    .ok());
    const Outcome read = first.perform(Call::memory_read(at, sizeof back),
                                       {.out = std::as_writable_bytes(std::span(back))});
    EXPECT_EQ(read.value, sizeof back);
    EXPECT_EQ(back, numbers);
}

TEST_F(HostWorldTest, APayloadMayBeLargerThanASocketsBuffer) {
    constexpr u64 pages = 1 << 16;
    const u64 at = map_pages(first, pages);
    ASSERT_TRUE(first.perform(Call::store(at + to_bytes(pages - 1), 1)).ok());
    std::vector<u64> entries(pages);
    const Outcome read = first.perform(Call::pagemap_read(at, to_bytes(pages)),
                                       {.out = std::as_writable_bytes(std::span(entries))});
    EXPECT_EQ(read.value, pages * sizeof(u64));
    EXPECT_EQ(entries[0] >> 63, 0U);
    EXPECT_EQ(entries[pages - 1] >> 63, 1U);
}

TEST_F(HostWorldTest, DescriptorsAreNumbersOfTheProcess) {
    const Outcome made = first.perform(Call::event_create());
    ASSERT_TRUE(made.ok());
    const int fd = static_cast<int>(made.value);
    EXPECT_LT(fd, 10) << "what the machinery has open begins far above";
    std::array<kernel::Wait, 1> waits = {kernel::Wait{.fd = fd}};
    EXPECT_EQ(first.perform(Call::wait(0), {.waits = waits}).verdict, Verdict::timed_out);
    ASSERT_TRUE(first.perform(Call::event_signal(fd)).ok());
    EXPECT_TRUE(first.perform(Call::wait(0), {.waits = waits}).ok());
    EXPECT_TRUE(waits[0].ready);
    EXPECT_TRUE(first.perform(Call::close(fd)).ok());
    EXPECT_FALSE(first.perform(Call::event_signal(fd)).ok());
}

TEST_F(HostWorldTest, ASignalIsAnOutcomeAndTheProcessGoesOn) {
    const u64 at = map_pages(first, 1, MapFlag::read);
    const Outcome stored = first.perform(Call::store(at, 1));
    EXPECT_EQ(stored.verdict, Verdict::signal);
    EXPECT_EQ(stored.value, SIGSEGV);
    EXPECT_EQ(first.perform(Call::load(at)).value, 0);
}

TEST_F(HostWorldTest, ForkCopiesMemoryAndTheCopiesGoSeparateWays) {
    const u64 at = map_pages(first, 1);
    ASSERT_TRUE(first.perform(Call::store(at, 1)).ok());
    const Result<int> child = world->fork(0);
    ASSERT_TRUE(child.has_value()) << child.error().message;
    kernel::Kernel& second = world->process(*child);
    EXPECT_EQ(second.perform(Call::load(at)).value, 1);
    ASSERT_TRUE(second.perform(Call::store(at, 2)).ok());
    EXPECT_EQ(first.perform(Call::load(at)).value, 1);
    EXPECT_EQ(second.perform(Call::load(at)).value, 2);
}

TEST_F(HostWorldTest, AChildOutlivesItsParentAndCanForkInTurn) {
    const u64 at = map_pages(first, 1);
    const Result<int> child = world->fork(0);
    ASSERT_TRUE(child.has_value());
    world->exit(0);
    EXPECT_FALSE(world->alive(0));
    EXPECT_EQ(world->fate(0), "was ended");
    const Result<int> grandchild = world->fork(*child);
    ASSERT_TRUE(grandchild.has_value()) << grandchild.error().message;
    EXPECT_TRUE(world->process(*grandchild).perform(Call::store(at, 3)).ok());
    EXPECT_EQ(first.perform(Call::load(at)).verdict, Verdict::closed);
}

TEST_F(HostWorldTest, AKilledProcessIsToldAndItsWorldIsTheOnlyOneThatSuffers) {
    const std::unique_ptr<HostWorld> other = new_world();
    ::kill(world->pid_of(0), SIGKILL);
    EXPECT_EQ(first.perform(Call::event_create()).verdict, Verdict::closed);
    EXPECT_EQ(first.perform(Call::event_create()).verdict, Verdict::closed) << "and again";
    EXPECT_EQ(world->fate(0), "was killed by signal 9 (Killed)");
    EXPECT_FALSE(world->fork(0).has_value());
    EXPECT_TRUE(other->process(0).perform(Call::event_create()).ok());
}

TEST_F(HostWorldTest, ACrashIsToldWithItsSignal) {
    const u64 at = map_pages(first, 1, MapFlag::read);
    const std::array<std::byte, 1> byte{};
    // memory_write promises that its range is writable, so nothing catches what this raises.
    EXPECT_EQ(first.perform(Call::memory_write(at, 1), {.in = byte}).verdict, Verdict::closed);
    EXPECT_NE(world->fate(0).find("was killed by signal"), std::string::npos) << world->fate(0);
}

TEST(HostWorld, AHangIsToldAndEnded) {
    const std::unique_ptr<HostWorld> world = new_world(100);
    kernel::Kernel& process = world->process(0);
    std::array<kernel::Wait, 1> nothing{};
    nothing[0].fd = static_cast<int>(process.perform(Call::event_create()).value);
    const Outcome hung = process.perform(Call::wait(~u64{0}), {.waits = nothing});
    EXPECT_EQ(hung.verdict, Verdict::timed_out);
    EXPECT_FALSE(world->alive(0));
    EXPECT_NE(world->fate(0).find("did not answer wait"), std::string::npos) << world->fate(0);
}

TEST(HostWorld, WhenAWorldEndsSoDoAllItsProcesses) {
    std::unique_ptr<HostWorld> world = new_world();
    const Result<int> child = world->fork(0);
    ASSERT_TRUE(child.has_value());
    const Result<int> grandchild = world->fork(*child);
    ASSERT_TRUE(grandchild.has_value());
    world->exit(*child);
    const pid_t group = world->pid_of(0);
    world.reset();
    EXPECT_EQ(::kill(-group, 0), -1);
    EXPECT_EQ(errno, ESRCH);
}

TEST(HostWorld, NoDescriptorStaysBehind) {
    static_cast<void>(new_world());
    const int before = lowest_free_fd();
    {
        const std::unique_ptr<HostWorld> world = new_world();
        EXPECT_TRUE(world->fork(0).has_value());
        EXPECT_TRUE(world->thread(0).has_value());
    }
    EXPECT_EQ(lowest_free_fd(), before);
}

class HostWorldThreads : public HostWorldTest {
protected:
    void SetUp() override { VERSO_NEEDS(userfaultfd); }
    /// One page registered for missing faults.
    u64 watched_page() {
        fd = static_cast<int>(first.perform(Call::uffd_open(0)).value);
        const u64 at = map_pages(first, 1);
        const Outcome registered =
            first.perform(Call::uffd_register(fd, at, page_size, RegisterMode::missing));
        EXPECT_TRUE(registered.ok()) << to_string(registered);
        return at;
    }
    int fd = -1;
};

TEST_F(HostWorldThreads, AThreadInAFaultIsSeenAsBlockedUntilAnotherResolvesIt) {
    const u64 at = watched_page();
    const Result<int> thread = world->thread(0);
    ASSERT_TRUE(thread.has_value()) << thread.error().message;
    world->start(*thread, Call::load(at));
    EXPECT_FALSE(world->finished(*thread).has_value());
    std::array<Event, 1> events;
    ASSERT_EQ(first.perform(Call::uffd_read(fd), {.events = events}).value, 1);
    EXPECT_EQ(events[0].kind, EventKind::missing);
    EXPECT_EQ(events[0].address, at);
    EXPECT_FALSE(world->finished(*thread).has_value()) << "reading a message resolves nothing";
    ASSERT_TRUE(first.perform(Call::uffd_zeropage(fd, at, page_size)).ok());
    const std::optional<Outcome> loaded = world->finished(*thread);
    ASSERT_TRUE(loaded.has_value());
    EXPECT_TRUE(loaded->ok());
}

TEST_F(HostWorldThreads, AThreadThatIsBusyIsWaitedFor) {
    const u64 at = map_pages(first, 1 << 14);
    const Result<int> thread = world->thread(0);
    ASSERT_TRUE(thread.has_value());
    world->start(*thread, Call::advise(at, to_bytes(1 << 14), Advice::make_writable));
    const std::optional<Outcome> done = world->finished(*thread);
    ASSERT_TRUE(done.has_value());
    EXPECT_TRUE(done->ok()) << to_string(*done);
}

TEST_F(HostWorldThreads, AWakeWithoutAPageSendsTheThreadBackToSleep) {
    const u64 at = watched_page();
    const Result<int> thread = world->thread(0);
    ASSERT_TRUE(thread.has_value());
    world->start(*thread, Call::store(at, 5));
    EXPECT_FALSE(world->finished(*thread).has_value());
    ASSERT_TRUE(first.perform(Call::uffd_wake(fd, at, page_size)).ok());
    EXPECT_FALSE(world->finished(*thread).has_value());
    ASSERT_TRUE(first.perform(Call::close(fd)).ok());
    EXPECT_TRUE(world->finished(*thread).has_value()) << "nobody is left to wait for";
    EXPECT_EQ(first.perform(Call::load(at)).value, 5);
}

TEST_F(HostWorldThreads, AWorldWithAThreadInAFaultEndsAtOnce) {
    const u64 at = watched_page();
    const Result<int> thread = world->thread(0);
    ASSERT_TRUE(thread.has_value());
    world->start(*thread, Call::load(at));
    EXPECT_FALSE(world->finished(*thread).has_value());
    world->exit(0);
    EXPECT_EQ(world->finished(*thread)->verdict, Verdict::closed);
}

TEST_F(HostWorldThreads, AChildMadeWhileAThreadSleepsHasNoSuchThreadAndGoesOn) {
    const u64 at = watched_page();
    const u64 other = map_pages(first, 1);
    const Result<int> thread = world->thread(0);
    ASSERT_TRUE(thread.has_value());
    world->start(*thread, Call::load(at));
    EXPECT_FALSE(world->finished(*thread).has_value());
    const Result<int> child = world->fork(0);
    ASSERT_TRUE(child.has_value()) << child.error().message;
    EXPECT_TRUE(world->process(*child).perform(Call::store(other, 1)).ok());
    ::kill(world->pid_of(0), SIGKILL);
    EXPECT_EQ(first.perform(Call::load(other)).verdict, Verdict::closed)
        << "the child holds no end of the parent's sockets";
}

TEST_F(HostWorldThreads, AForkThatMustBeReadFirstWaitsForItsReader) {
    const Outcome opened = first.perform(Call::uffd_open(abi::Feature::event_fork));
    if (!opened.ok()) {
        ASSERT_EQ(opened.verdict, Verdict::denied) << to_string(opened);
        GTEST_SKIP() << "EVENT_FORK is for privileged users: " << to_string(opened);
    }
    fd = static_cast<int>(opened.value);
    const u64 at = map_pages(first, 1);
    ASSERT_TRUE(first.perform(Call::uffd_register(fd, at, page_size, RegisterMode::missing)).ok());
    const Result<int> thread = world->thread(0);
    ASSERT_TRUE(thread.has_value());
    ASSERT_TRUE(world->start_fork(*thread).has_value());
    EXPECT_FALSE(world->finished(*thread).has_value());
    std::array<Event, 64> events;  // so many want memory, and the fork holds the locks of malloc
    const Outcome read = first.perform(Call::uffd_read(fd), {.events = events});
    ASSERT_EQ(read.value, 1) << to_string(read) << ", " << world->fate(0);
    EXPECT_EQ(events[0].kind, EventKind::forked);
    const std::optional<Outcome> forked = world->finished(*thread);
    ASSERT_TRUE(forked.has_value());
    ASSERT_TRUE(forked->ok()) << to_string(*forked);
    kernel::Kernel& child = world->process(static_cast<int>(forked->value));
    EXPECT_TRUE(child.perform(Call::event_create()).ok());
    EXPECT_NE(world->pid_of(static_cast<int>(forked->value)), world->pid_of(0));
}

}  // namespace
}  // namespace verso::host
