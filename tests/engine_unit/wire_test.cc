// Messages there and back, what is not a message, waiting for one. (Any bytes: fuzz/wire.cc.)
#include <array>

#include <gtest/gtest.h>
#include <sys/socket.h>

#include "engine/wire.h"
#include "kernel/failing_kernel.h"
#include "linux/linux_kernel.h"

namespace verso::engine::wire {
namespace {

Message offer() {
    Message message;
    message.kind = Kind::offer;
    message.pages = 64;
    message.base_file = BaseFile::frozen;
    message.levels = {{3, 0, true, false}, {1, 1023, false, true}};
    return message;
}

class Sockets : public testing::Test {
protected:
    void SetUp() override {
        int pair[2];
        ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
        ours_ = Fd(pair[0]);
        theirs_ = Fd(pair[1]);
    }
    kernel::FailingKernel kernel_{host::linux_kernel()};
    Fd ours_;
    Fd theirs_;
};

TEST(Wire, AMessageComesBackAsItWas) {
    const Result<Message> back = decode(encode(offer()));
    ASSERT_TRUE(back.has_value()) << back.error().message;
    EXPECT_EQ(*back, offer());
}

TEST(Wire, WhatIsSaidOfAMoveComesBackAsItWas) {
    for (const Kind kind : {Kind::move, Kind::moved, Kind::stayed}) {
        Message message;
        message.kind = kind;
        message.page = 1024;
        const Result<Message> back = decode(encode(message));
        ASSERT_TRUE(back.has_value()) << back.error().message;
        EXPECT_EQ(*back, message);
    }
}

TEST(Wire, AKindAfterTheLastIsRefused) {
    Message message;
    message.kind = static_cast<Kind>(static_cast<u32>(kind_last) + 1);
    EXPECT_FALSE(decode(encode(message)).has_value());
}

TEST(Wire, TheLargestMessageFitsAPacket) {
    Message message = offer();
    message.levels.assign(Limits::depth_max, {1, 0, true, true});
    message.text.assign(text_bytes_max, 'x');
    EXPECT_LE(encode(message).size(), message_bytes_max);
}

TEST(Wire, EveryTruncationIsRefused) {
    const std::vector<std::byte> whole = encode(offer());
    for (std::size_t size = 0; size < whole.size(); ++size) {
        EXPECT_FALSE(decode(std::span(whole).first(size)).has_value()) << size;
    }
}

TEST(Wire, MoreThanTheMessageIsRefused) {
    std::vector<std::byte> bytes = encode(offer());
    bytes.push_back(std::byte{0});
    EXPECT_FALSE(decode(bytes).has_value());
}

TEST(Wire, ALayerThatCannotBeIsRefused) {
    Message message = offer();
    message.levels[0].slot = Limits::snapshots_max;
    EXPECT_FALSE(decode(encode(message)).has_value());
}

TEST_F(Sockets, ARefusalArrivesAsItsText) {
    Message refused;
    refused.text = "no room here";
    ASSERT_TRUE(send(kernel_, ours_.get(), refused).ok());
    const Result<Received> got = receive(kernel_, theirs_.get(), Kind::ready, 1000);
    ASSERT_FALSE(got.has_value());
    EXPECT_NE(got.error().message.find("no room here"), std::string::npos);
}

TEST_F(Sockets, SilenceIsReportedAsSilence) {
    const Result<Received> got = receive(kernel_, theirs_.get(), Kind::ready, 1);
    ASSERT_FALSE(got.has_value());
    EXPECT_NE(got.error().message.find("did not answer"), std::string::npos) << got.error().message;
}

TEST_F(Sockets, AMessageOutOfOrderIsRefused) {
    ASSERT_TRUE(send(kernel_, ours_.get(), offer()).ok());
    EXPECT_FALSE(receive(kernel_, theirs_.get(), Kind::ready, 1000).has_value());
}

TEST_F(Sockets, OnlyTheSocketItselfSaysThatItHasHungUp) {
    EXPECT_FALSE(has_hung_up(kernel_, ours_.get()));
    theirs_.reset();
    EXPECT_TRUE(has_hung_up(kernel_, ours_.get()));
}

TEST_F(Sockets, SendingGoesOnUntilItIsSent) {
    kernel_.fail({.outcome = {kernel::Verdict::other, ENOBUFS, 0, 0},
                  .only = kernel::Op::socket_send,
                  .times = 3});
    EXPECT_TRUE(send_or_gone(kernel_, ours_.get(), offer()));
    EXPECT_TRUE(receive_now(kernel_, theirs_.get()).has_value());
}

TEST_F(Sockets, SendingEndsWhenNobodyIsThere) {
    theirs_.reset();
    EXPECT_FALSE(send_or_gone(kernel_, ours_.get(), offer()));
}

TEST_F(Sockets, DescriptorsOfAMessageThatIsRefusedAreClosed) {
    const std::array<int, 1> fds{theirs_.get()};
    const std::array<std::byte, 3> nonsense{};
    ASSERT_TRUE(
        kernel_.perform(kernel::Call::socket_send(ours_.get()), {.in = nonsense, .fds = fds}).ok());
    EXPECT_FALSE(receive_now(kernel_, theirs_.get()).has_value());
    theirs_.reset();
    EXPECT_TRUE(has_hung_up(kernel_, ours_.get())) << "a copy of the other end is still open";
}

}  // namespace
}  // namespace verso::engine::wire
