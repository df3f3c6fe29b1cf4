// When a guest answers: by a socket that plays its console, and by a guest.
#include "vm/answer.h"

#include <thread>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sys/socket.h>

#include "vm/guest.h"
#include "vm/socket.h"

namespace verso::vm::test {
namespace {

/// A console socket and what stands behind it.
class Console : public testing::Test {
protected:
    void SetUp() override {
        const std::string path = folder_.path() + "/console.sock";
        const Result<Fd> listening = listen_at(path, SocketKind::stream);
        ASSERT_TRUE(listening);
        Result<ConsoleTalk> opened = ConsoleTalk::open(path, 1'000);
        ASSERT_TRUE(opened);
        talk_.emplace(std::move(*opened));
        guest_ = Fd(::accept(listening->get(), nullptr, nullptr));
        ASSERT_TRUE(guest_.valid());
    }
    void print(std::string_view text) const {
        ASSERT_EQ(::send(guest_.get(), text.data(), text.size(), 0),
                  static_cast<ssize_t>(text.size()));
    }
    std::string typed() const {
        char text[64] = {};
        const ssize_t got = ::recv(guest_.get(), text, sizeof text, 0);
        return {text, static_cast<std::size_t>(got < 0 ? 0 : got)};
    }

    verso::test::TemporaryFolder folder_;
    std::optional<ConsoleTalk> talk_;
    Fd guest_;
};

TEST_F(Console, AnAnswerThatComesInPiecesIsAnAnswer) {
    std::thread guest([this] {
        EXPECT_EQ(typed(), "who\n");
        for (const char* piece : {"tick 1\r\nwo", "r", "d first\r\n"}) {
            print(piece);
            pause_ms(20);
        }
    });
    const Result<void> answered = talk_->ask({true, "who", "word f", 10'000});
    guest.join();
    EXPECT_TRUE(answered) << answered.error().message;
}

TEST_F(Console, WhatWasPrintedBeforeTheQuestionIsNoAnswer) {
    print("word first\r\n");
    pause_ms(20);
    const Result<void> answered = talk_->ask({true, "who", "word", 100});
    ASSERT_FALSE(answered);
    EXPECT_EQ(answered.error().os_error, ETIMEDOUT);
    EXPECT_EQ(typed(), "who\n");
}

TEST_F(Console, WithoutATextAnythingPrintedIsTheAnswer) {
    std::thread guest([this] {
        EXPECT_EQ(typed(), "\n");
        print("#");
    });
    const Result<void> answered = talk_->ask({true, "", "", 10'000});
    guest.join();
    EXPECT_TRUE(answered) << answered.error().message;
}

TEST_F(Console, AGuestThatEndsDoesNotAnswer) {
    guest_.reset();
    const Result<void> answered = talk_->ask({false, "", "word", 10'000});
    ASSERT_FALSE(answered);
    EXPECT_NE(answered.error().message.find("gone"), std::string::npos);
}

TEST(Question, IsRefusedWhereNobodyCouldTellTheAnswer) {
    EXPECT_FALSE(check_question({true, "echo word", "word"}));  // the echo has it
    EXPECT_FALSE(check_question({true, "a\nb", ""}));
    EXPECT_FALSE(check_question({false, "", ""}));
    EXPECT_TRUE(check_question({true, "", ""}));
    EXPECT_TRUE(check_question({true, "get", "word"}));
    EXPECT_TRUE(check_question({false, "", "tick"}));
}

TEST_F(Guests, EachChildSaysWhenItAnswered) {
    boot("one");
    const Json forked =
        parse_json(vm_yes("fork one two --count 2 --ask get --answer 'word first' --json"));
    ASSERT_EQ(part_at(forked, "children").size(), 2U);
    for (const Json& child : part_at(forked, "children")) {
        ASSERT_TRUE(part_at(child, "answered_after_ms").is_number()) << to_line(forked);
        EXPECT_GE(part_at(child, "answered_after_ms").get<double>(),
                  part_at(child, "running_after_ms").get<double>());
    }
    vm_no("fork one three --ask get --answer e", "echo");
    EXPECT_NE(vm_yes("fork one three --answer 'tick '").find("and answered after"),
              std::string::npos);
}

}  // namespace
}  // namespace verso::vm::test
