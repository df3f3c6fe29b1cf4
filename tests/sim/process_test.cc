// Processes, their descriptors, and what they leave behind.
#include "sim/sim_test.h"

namespace verso::mm::sim {
namespace {

using Processes = Sim;

TEST_F(Processes, AChildHasItsParentsDescriptors) {
    const Fd file = memfd(1);
    const int child = world.fork(0).value();
    EXPECT_TRUE(kernel(child).perform(Call::file_size(file.get())).ok());
    EXPECT_TRUE(kernel(child).perform(Call::close(file.get())).ok());
    EXPECT_EQ(must(Call::file_size(file.get())), page_size);
    EXPECT_EQ(kernel(child).perform(Call::file_size(file.get())).error, EBADF);
}

TEST_F(Processes, AMappingThatIsNotForChildrenIsNotInherited) {
    const Fd file = memfd(1);
    const u64 at = must(Call::map(file.get(), 0, page_size, shared | MapFlag::no_fork));
    store(at, 1);
    const int child = world.fork(0).value();
    EXPECT_EQ(kernel(child).perform(Call::load(at)).verdict, kernel::Verdict::signal);
}

TEST_F(Processes, TheEndOfAProcessIsToldByItsDescriptor) {
    const int child = world.start_process();
    const auto [one, other] = world.socket_pair(0, child);
    const auto self = static_cast<int>(kernel(child).perform(Call::process_self()).value);
    const std::byte byte{};
    ASSERT_TRUE(kernel(child)
                    .perform(Call::socket_send(other), {.in = {&byte, 1}, .fds = {&self, 1}})
                    .ok());
    std::byte got{};
    std::vector<Fd> received;
    must(Call::socket_receive(one), {.out = {&got, 1}, .received = &received});
    ASSERT_EQ(received.size(), 1U);
    kernel::Wait wait{received[0].get()};
    EXPECT_EQ(perform(Call::wait(0), {.waits = {&wait, 1}}).verdict, kernel::Verdict::timed_out);
    world.exit(child);
    must(Call::wait(0), {.waits = {&wait, 1}});
    EXPECT_TRUE(wait.ready);
    EXPECT_EQ(perform(Call::socket_receive(one), {.out = {&got, 1}, .received = &received}).verdict,
              kernel::Verdict::closed);
    must(Call::close(one));
}

/// As unix_shutdown() and unix_dgram_recvmsg() do.
TEST_F(Processes, ASocketThatIsShutDownHangsUpAtBothEndsAndDeliversWhatIsOnTheWay) {
    const int other_process = world.start_process();
    const auto [one, other] = world.socket_pair(0, other_process);
    const std::byte sent{7};
    ASSERT_TRUE(kernel(other_process).perform(Call::socket_send(other), {.in = {&sent, 1}}).ok());
    EXPECT_TRUE(world.has_open_socket());
    ASSERT_TRUE(world.shut_down_socket(5));
    EXPECT_FALSE(world.has_open_socket());
    EXPECT_FALSE(world.shut_down_socket(0));
    kernel::Wait wait{one};
    must(Call::wait(0), {.waits = {&wait, 1}});
    EXPECT_TRUE(wait.hung_up);
    std::byte got{};
    must(Call::socket_receive(one), {.out = {&got, 1}});
    EXPECT_EQ(got, sent);
    EXPECT_EQ(perform(Call::socket_receive(one), {.out = {&got, 1}}).verdict,
              kernel::Verdict::closed);
    EXPECT_EQ(perform(Call::socket_send(one), {.in = {&sent, 1}}).error, EPIPE);
    EXPECT_EQ(kernel(other_process).perform(Call::socket_send(other), {.in = {&sent, 1}}).error,
              EPIPE);
    must(Call::close(one));
}

TEST_F(Processes, NothingIsLeftOfAProcessThatHasEnded) {
    const State before = world.state();
    const int child = world.start_process();
    kernel::Kernel& there = world.process(child);
    const auto fd = static_cast<int>(there.perform(Call::memfd_create()).value);
    ASSERT_TRUE(there.perform(Call::file_resize(fd, to_bytes(2))).ok());
    const auto at = static_cast<u64>(there.perform(Call::map(fd, 0, to_bytes(2), shared)).value);
    const auto uffd = static_cast<int>(there.perform(Call::uffd_open(0)).value);
    ASSERT_TRUE(there.perform(Call::uffd_register(uffd, at, to_bytes(2), 1)).ok());
    ASSERT_TRUE(there.perform(Call::uffd_zeropage(uffd, at, page_size)).ok());
    EXPECT_EQ(world.open_descriptors(child), 2U);
    world.exit(child);
    EXPECT_EQ(world.open_descriptors(child), 0U);
    EXPECT_EQ(world.state().pages, before.pages);
    EXPECT_FALSE(world.state().contexts[0].open);
    EXPECT_EQ(broken_invariant(world.state(), world.rules()), "");
}

TEST_F(Processes, AFileEndsWithItsLastNameOrMapping) {
    u64 at = 0;
    {
        const Fd file = memfd(1);
        at = must(Call::map(file.get(), 0, page_size, shared));
        store(at, 1);
    }
    EXPECT_EQ(world.open_descriptors(0), 0U);
    EXPECT_EQ(load(at), 1U);
    must(Call::unmap(at, page_size));
    for (const Page& page : world.state().pages) {
        EXPECT_EQ(page.use, PageUse::free);
    }
}

TEST_F(Processes, AUserfaultfdWorksInTheProcessThatOpenedIt) {
    const int child = world.start_process();
    const auto [one, other] = world.socket_pair(0, child);
    kernel::Kernel& there = world.process(child);
    const auto at = static_cast<u64>(there.perform(Call::map(-1, 0, page_size, plain)).value);
    const auto uffd = static_cast<int>(there.perform(Call::uffd_open(0)).value);
    ASSERT_TRUE(there.perform(Call::uffd_register(uffd, at, page_size, 1)).ok());
    const std::byte byte{};
    ASSERT_TRUE(
        there.perform(Call::socket_send(other), {.in = {&byte, 1}, .fds = {&uffd, 1}}).ok());
    std::byte got{};
    std::vector<Fd> received;
    must(Call::socket_receive(one), {.out = {&got, 1}, .received = &received});
    std::array<u64, page_size / 8> bytes{77};
    const auto from = reinterpret_cast<u64>(bytes.data());  // NOLINT
    must(Call::uffd_copy(received[0].get(), at, page_size, from, 0));
    EXPECT_EQ(load(at, child), 77U);
    world.exit(child);
    EXPECT_EQ(perform(Call::uffd_copy(received[0].get(), at, page_size, from, 0)).verdict,
              kernel::Verdict::target_gone);
}

/// As found by `verso swarm`: the model's first thread slept in a fault, and was asked to close
/// what another process had closed; the mapping's end then waited for ever for a reader.
TEST_F(Processes, WhatIsClosedEndsAlthoughAnotherThreadSleeps) {
    const int sleepers = world.start_process();
    const int others = world.start_process();
    world.exit(0);
    const int sleeper = world.thread(sleepers).value();
    const auto by_sleeper = [&](const Call& call) {
        world.start(sleeper, call);
        return world.finished(sleeper);
    };
    const auto at = static_cast<u64>(by_sleeper(Call::map(-1, 0, page_size, plain))->value);
    const auto watch = static_cast<int>(by_sleeper(Call::uffd_open(0))->value);
    ASSERT_TRUE(by_sleeper(Call::uffd_register(watch, at, page_size, 1))->ok());
    ASSERT_FALSE(by_sleeper(Call::load(at)));
    ASSERT_EQ(world.model_thread(sleeper), 0);
    kernel::Kernel& there = world.process(others);
    const auto other = static_cast<u64>(there.perform(Call::map(-1, 0, page_size, plain)).value);
    const auto uffd =
        static_cast<int>(there.perform(Call::uffd_open(abi::Feature::event_unmap)).value);
    ASSERT_TRUE(there.perform(Call::uffd_register(uffd, other, page_size, 1)).ok());
    ASSERT_TRUE(there.perform(Call::close(uffd)).ok());
    EXPECT_TRUE(there.perform(Call::unmap(other, page_size)).ok());
}

TEST_F(Processes, MessagesDoNotRunTogether) {
    const int child = world.start_process();
    const auto [one, other] = world.socket_pair(0, child);
    const std::array<std::byte, 2> first{std::byte{1}, std::byte{2}};
    const std::array<std::byte, 1> second{std::byte{3}};
    for (const std::span<const std::byte> message :
         {std::span<const std::byte>(first), std::span<const std::byte>(second)}) {
        ASSERT_TRUE(kernel(child).perform(Call::socket_send(other), {.in = message}).ok());
    }
    std::array<std::byte, 8> got{};
    EXPECT_EQ(must(Call::socket_receive(one), {.out = got}), 2U);
    EXPECT_EQ(got[1], std::byte{2});
    EXPECT_EQ(must(Call::socket_receive(one), {.out = got}), 1U);
    EXPECT_EQ(got[0], std::byte{3});
    must(Call::close(one));
}

TEST_F(Processes, AMessageLargerThanTheRoomIsNotCutInSilence) {
    const int child = world.start_process();
    const auto [one, other] = world.socket_pair(0, child);
    const std::array<std::byte, 2> message{};
    ASSERT_TRUE(kernel(child).perform(Call::socket_send(other), {.in = message}).ok());
    std::array<std::byte, 1> got{};
    EXPECT_EQ(perform(Call::socket_receive(one), {.out = got}).error, EMSGSIZE);
    must(Call::close(one));
}

}  // namespace
}  // namespace verso::mm::sim
