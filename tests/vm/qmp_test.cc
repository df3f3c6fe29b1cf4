// Speaking with QEMU, against a QEMU that says what the test likes.
#include <array>
#include <cerrno>
#include <thread>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sys/socket.h>
#include <unistd.h>

#include "vm/qmp.h"
#include "vm/socket.h"

namespace verso::vm::test {
namespace {

constexpr const char* greeting = R"({"QMP":{"version":{},"capabilities":[]}})"
                                 "\n";
constexpr int short_ms = 200;

/// Says one text at once, and one for each command that it hears.
class FakeQemu {
public:
    FakeQemu(std::string first, std::vector<std::string> answers) {
        std::array<int, 2> ends{-1, -1};
        EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
        ours_ = Fd(ends[0]);
        its_ = Fd(ends[1]);
        thread_ = std::thread([this, first = std::move(first), answers = std::move(answers)] {
            say(first);
            for (const std::string& answer : answers) {
                say(to_ours(answer, text_at(parse_json(hear_line()), "id")));
            }
        });
    }
    ~FakeQemu() {
        ::shutdown(ours_.get(), SHUT_RDWR);
        thread_.join();
    }
    FakeQemu(const FakeQemu&) = delete;
    FakeQemu& operator=(const FakeQemu&) = delete;

    Result<Qmp> connect(int timeout_ms = 10'000) { return Qmp::over(std::move(its_), timeout_ms); }
    void hang_up() { ::shutdown(ours_.get(), SHUT_RDWR); }

private:
    void say(const std::string& text) {
        (void)::send(ours_.get(), text.data(), text.size(), MSG_NOSIGNAL);
    }
    std::string hear_line() {
        std::string line;
        for (char c = 0; ::recv(ours_.get(), &c, 1, 0) == 1 && c != '\n';) {
            line += c;
        }
        return line;
    }
    /// As QEMU does, an answer names the command that it is to.
    static std::string to_ours(std::string answer, const std::string& id) {
        for (const char* begins : {"{\"return\"", "{\"error\""}) {
            const std::size_t at = answer.find(begins);
            if (at != std::string::npos) {
                answer.insert(at + 1, "\"id\":\"" + id + "\",");
            }
        }
        return answer;
    }
    Fd ours_;
    Fd its_;
    std::thread thread_;
};

const std::string yes = "{\"return\":{}}\n";

TEST(Qmp, GreetsAndGivesTheValueThatACommandReturns) {
    FakeQemu qemu(greeting, {yes, "{\"return\":{\"status\":\"running\"}}\n"});
    Result<Qmp> qmp = qemu.connect();
    ASSERT_TRUE(qmp) << qmp.error().message;
    const Result<Json> status = qmp->execute("query-status");
    ASSERT_TRUE(status) << status.error().message;
    EXPECT_EQ(text_at(*status, "status"), "running");
}

TEST(Qmp, EventsBetweenAreCountedAndAreNotTheAnswer) {
    FakeQemu qemu(greeting, {yes, "{\"event\":\"STOP\"}\n{\"event\":\"STOP\"}\n{\"return\":{}}\n"});
    Result<Qmp> qmp = qemu.connect();
    ASSERT_TRUE(qmp);
    ASSERT_TRUE(qmp->execute("stop"));
    EXPECT_EQ(qmp->seen("STOP"), 2U);
    EXPECT_EQ(qmp->seen("RESUME"), 0U);
}

TEST(Qmp, AnEventIsRememberedWithTheMomentThatQemuGaveIt) {
    FakeQemu qemu(greeting,
                  {yes,
                   "{\"event\":\"STOP\",\"timestamp\":{\"seconds\":7,\"microseconds\":5}}\n"
                   "{\"event\":\"STOP\",\"timestamp\":{\"seconds\":8,\"microseconds\":6}}\n"
                   "{\"return\":{}}\n"});
    Result<Qmp> qmp = qemu.connect();
    ASSERT_TRUE(qmp);
    ASSERT_TRUE(qmp->execute("stop"));
    EXPECT_EQ(qmp->last_at_us("STOP"), 8'000'006U);
    EXPECT_EQ(qmp->last_at_us("RESUME"), 0U);
}

TEST(Qmp, AnAnswerToWhoeverWasConnectedBeforeIsNotTakenForOurs) {
    const std::string others = R"({"id":"another","return":{"status":"running"}})"
                               "\n";
    FakeQemu qemu(others + greeting,
                  {others + yes, others + "{\"return\":{\"status\":\"paused\"}}\n"});
    Result<Qmp> qmp = qemu.connect();
    ASSERT_TRUE(qmp) << qmp.error().message;
    const Result<Json> status = qmp->execute("query-status");
    ASSERT_TRUE(status) << status.error().message;
    EXPECT_EQ(text_at(*status, "status"), "paused");
}

TEST(Qmp, ARefusalCarriesQemusSentence) {
    FakeQemu qemu(greeting,
                  {yes, "{\"error\":{\"class\":\"GenericError\",\"desc\":\"no disk\"}}\n"});
    Result<Qmp> qmp = qemu.connect();
    ASSERT_TRUE(qmp);
    const Result<Json> done = qmp->execute("eject");
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().message, "QEMU refuses eject: no disk");
}

TEST(Qmp, WhatIsNotAnObjectIsAnError) {
    for (const char* said : {"nonsense\n", "[1]\n", "\n", "{\"return\":\n", "{}\n", "\xff\xfe\n"}) {
        FakeQemu qemu(greeting, {yes, said});
        Result<Qmp> qmp = qemu.connect();
        ASSERT_TRUE(qmp);
        const Result<Json> done = qmp->execute("stop");
        ASSERT_FALSE(done) << said;
        EXPECT_EQ(done.error().kind, ErrorKind::peer) << said;
    }
}

TEST(Qmp, WhoeverGreetsOtherwiseIsNotQemu) {
    FakeQemu qemu("{\"hello\":1}\n", {});
    EXPECT_FALSE(qemu.connect());
}

TEST(Qmp, AnAnswerThatDoesNotComeIsAnErrorAndNoHang) {
    FakeQemu silent("", {});
    const Result<Qmp> qmp = silent.connect(short_ms);
    ASSERT_FALSE(qmp);
    EXPECT_EQ(qmp.error().os_error, ETIMEDOUT);
    FakeQemu half(greeting, {yes, "{\"return\":"});
    Result<Qmp> other = half.connect();
    ASSERT_TRUE(other);
    EXPECT_FALSE(other->execute("stop", Json(), short_ms));
}

TEST(Qmp, AQemuThatGoesIsAnError) {
    FakeQemu qemu(greeting, {yes});
    Result<Qmp> qmp = qemu.connect();
    ASSERT_TRUE(qmp);
    qemu.hang_up();
    const Result<Json> done = qmp->execute("stop");
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().kind, ErrorKind::peer);
}

TEST(Packets, CarryDescriptorsAndKeepTheirEdges) {
    Result<std::pair<Fd, Fd>> pair = packet_pair();
    ASSERT_TRUE(pair);
    Result<std::pair<Fd, Fd>> other = packet_pair();
    ASSERT_TRUE(other);
    const std::array<int, 1> fds{other->first.get()};
    ASSERT_TRUE(send_packet(pair->first.get(), "one", fds));
    ASSERT_TRUE(send_packet(pair->first.get(), "two"));
    const Result<Packet> one = receive_packet(pair->second.get(), short_ms);
    ASSERT_TRUE(one);
    EXPECT_EQ(one->text, "one");
    ASSERT_EQ(one->fds.size(), 1U);
    ASSERT_TRUE(send_packet(one->fds[0].get(), "through it"));
    EXPECT_EQ(receive_packet(other->second.get(), short_ms)->text, "through it");
    EXPECT_EQ(receive_packet(pair->second.get(), short_ms)->text, "two");
    const Result<Packet> none = receive_packet(pair->second.get(), 1);
    ASSERT_FALSE(none);
    EXPECT_EQ(none.error().os_error, ETIMEDOUT);
}

}  // namespace
}  // namespace verso::vm::test
