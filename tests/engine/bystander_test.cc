// A process made by fork(2) holds copies of its maker's sockets. They stay open when the maker is
// killed, so nobody may rely on a socket alone to learn of a death.
#include <csignal>

#include <gtest/gtest.h>
#include <unistd.h>

#include "support/contents.h"
#include "support/needs.h"
#include "support/peer.h"

namespace verso::test {
namespace {

constexpr u64 seed = 41;
constexpr u64 pages = 1'500;
constexpr unsigned looks_max = 6'000;  // a minute, if the machine lets us run

/// The sleeping process that a peer made, for the length of a test.
class Bystander {
public:
    explicit Bystander(Peer& maker) {
        const Answer made = maker.ask({.verb = Verb::fork_bystander});
        pid_ = static_cast<pid_t>(made.value);
    }
    ~Bystander() { (void)::kill(pid_, SIGKILL); }
    Bystander(const Bystander&) = delete;
    Bystander& operator=(const Bystander&) = delete;
    bool lives() const { return ::kill(pid_, 0) == 0; }

private:
    pid_t pid_ = -1;
};

void expect_yes(Peer& peer, const Order& order) {
    const Answer answer = peer.ask(order);
    ASSERT_TRUE(answer.ok) << answer.error();
}
void make_source(Peer& peer) {
    expect_yes(peer, {.verb = Verb::create, .pages = pages, .seed = seed});
    expect_yes(peer, {.verb = Verb::snapshot});
}
void expect_handed_over(Peer& from, Peer& to) {
    Answer sent;
    const Answer imported = hand_over(from, 0, to, seed, &sent);
    ASSERT_TRUE(imported.ok) << imported.error();
    ASSERT_TRUE(sent.ok) << sent.error();
}
void expect_all_right_soon(Peer& peer) {
    peer.tell({.verb = Verb::check});
    ASSERT_TRUE(peer.answers_within(looks_max)) << "it waits for somebody who is dead";
    const Answer answer = peer.hear();
    EXPECT_EQ(answer.right, pages) << answer.wrong << " wrong, " << answer.lost << " lost";
}

class ABystander : public testing::Test {
protected:
    void SetUp() override { VERSO_NEEDS_USERFAULTFD(); }
};

TEST_F(ABystander, DoesNotKeepAChildWaitingForItsKilledSource) {
    Peer source;
    Peer child;
    make_source(source);
    expect_handed_over(source, child);
    const Bystander bystander(source);
    expect_yes(source, {.verb = Verb::churn});
    source.kill();
    EXPECT_EQ(source.wait(), SIGKILL);
    expect_all_right_soon(child);
    EXPECT_TRUE(bystander.lives());
}

TEST_F(ABystander, DoesNotKeepAChildWaitingThatAskedWhenItsSourceWasKilled) {
    Peer source;
    Peer child;
    make_source(source);
    expect_handed_over(source, child);
    const Bystander bystander(source);
    ASSERT_EQ(::kill(source.pid(), SIGSTOP), 0);
    child.tell({.verb = Verb::check});
    EXPECT_FALSE(child.answers_within(20));  // it asked, and nobody answered
    source.kill();
    EXPECT_EQ(source.wait(), SIGKILL);
    ASSERT_TRUE(child.answers_within(looks_max)) << "it waits for somebody who is dead";
    EXPECT_EQ(child.hear().right, pages);
}

TEST_F(ABystander, OfTheMiddleOneDoesNotKeepTheLastWaiting) {
    Peer source;
    Peer middle;
    Peer last;
    make_source(source);
    expect_handed_over(source, middle);
    expect_yes(middle, {.verb = Verb::snapshot});
    expect_handed_over(middle, last);
    const Bystander bystander(middle);
    expect_yes(source, {.verb = Verb::churn});
    middle.kill();
    EXPECT_EQ(middle.wait(), SIGKILL);
    expect_all_right_soon(last);
}

TEST_F(ABystander, OfAKilledChildDoesNotKeepTheSourceServing) {
    Peer source;
    Peer child;
    make_source(source);
    expect_handed_over(source, child);
    const Bystander bystander(child);
    child.kill();
    EXPECT_EQ(child.wait(), SIGKILL);
    unsigned looks = 0;
    while (source.ask({.verb = Verb::services}).value != 0 && looks < looks_max) {
        ++looks;
        ::usleep(10'000);
    }
    EXPECT_LT(looks, looks_max) << "the source still serves a child that is dead";
    EXPECT_TRUE(bystander.lives());
}

TEST_F(ABystander, OfAKilledEngineDoesNotKeepTheLendersWritersAsleep) {
    Peer engine;
    Peer lender;
    const auto [engine_end, lender_end] = socket_pair();
    lender.tell({.verb = Verb::lend, .pages = pages, .seed = seed}, lender_end.get());
    const Answer attached = engine.ask({.verb = Verb::attach, .seed = seed}, engine_end.get());
    ASSERT_TRUE(attached.ok) << attached.error();
    ASSERT_TRUE(lender.hear().ok);
    expect_yes(engine, {.verb = Verb::snapshot});
    const Bystander bystander(engine);
    ASSERT_EQ(::kill(engine.pid(), SIGSTOP), 0);
    expect_yes(lender, {.verb = Verb::churn_lent});  // its first write waits for the engine
    ::usleep(50'000);
    engine.kill();
    EXPECT_EQ(engine.wait(), SIGKILL);
    lender.tell({.verb = Verb::rest});
    ASSERT_TRUE(lender.answers_within(looks_max)) << "a writer sleeps for ever";
    EXPECT_GT(lender.hear().value, 0U);
    EXPECT_TRUE(bystander.lives());
}

}  // namespace
}  // namespace verso::test
