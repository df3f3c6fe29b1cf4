// Memory that is mapped in a process which the engine did not start: lent over a socket, served
// with every verb.
#include <csignal>
#include <thread>

#include <gtest/gtest.h>

#include "support/contents.h"
#include "support/needs.h"
#include "support/peer.h"

namespace verso::test {
namespace {

constexpr u64 seed = 31;
constexpr u64 pages = 600;

class Lend : public testing::Test {
protected:
    void SetUp() override { VERSO_NEEDS_USERFAULTFD(); }
    /// `target` lends, `engine` attaches as its region 0 and takes snapshot 0.
    static void lend_to(Peer& engine, Peer& target, bool die_with_engine = false) {
        const auto [engine_end, target_end] = socket_pair();
        target.tell({.verb = Verb::lend,
                     .pages = pages,
                     .seed = seed,
                     .version = die_with_engine ? u64{1} : u64{0}},
                    target_end.get());
        const Answer attached = engine.ask({.verb = Verb::attach, .seed = seed}, engine_end.get());
        ASSERT_TRUE(attached.ok) << attached.error();
        const Answer lent = target.hear();
        ASSERT_TRUE(lent.ok) << lent.error();
        yes(engine, {.verb = Verb::snapshot});
    }
    static void yes(Peer& peer, const Order& order) {
        const Answer answer = peer.ask(order);
        ASSERT_TRUE(answer.ok) << answer.error();
    }
    static void expect_moment(Peer& engine, u32 snapshot) {
        const Answer seen =
            engine.ask({.verb = Verb::check_snapshot, .snapshot = snapshot, .seed = seed});
        EXPECT_EQ(seen.right, pages)
            << seen.wrong << " wrong, " << seen.lost << " lost" << seen.error();
    }
};

TEST_F(Lend, SnapshotForkExportAndRewindWorkOnMemoryOfAnotherProcess) {
    Peer engine;
    Peer target;
    Peer elsewhere;
    lend_to(engine, target);
    yes(target, {.verb = Verb::churn_lent});
    expect_moment(engine, 0);
    yes(engine, {.verb = Verb::fork, .seed = seed});  // region 1
    const Answer child = engine.ask({.verb = Verb::check, .region = 1});
    EXPECT_EQ(child.right, pages);
    const Answer imported = hand_over(engine, 0, elsewhere, seed);
    ASSERT_TRUE(imported.ok) << imported.error();
    EXPECT_EQ(elsewhere.ask({.verb = Verb::check}).right, pages);
    EXPECT_GT(target.ask({.verb = Verb::rest}).value, 0U);
    yes(engine, {.verb = Verb::rewind});
    EXPECT_EQ(target.ask({.verb = Verb::check_lent}).right, pages);
}

TEST_F(Lend, WritersGoOnWhenTheEngineIsKilledAndTheyAskedToResume) {
    Peer engine;
    Peer target;
    lend_to(engine, target);
    yes(target, {.verb = Verb::churn_lent});
    std::this_thread::sleep_for(std::chrono::milliseconds(3));
    engine.kill();
    EXPECT_EQ(engine.wait(), SIGKILL);
    const Answer rested = target.ask({.verb = Verb::rest});  // would hang if a writer did
    EXPECT_TRUE(rested.ok) << rested.error();
    yes(target, {.verb = Verb::churn_lent});
    EXPECT_GT(target.ask({.verb = Verb::rest}).value, rested.value);
}

TEST_F(Lend, TheLenderDiesWithTheEngineIfItAskedTo) {
    Peer engine;
    Peer target;
    lend_to(engine, target, true);
    yes(target, {.verb = Verb::churn_lent});
    engine.kill();
    EXPECT_EQ(target.wait(), SIGKILL);
}

TEST_F(Lend, ChildrenWhoseEngineDiedReadOldBytesOrSigbusNeverNewBytes) {
    for (int round = 0; round < 5; ++round) {
        Peer engine;
        Peer target;
        Peer child;
        lend_to(engine, target);
        const Answer imported = hand_over(engine, 0, child, seed);
        ASSERT_TRUE(imported.ok) << imported.error();
        yes(target, {.verb = Verb::churn_lent});
        child.tell({.verb = Verb::check});
        std::this_thread::sleep_for(std::chrono::milliseconds(round));
        engine.kill();
        const Answer seen = child.hear();
        ASSERT_TRUE(seen.ok) << seen.error();
        EXPECT_EQ(seen.wrong, 0U) << "first wrong page " << seen.value;
        EXPECT_EQ(seen.right + seen.lost, pages);
    }
}

TEST_F(Lend, SnapshotsKeepTheirBytesWhenTheLenderIsKilled) {
    Peer engine;
    Peer target;
    lend_to(engine, target);
    yes(target, {.verb = Verb::churn_lent});
    std::this_thread::sleep_for(std::chrono::milliseconds(3));
    target.kill();
    EXPECT_EQ(target.wait(), SIGKILL);
    expect_moment(engine, 0);
}

TEST_F(Lend, ASnapshotShowsNoNewBytesAfterTheLoanHasEnded) {
    Peer engine;
    Peer target;
    lend_to(engine, target);
    yes(target, {.verb = Verb::end_loan});
    yes(target, {.verb = Verb::churn_lent});
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    const Answer seen = engine.ask({.verb = Verb::check_snapshot, .seed = seed});
    EXPECT_EQ(seen.wrong, 0U) << "of " << pages << "; " << seen.lost << " lost " << seen.error();
}

TEST_F(Lend, AfterTheLoanHasEndedTheVerbsThatNeedTheMemoryAreRefused) {
    Peer engine;
    Peer target;
    lend_to(engine, target);
    yes(target, {.verb = Verb::churn_lent});
    yes(target, {.verb = Verb::end_loan});
    for (const Verb verb : {Verb::snapshot, Verb::rewind}) {
        const Answer refused = engine.ask({.verb = verb});
        EXPECT_FALSE(refused.ok);
        EXPECT_NE(refused.error().find("took its memory back"), std::string::npos)
            << refused.error();
    }
    yes(engine, {.verb = Verb::fork, .seed = seed});  // the snapshot itself lacks nothing
    EXPECT_EQ(engine.ask({.verb = Verb::check, .region = 1}).right, pages);
}

TEST_F(Lend, AnEngineThatDoesNotAnswerHoldsTheLenderUpForALimitedTimeAndThenShowsNoNewBytes) {
    Peer engine;
    Peer target;
    lend_to(engine, target);
    ASSERT_EQ(::kill(engine.pid(), SIGSTOP), 0);
    yes(target, {.verb = Verb::end_loan});
    yes(target, {.verb = Verb::churn_lent});
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    ASSERT_EQ(::kill(engine.pid(), SIGCONT), 0);
    while (engine.ask({.verb = Verb::snapshot}).error().find("took its memory back") ==
           std::string::npos) {  // until it has heard of it
    }
    const Answer seen = engine.ask({.verb = Verb::check_snapshot, .seed = seed});
    EXPECT_EQ(seen.wrong, 0U) << "of " << pages << "; " << seen.lost << " lost " << seen.error();
}

TEST_F(Lend, ASnapshotAfterTheLenderDiedIsAnErrorAndNoHang) {
    Peer engine;
    Peer target;
    lend_to(engine, target);
    target.kill();
    EXPECT_EQ(target.wait(), SIGKILL);
    const Answer taken = engine.ask({.verb = Verb::snapshot});
    EXPECT_TRUE(taken.ok || !taken.error().empty());
    expect_moment(engine, 0);
}

}  // namespace
}  // namespace verso::test
