// A page whose old bytes could not be stored is lost to its snapshots. Whoever reads it is told so
// by a signal, on every kernel: never by zeroes, by newer bytes, or by waiting for ever.
//
//   Linux 6.6 and later   UFFDIO_POISON            SIGBUS
//   before                access is taken away     SIGSEGV; a child in another process does it
#include "hazards/hooked.h"
#include "support/peer.h"

namespace verso::test {
namespace {

constexpr u64 seed = 1;
constexpr u64 pages = 64;

class LostPage : public testing::TestWithParam<bool> {
protected:
    void SetUp() override { VERSO_NEEDS_USERFAULTFD(); }
    static bool poison() { return GetParam(); }
    /// A peer with this kernel, or an older one.
    static void expect_yes(Peer& peer, const Order& order) {
        const Answer answer = peer.ask(order);
        ASSERT_TRUE(answer.ok) << answer.error();
    }
    static void prepare(Peer& peer) {
        if (!poison()) {
            expect_yes(peer, {.verb = Verb::lack_poison});
        }
    }
    static void make_source(Peer& peer) {
        expect_yes(peer, {.verb = Verb::lack_poison});  // also brings the kernel that can fail
        expect_yes(peer, {.verb = Verb::create, .pages = pages, .seed = seed});
        expect_yes(peer, {.verb = Verb::snapshot});
    }
    static void expect_handed_over(Peer& from, Peer& to) {
        Answer sent;
        const Answer imported = hand_over(from, 0, to, seed, &sent);
        ASSERT_TRUE(imported.ok) << imported.error();
        ASSERT_TRUE(sent.ok) << sent.error();
    }
    static void lose_page(Hooked& hooked, const Region& source, u64 page) {
        hooked.kernel.fail({.nth = 1,
                            .outcome = {kernel::Verdict::no_memory, ENOSPC, 0, 0},
                            .only = kernel::OpSet{kernel::Op::uffd_copy, kernel::Op::file_write},
                            .times = 1'000'000});
        write_page(source.bytes(), seed, page, 1);
        hooked.kernel.stop_failing();
        EXPECT_NE(source.damage(), "");
    }
    static void expect_one_lost(const Region& region) {
        const Tally seen = tally(region.bytes(), seed, 0);
        EXPECT_EQ(seen.lost, 1U) << seen.wrong << " wrong";
        EXPECT_EQ(seen.right, pages - 1);
    }
    static void expect_all_lost(Peer& peer) {
        const Answer seen = peer.ask({.verb = Verb::check});
        ASSERT_TRUE(seen.ok) << seen.error();
        EXPECT_EQ(seen.lost, pages) << seen.right << " right, " << seen.wrong << " wrong";
    }
};

TEST_P(LostPage, EndsTheReadingOfAViewOfAChildAndOfAGrandchild) {
    const LostIsSegv expected;
    Hooked hooked(host::Mask{.no_poison = !poison()});
    Family family;
    ASSERT_NO_FATAL_FAILURE(family.make(hooked, pages, seed));
    auto& [source, moment, child] = family;
    lose_page(hooked, *source, 7);
    const Result<Snapshot> of_child = child->snapshot();  // it is protected before it reads
    VERSO_ASSERT_OK(of_child);
    const Result<Region> grandchild = of_child->fork();
    VERSO_ASSERT_OK(grandchild);
    expect_one_lost(*child);
    expect_one_lost(*grandchild);
    const Tally viewed = tally(*moment->bytes(), seed, 0);
    EXPECT_EQ(viewed.lost, 1U) << viewed.wrong << " wrong";
}

/// A page is read, and has gone when it is stored to. Found by `verso swarm`, seed 7020861 at
/// commit 8b48240: the child's process ended.
TEST_P(LostPage, ThatGoesWhileItsChildIsRewoundRefusesTheRewindAndNothingHasChanged) {
    Hooked hooked(host::Mask{.no_poison = !poison()});
    Family family;
    ASSERT_NO_FATAL_FAILURE(family.make(hooked, pages, seed));
    auto& [source, moment, child] = family;
    const Result<Snapshot> of_child = child->snapshot();
    VERSO_ASSERT_OK(of_child);
    write_all(child->bytes(), seed, 1);
    hooked.kernel.fail({.outcome = {kernel::Verdict::no_page, EFAULT, 0, 0},
                        .only = kernel::OpSet{kernel::Op::memory_write}});
    const auto rewound = child->rewind(*of_child);
    ASSERT_FALSE(rewound.has_value());
    EXPECT_EQ(rewound.error().kind, ErrorKind::damaged) << rewound.error().message;
    EXPECT_EQ(hooked.kernel.delivered(), 1U);
    EXPECT_TRUE(holds(child->bytes(), seed, 1));
    VERSO_ASSERT_OK(child->rewind(*of_child));
    EXPECT_TRUE(holds(child->bytes(), seed, 0));
}

TEST_P(LostPage, ThatAChildHasReadIsLostToItsOwnSnapshotsToo) {
    const LostIsSegv expected;
    Hooked hooked(host::Mask{.no_poison = !poison()});
    Family family;
    ASSERT_NO_FATAL_FAILURE(family.make(hooked, pages, seed));
    auto& [source, moment, child] = family;
    lose_page(hooked, *source, 7);
    expect_one_lost(*child);
    const Result<Snapshot> of_child = child->snapshot();
    VERSO_ASSERT_OK(of_child);
    const Result<Region> grandchild = of_child->fork();
    VERSO_ASSERT_OK(grandchild);
    expect_one_lost(*grandchild);
}

TEST_P(LostPage, EndsTheReadingOfChildrenInOtherProcesses) {
    Peer source;
    Peer early;  // maps the source's own pages
    Peer late;   // comes when everything is lost already: maps the layer
    make_source(source);
    prepare(early);
    prepare(late);
    expect_handed_over(source, early);
    expect_yes(source, {.verb = Verb::lose});
    expect_all_lost(early);
    expect_handed_over(source, late);
    expect_all_lost(late);
}

TEST_P(LostPage, EndsTheReadingOfAGrandchildWhoseRequestsArePassedOn) {
    Peer source;
    Peer child;
    Peer grandchild;
    make_source(source);
    prepare(child);
    prepare(grandchild);
    expect_handed_over(source, child);
    expect_yes(child, {.verb = Verb::snapshot});
    expect_handed_over(child, grandchild);
    expect_yes(source, {.verb = Verb::lose});
    expect_all_lost(grandchild);
    expect_all_lost(child);
}

TEST_P(LostPage, EndsTheReadingOfAnOrphan) {
    Peer source;
    Peer child;
    make_source(source);
    prepare(child);
    expect_handed_over(source, child);
    expect_yes(source, {.verb = Verb::lose});
    source.kill();
    EXPECT_EQ(source.wait(), SIGKILL);
    expect_all_lost(child);
}

INSTANTIATE_TEST_SUITE_P(H15_NeverASilentHang, LostPage, testing::Bool(), kernel_name);

}  // namespace
}  // namespace verso::test
