// Waiting, eventfds, and messages with descriptors.
#include <array>
#include <thread>

#include <sys/socket.h>

#include "linux/linux_test.h"

namespace verso::host {
namespace {

struct Pair {
    explicit Pair(int type = SOCK_SEQPACKET) {
        std::array<int, 2> numbers{-1, -1};
        EXPECT_EQ(::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, numbers.data()), 0);
        left = Fd(numbers[0]);
        right = Fd(numbers[1]);
    }
    Fd left;
    Fd right;
};

using Bytes = std::vector<std::byte>;

TEST(LinuxSocket, AMessageArrivesWithItsDescriptors) {
    const Pair pair;
    const Fd file = new_memfd(3);
    const std::array<int, 2> fds{file.get(), pair.left.get()};
    const Bytes sent(100, std::byte{7});
    EXPECT_EQ(perform(Call::socket_send(pair.left.get()), {.in = sent, .fds = fds}).value, 100);
    Bytes room(200);
    std::vector<Fd> received;
    const Outcome outcome =
        perform(Call::socket_receive(pair.right.get()), {.out = room, .received = &received});
    EXPECT_EQ(outcome.value, 100) << to_string(outcome);
    room.resize(100);
    EXPECT_EQ(room, sent);
    ASSERT_EQ(received.size(), 2U);
    EXPECT_EQ(perform(Call::file_size(received[0].get())).value, 3 * 4096);
    EXPECT_EQ(::fcntl(received[0].get(), F_GETFD), FD_CLOEXEC);
}

TEST(LinuxSocket, TwoHundredAndFiftyDescriptorsFitOneMessage) {
    const Pair pair;
    const std::vector<int> fds(message_fds_max, pair.left.get());
    const Bytes sent(1);
    ASSERT_TRUE(perform(Call::socket_send(pair.left.get()), {.in = sent, .fds = fds}).ok());
    Bytes room(1);
    std::vector<Fd> received;
    ASSERT_TRUE(
        perform(Call::socket_receive(pair.right.get()), {.out = room, .received = &received}).ok());
    EXPECT_EQ(received.size(), message_fds_max);
    const std::vector<int> more(message_fds_max + 1, pair.left.get());
    EXPECT_EQ(perform(Call::socket_send(pair.left.get()), {.in = sent, .fds = more}).verdict,
              Verdict::invalid);
}

TEST(LinuxSocket, ReceivingNeverWaits) {
    const Pair pair;
    Bytes room(8);
    EXPECT_EQ(perform(Call::socket_receive(pair.left.get()), {.out = room}).verdict,
              Verdict::would_block);
}

TEST(LinuxSocket, TheEndOfTheOtherSideIsClosedBothWays) {
    Pair pair;
    pair.right.reset();
    Bytes room(8);
    EXPECT_EQ(perform(Call::socket_receive(pair.left.get()), {.out = room}).verdict,
              Verdict::closed);
    EXPECT_EQ(perform(Call::socket_send(pair.left.get()), {.in = room}).verdict, Verdict::closed)
        << "and no SIGPIPE";
}

TEST(LinuxSocket, AMessageThatDoesNotFitIsRefusedWholeAndItsDescriptorsClosed) {
    const Pair pair;
    const std::array<int, 1> fds{pair.left.get()};
    const Bytes sent(100);
    ASSERT_TRUE(perform(Call::socket_send(pair.left.get()), {.in = sent, .fds = fds}).ok());
    const int before = lowest_free_fd();
    Bytes room(10);
    std::vector<Fd> received;
    EXPECT_EQ(perform(Call::socket_receive(pair.right.get()), {.out = room, .received = &received})
                  .verdict,
              Verdict::invalid);
    EXPECT_TRUE(received.empty());
    EXPECT_EQ(lowest_free_fd(), before);
}

TEST(LinuxSocket, DescriptorsThatNobodyAskedForAreClosed) {
    const Pair pair;
    const std::array<int, 1> fds{pair.left.get()};
    const Bytes sent(1);
    ASSERT_TRUE(perform(Call::socket_send(pair.left.get()), {.in = sent, .fds = fds}).ok());
    const int before = lowest_free_fd();
    Bytes room(1);
    EXPECT_EQ(perform(Call::socket_receive(pair.right.get()), {.out = room}).verdict,
              Verdict::invalid);
    EXPECT_EQ(lowest_free_fd(), before);
}

TEST(LinuxSocket, AStreamTakesAllThatIsSent) {
    const Pair pair(SOCK_STREAM);
    const Bytes sent(4 << 20, std::byte{3});
    u64 total = 0;
    std::jthread receiver([&] {
        Bytes room(1 << 16);
        while (total < sent.size()) {
            std::array<kernel::Wait, 1> waits{kernel::Wait{pair.right.get()}};
            ASSERT_TRUE(perform(Call::wait(~u64{0}), {.waits = waits}).ok());
            const Outcome part = perform(Call::socket_receive(pair.right.get()), {.out = room});
            ASSERT_TRUE(part.ok()) << to_string(part);
            total += static_cast<u64>(part.value);
        }
    });
    EXPECT_EQ(perform(Call::socket_send(pair.left.get()), {.in = sent}).value,
              static_cast<i64>(sent.size()));
    receiver.join();
    EXPECT_EQ(total, sent.size());
}

TEST(LinuxWait, TellsReadyFromQuiet) {
    const Fd quiet(static_cast<int>(perform(Call::event_create()).value));
    const Fd loud(static_cast<int>(perform(Call::event_create()).value));
    ASSERT_TRUE(perform(Call::event_signal(loud.get())).ok());
    std::array<kernel::Wait, 2> waits{kernel::Wait{quiet.get(), true, true},
                                      kernel::Wait{loud.get()}};
    EXPECT_EQ(perform(Call::wait(~u64{0}), {.waits = waits}).value, 1);
    EXPECT_FALSE(waits[0].ready);
    EXPECT_FALSE(waits[0].hung_up);
    EXPECT_TRUE(waits[1].ready);
}

TEST(LinuxWait, RunsOutOfTime) {
    const Fd quiet(static_cast<int>(perform(Call::event_create()).value));
    std::array<kernel::Wait, 1> waits{kernel::Wait{quiet.get()}};
    EXPECT_EQ(perform(Call::wait(0), {.waits = waits}).verdict, Verdict::timed_out);
    EXPECT_EQ(perform(Call::wait(1), {.waits = waits}).verdict, Verdict::timed_out);
}

TEST(LinuxWait, SeesTheOtherSideHangUp) {
    Pair pair;
    pair.right.reset();
    std::array<kernel::Wait, 1> waits{kernel::Wait{pair.left.get()}};
    EXPECT_TRUE(perform(Call::wait(~u64{0}), {.waits = waits}).ok());
    EXPECT_TRUE(waits[0].hung_up);
}

TEST(LinuxEvent, IsQuietAfterOneDrainHoweverOftenItWasSignalled) {
    const Fd event(static_cast<int>(perform(Call::event_create()).value));
    ASSERT_TRUE(perform(Call::event_signal(event.get())).ok());
    ASSERT_TRUE(perform(Call::event_signal(event.get())).ok());
    EXPECT_EQ(perform(Call::event_drain(event.get())).value, 2);
    EXPECT_EQ(perform(Call::event_drain(event.get())).value, 0) << "nothing to drain is no error";
    std::array<kernel::Wait, 1> waits{kernel::Wait{event.get()}};
    EXPECT_EQ(perform(Call::wait(0), {.waits = waits}).verdict, Verdict::timed_out);
}

}  // namespace
}  // namespace verso::host
