// Everything an ordinary user can have: processes that gave up every privilege, on a machine where
// vm.unprivileged_userfaultfd is 0. There userfaultfd serves no fault that the kernel itself takes,
// so the engine must not let the kernel touch pages that are not there yet.
#include <csignal>

#include <gtest/gtest.h>

#include "support/needs.h"
#include "support/peer.h"

namespace verso::test {
namespace {

constexpr u64 seed = 61;
constexpr u64 pages = 1'300;  // chunks of 512, the last one short

class Unprivileged : public testing::Test {
protected:
    void SetUp() override {
        VERSO_NEEDS_USERFAULTFD();
        Peer asked;
        const Answer dropped = asked.ask({.verb = Verb::drop_privilege});
        ASSERT_TRUE(dropped.ok) << dropped.error();
        if (dropped.value == 0) {
            GTEST_SKIP() << "userfaultfd is open to everybody here: vm.unprivileged_userfaultfd is "
                            "1, or /dev/userfaultfd is for all";
        }
    }
    static void expect_yes(Peer& peer, const Order& order) {
        const Answer answer = peer.ask(order);
        ASSERT_TRUE(answer.ok) << answer.error();
    }
    static void expect_all(Peer& peer, u32 region, u64 version) {
        const Answer seen = peer.ask({.verb = Verb::check, .region = region, .version = version});
        EXPECT_EQ(seen.right, pages) << "region " << region << ": " << seen.wrong << " wrong, "
                                     << seen.lost << " lost, first wrong " << seen.value;
    }
    static void expect_moment(Peer& peer, u32 snapshot, u64 version) {
        const Answer seen = peer.ask(
            {.verb = Verb::check_snapshot, .snapshot = snapshot, .seed = seed, .version = version});
        EXPECT_EQ(seen.right, pages) << "snapshot " << snapshot << ": " << seen.wrong << " wrong, "
                                     << seen.lost << " lost " << seen.error();
    }
    /// Region 0 at version 0, snapshot 0 of it.
    static void make_source(Peer& peer) {
        expect_yes(peer, {.verb = Verb::drop_privilege});
        expect_yes(peer, {.verb = Verb::create, .pages = pages, .seed = seed});
        expect_yes(peer, {.verb = Verb::snapshot});
    }
    static void expect_handed_over(Peer& from, u32 snapshot, Peer& to) {
        Answer sent;
        const Answer imported = hand_over(from, snapshot, to, seed, &sent);
        ASSERT_TRUE(imported.ok) << imported.error();
        ASSERT_TRUE(sent.ok) << sent.error();
    }
};

TEST_F(Unprivileged, AForkOfAForkOfAForkKeepsItsMomentWhileAllWrite) {
    Peer peer;
    make_source(peer);
    for (u32 depth = 0; depth < 3; ++depth) {  // regions 1, 2, 3, each forked from the one before
        expect_yes(peer, {.verb = Verb::fork, .snapshot = depth, .seed = seed});
        expect_yes(peer, {.verb = Verb::snapshot, .region = depth + 1});
    }
    for (u32 region = 0; region < 3; ++region) {  // nothing of it was read before
        expect_yes(peer, {.verb = Verb::write, .region = region, .version = region + 1});
    }
    expect_all(peer, 3, 0);
    for (u32 region = 0; region < 3; ++region) {
        expect_all(peer, region, region + 1);
        expect_moment(peer, region, 0);
    }
    expect_yes(peer, {.verb = Verb::rewind, .region = 2, .snapshot = 2});
    expect_all(peer, 2, 0);
    expect_yes(peer, {.verb = Verb::detach, .snapshot = 3});
    expect_yes(peer, {.verb = Verb::write, .region = 3, .version = 9});
    expect_moment(peer, 3, 0);
}

TEST_F(Unprivileged, AChainOfThreeProcessesKeepsTheMomentWhileAllWrite) {
    Peer source;
    Peer child;
    Peer grandchild;
    make_source(source);
    for (Peer* peer : {&child, &grandchild}) {
        expect_yes(*peer, {.verb = Verb::drop_privilege});
    }
    expect_handed_over(source, 0, child);
    expect_yes(source, {.verb = Verb::churn});
    expect_yes(child, {.verb = Verb::snapshot});
    expect_handed_over(child, 0, grandchild);
    expect_yes(child, {.verb = Verb::churn});
    expect_yes(grandchild, {.verb = Verb::snapshot});
    expect_all(grandchild, 0, 0);
    expect_yes(grandchild, {.verb = Verb::write, .version = 5});
    expect_all(grandchild, 0, 5);
    expect_moment(grandchild, 0, 0);
    expect_moment(child, 0, 0);
    expect_moment(source, 0, 0);
}

TEST_F(Unprivileged, TheLastOfThreeReadsOnWhenTheOthersAreKilled) {
    for (const bool middle_first : {true, false}) {
        Peer source;
        Peer middle;
        Peer last;
        make_source(source);
        for (Peer* peer : {&middle, &last}) {
            expect_yes(*peer, {.verb = Verb::drop_privilege});
        }
        expect_handed_over(source, 0, middle);
        expect_yes(middle, {.verb = Verb::snapshot});
        expect_handed_over(middle, 0, last);
        expect_yes(source, {.verb = Verb::churn});
        (middle_first ? middle : source).kill();
        last.tell({.verb = Verb::check});
        (middle_first ? source : middle).kill();
        EXPECT_EQ(last.hear().right, pages) << (middle_first ? "middle first" : "source first");
    }
}

TEST_F(Unprivileged, MemoryIsLentToAnEngineOfTheSameUser) {
    Peer engine;
    Peer lender;
    for (Peer* peer : {&engine, &lender}) {
        expect_yes(*peer, {.verb = Verb::drop_privilege});
    }
    const auto [engine_end, lender_end] = socket_pair();
    lender.tell({.verb = Verb::lend, .pages = pages, .seed = seed}, lender_end.get());
    const Answer attached = engine.ask({.verb = Verb::attach, .seed = seed}, engine_end.get());
    ASSERT_TRUE(attached.ok) << attached.error();
    ASSERT_TRUE(lender.hear().ok);
    expect_yes(engine, {.verb = Verb::snapshot});
    expect_yes(lender, {.verb = Verb::churn_lent});
    expect_moment(engine, 0, 0);
    EXPECT_GT(lender.ask({.verb = Verb::rest}).value, 0U);
    expect_yes(engine, {.verb = Verb::rewind});
    EXPECT_EQ(lender.ask({.verb = Verb::check_lent}).right, pages);
}

}  // namespace
}  // namespace verso::test
