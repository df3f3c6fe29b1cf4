// Splitting and collapsing huge pages: section 8.6.
#include "mm/world.h"

namespace verso::mm {
namespace {

constexpr u32 sync = Feature::pagefault_flag_wp | Feature::wp_unpopulated;

/// A World whose pages 0 and 1 are one leaf of kind A with these bytes.
World huge_world(Rules rules = mainline()) {
    World world(rules);
    world.map(MemoryKind::A, 2);
    world.store(0, 5);
    world.store(1, 6);
    EXPECT_EQ(world.madvise(0, 2, Advice::collapse).verdict, Verdict::done);
    EXPECT_EQ(world.state().spaces[0].pmds[0].kind, PmdKind::leaf);
    return world;
}

TEST(Thp, SplittingCopiesEveryBitOfTheLeaf) {  // E-TH1
    World world = huge_world();
    world.open(sync);
    world.register_(0, 2, Mode::wp);
    ASSERT_EQ(world.protect(0, 2).verdict, Verdict::done);
    const Entry leaf = world.state().spaces[0].pmds[0].leaf;
    ASSERT_EQ(world.kernel(Op::thp_split, 1).verdict, Verdict::done);
    for (const Vpn at : {0U, 1U}) {
        Entry expected = leaf;
        expected.target = static_cast<u16>(leaf.target + at);
        EXPECT_EQ(world.entry(at), expected);
    }
    EXPECT_EQ(world.load(1).value, 6);
    EXPECT_EQ(world.broken(), "");
}

TEST(Thp, SplittingAMigratingLeafLeavesMigratingEntries) {  // E-TH2
    World world = huge_world();
    ASSERT_EQ(world.kernel(Op::migrate_begin, 0).verdict, Verdict::done);
    ASSERT_EQ(world.kernel(Op::thp_split, 0).verdict, Verdict::done);
    EXPECT_EQ(world.entry(1).kind, EntryKind::migration);
    EXPECT_EQ(world.broken(), "");
}

TEST(Thp, SplittingTheHugeZeroPageKeepsProtectionSinceSixThree) {  // E-TH3, FX-9
    for (const bool fixed : {true, false}) {
        Rules rules = mainline();
        rules.huge_zero_split_keeps_u = fixed;
        World world(rules);
        world.state().thp_enabled = true;
        world.map(MemoryKind::A, 2);
        world.load(0);
        ASSERT_EQ(world.state().spaces[0].pmds[0].kind, PmdKind::leaf);
        world.open(sync | Feature::sigbus);
        world.register_(0, 2, Mode::wp);
        world.protect(0, 2);
        world.clear(0, 1);
        EXPECT_EQ(world.entry(1).uffd_wp, fixed);
        EXPECT_EQ(world.store(1, 9).verdict, fixed ? Verdict::sigbus : Verdict::done);
    }
}

TEST(Thp, ASplitFileLeafLeavesNothingButItsProtection) {  // E-TH4, E-TH5
    for (const bool armed : {false, true}) {
        World world;
        world.map(MemoryKind::SS, 2);
        world.store(0, 5);
        ASSERT_EQ(world.madvise(0, 2, Advice::collapse).verdict, Verdict::done);
        ASSERT_EQ(world.state().spaces[0].pmds[0].kind, PmdKind::leaf);
        world.open(sync | Feature::wp_hugetlbfs_shmem);
        world.register_(0, 2, Mode::wp);
        if (armed) {
            world.protect(0, 2);
        }
        world.kernel(Op::thp_split, 0);
        EXPECT_EQ(world.entry(0), make_marker(armed ? Marker::uffd_wp : u8{0}));
        EXPECT_EQ(world.load(0).value, 5);
        EXPECT_EQ(world.broken(), "");
    }
}

TEST(Thp, CollapseIsRefusedWhereAnEntryIsProtected) {  // E-TH6
    World world;
    world.map(MemoryKind::A, 2);
    world.store(0, 5);
    world.store(1, 6);
    world.open(sync);
    world.register_(0, 2, Mode::wp);
    world.protect(1, 1);
    const State before = world.state();
    EXPECT_EQ(world.madvise(0, 2, Advice::collapse), Outcome::fail(EINVAL));
    EXPECT_EQ(world.state(), before);
}

TEST(Thp, CollapseIsRefusedWhereAnArmedAddressIsEmpty) {  // E-TH7
    World world;
    world.map(MemoryKind::A, 2);
    world.store(0, 5);
    world.open(sync);
    world.register_(0, 2, Mode::wp);
    EXPECT_EQ(world.madvise(0, 2, Advice::collapse), Outcome::fail(EINVAL));
    world.unregister(0, 2);
    EXPECT_EQ(world.madvise(0, 2, Advice::collapse).verdict, Verdict::done);
}

TEST(Thp, CollapsingCachePagesKeepsAProtectedPageTable) {  // E-TH8
    World world;
    world.map(MemoryKind::SS, 2);
    world.store(0, 5);
    world.store(1, 6);
    world.open(sync | Feature::wp_hugetlbfs_shmem | Feature::sigbus);
    world.register_(0, 2, Mode::wp);
    world.protect(0, 1);
    world.madvise(0, 2, Advice::collapse);
    EXPECT_EQ(world.state().spaces[0].pmds[0].kind, PmdKind::table);
    EXPECT_EQ(world.store(0, 9).verdict, Verdict::sigbus);
    EXPECT_EQ(world.load(1).value, 6);
    EXPECT_EQ(world.broken(), "");
}

TEST(Collapse, OfAFileWithNothingInTheRangeIsRefused) {  // as seen on 6.18
    World world;
    world.map(MemoryKind::SS, 2);
    EXPECT_EQ(world.madvise(0, 2, Advice::collapse).error, EINVAL);
    world.load(1);
    EXPECT_EQ(world.madvise(0, 2, Advice::collapse).verdict, Verdict::done);
}

}  // namespace
}  // namespace verso::mm
