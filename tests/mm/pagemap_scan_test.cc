// PAGEMAP_SCAN: section 9.
#include "mm/pagemap_scan.h"
#include "mm/world.h"

namespace verso::mm {
namespace {

using abi::PageIs;
using Flag = abi::PagemapScanFlag;
constexpr u64 everything = PageIs::guard * 2 - 1;

/// An asynchronous tracker over pages 0 to 3.
World tracked(MemoryKind kind, Rules rules = mainline()) {
    World world(rules);
    world.map(kind, 4);
    world.step({.op = Op::clear_refs});
    world.open(Feature::wp_async | Feature::wp_hugetlbfs_shmem);
    EXPECT_EQ(world.register_(0, 4, Mode::wp).verdict, Verdict::done);
    return world;
}

ScanArg over(Vpn first, u32 count) {
    ScanArg arg;
    arg.start = to_bytes(first);
    arg.end = to_bytes(first + count);
    arg.vec_len = 8;
    arg.return_mask = everything;
    return arg;
}
Outcome scan(World& world, const ScanArg& arg) { return world.step(to_call(arg)); }

u64 categories(World& world, Vpn at) {
    EXPECT_EQ(scan(world, over(at, 1)).value, 1);
    return world.scanned.at(0).categories;
}
/// Arms what is written, and says how many regions that were.
i64 arm(World& world, Vpn first = 0, u32 count = 4) {
    ScanArg arg = over(first, count);
    arg.flags = Flag::wp_matching | Flag::check_wp_async;
    arg.category_mask = PageIs::written;
    arg.return_mask = PageIs::written;
    return scan(world, arg).value;
}
bool written(World& world, Vpn at) { return (categories(world, at) & PageIs::written) != 0; }

TEST(PagemapScan, WrongArgumentsAreRefused) {  // SC-4, SC-5, SC-6
    World world = tracked(MemoryKind::A);
    ScanArg arg = over(0, 1);
    arg.flags = 4;
    EXPECT_EQ(scan(world, arg), Outcome::fail(EINVAL));
    arg = over(0, 1);
    arg.category_anyof_mask = everything + 1;
    EXPECT_EQ(scan(world, arg), Outcome::fail(EINVAL));
    arg = over(0, 1);
    arg.start = 1;
    EXPECT_EQ(scan(world, arg), Outcome::fail(EINVAL));
    EXPECT_EQ(scan(world, over(2, 4)), Outcome::fail(EFAULT));
    World old(*preset("6.6"));
    old.map(MemoryKind::A, 2);
    EXPECT_EQ(scan(old, over(0, 1)), Outcome::fail(ENOTTY));
}

TEST(PagemapScan, MappingsThatAreNotAsynchronousAreRefusedOrSkipped) {  // SC-9, SC-11, SC-12, SC-14
    World world;
    world.map(MemoryKind::A, 2);
    world.store(0, 5);
    ScanArg arg = over(0, 2);
    arg.flags = Flag::check_wp_async;
    EXPECT_EQ(scan(world, arg), Outcome::fail(EPERM));
    arg.flags = Flag::wp_matching;
    EXPECT_EQ(scan(world, arg).value, 0);
    arg.flags = 0;
    arg.category_mask = PageIs::wp_allowed;
    EXPECT_EQ(scan(world, arg).value, 0);
    arg.category_inverted = PageIs::wp_allowed;
    EXPECT_EQ(scan(world, arg).value, 2);
}

TEST(PagemapScan, EveryFormOfAnEntryHasItsCategories) {  // SC-16 to SC-22
    World world = tracked(MemoryKind::A);
    EXPECT_EQ(categories(world, 0), PageIs::wp_allowed | PageIs::written);
    world.store(0, 5);
    constexpr u64 stored = PageIs::wp_allowed | PageIs::written | PageIs::soft_dirty;
    EXPECT_EQ(categories(world, 0), stored | PageIs::present);
    world.load(1);
    EXPECT_EQ(categories(world, 1),
              PageIs::wp_allowed | PageIs::written | PageIs::present | PageIs::pfn_zero);
    EXPECT_EQ(categories(world, 2), PageIs::wp_allowed | PageIs::written);
    world.kernel(Op::reclaim, 0);
    EXPECT_EQ(categories(world, 0), stored | PageIs::swapped);
    arm(world, 2, 1);
    EXPECT_EQ(categories(world, 2), PageIs::wp_allowed | PageIs::swapped);
    world.madvise(3, 1, Advice::guard_install);
    EXPECT_EQ(categories(world, 3),
              PageIs::wp_allowed | PageIs::written | PageIs::swapped | PageIs::guard);
}

TEST(PagemapScan, PagesOfAFileSaySo) {  // SC-16
    World world = tracked(MemoryKind::SS);
    world.store(0, 5);
    EXPECT_NE(categories(world, 0) & PageIs::file, 0U);
}

TEST(PagemapScan, AGapOfAnUnprotectedMappingHasNoCategories) {  // SC-23
    World world;
    world.map(MemoryKind::A, 2);
    world.step({.op = Op::clear_refs});
    EXPECT_EQ(categories(world, 0), 0U);
}

TEST(PagemapScan, ANewMappingIsSoftDirty) {  // SC-15
    World world;
    world.map(MemoryKind::A, 2);
    EXPECT_EQ(categories(world, 0), PageIs::soft_dirty);
}

TEST(PagemapScan, HugePagesSaySoForEachSmallOne) {  // SC-24, SC-25, SC-26
    World world = tracked(MemoryKind::HS);
    EXPECT_EQ(categories(world, 1), PageIs::wp_allowed | PageIs::huge | PageIs::written);
    world.store(0, 5);
    EXPECT_NE(categories(world, 1) & PageIs::present, 0U);
    EXPECT_NE(categories(world, 1) & PageIs::huge, 0U);
}

TEST(PagemapScan, NeighboursThatAgreeAreOneRegion) {  // SC-27, SC-29
    World world = tracked(MemoryKind::A);
    world.store(0, 5);
    world.store(1, 6);
    EXPECT_EQ(scan(world, over(0, 4)).value, 2);
    EXPECT_EQ(world.scanned[0].end, to_bytes(2));
}

TEST(PagemapScan, ItStopsWhenThereIsNoRoomOrEnough) {  // SC-28, SC-30
    World world = tracked(MemoryKind::A);
    world.store(0, 5);
    world.store(2, 6);
    ScanArg arg = over(0, 4);
    arg.vec_len = 1;
    Outcome outcome = scan(world, arg);
    EXPECT_EQ(outcome.value, 1);
    EXPECT_EQ(outcome.progress, to_bytes(1));
    arg.vec_len = 0;
    arg.max_pages = 3;
    outcome = scan(world, arg);
    EXPECT_EQ(outcome.value, 0);
    EXPECT_EQ(outcome.progress, to_bytes(3));
}

TEST(PagemapScan, AStoreAfterArmingMakesExactlyItsPageWritten) {  // SC-31, SC-33, SC-39
    for (const MemoryKind kind : {MemoryKind::A, MemoryKind::SS, MemoryKind::SP}) {
        World world = tracked(kind);
        world.store(0, 5);
        EXPECT_EQ(arm(world), 1);
        EXPECT_EQ(arm(world), 0);
        world.store(0, 6);
        world.store(2, 7);
        for (const Vpn at : {0U, 1U, 2U, 3U}) {
            EXPECT_EQ(written(world, at), at % 2 == 0);
        }
        EXPECT_EQ(world.broken(), "");
    }
}

TEST(PagemapScan, EntriesWithoutAPageAreArmedInPlace) {  // SC-32, SC-34
    World world = tracked(MemoryKind::A);
    world.store(0, 5);
    world.store(1, 6);
    world.kernel(Op::reclaim, 0);
    world.kernel(Op::migrate_begin, 1);
    world.madvise(2, 1, Advice::guard_install);
    arm(world);
    EXPECT_TRUE(world.entry(0).uffd_wp);
    EXPECT_TRUE(world.entry(1).uffd_wp);
    EXPECT_EQ(world.entry(2), make_marker(Marker::guard));
    EXPECT_EQ(world.broken(), "");
    world.kernel(Op::migrate_end, 1);
    EXPECT_FALSE(written(world, 1));
    EXPECT_EQ(world.broken(), "");
}

TEST(PagemapScan, BeforeSixNineTheQuickWalkCallsSwappedPagesWritten) {  // FX-10
    for (const bool fixed : {true, false}) {
        Rules rules = mainline();
        rules.scan_reads_swap_u = fixed;
        World world = tracked(MemoryKind::A, rules);
        world.store(0, 5);
        arm(world);
        world.kernel(Op::reclaim, 0);
        ScanArg arg = over(0, 1);
        arg.category_mask = PageIs::written;
        arg.return_mask = PageIs::written;
        EXPECT_EQ(scan(world, arg).value, fixed ? 0 : 1);
    }
}

World huge(MemoryKind kind) {
    World world = tracked(kind);
    for (const Vpn at : {0U, 1U}) {
        world.store(at, 5 + at);
    }
    return world;
}

TEST(PagemapScan, AHugePageIsArmedWhole) {  // SC-35
    World world = huge(MemoryKind::A);
    ASSERT_EQ(world.madvise(0, 2, Advice::collapse).verdict, Verdict::done);
    EXPECT_EQ(arm(world, 0, 2), 1);
    EXPECT_EQ(world.state().spaces[0].pmds[0].kind, PmdKind::leaf);
    EXPECT_TRUE(world.entry(1).uffd_wp);
    EXPECT_FALSE(world.entry(1).write);
}

TEST(PagemapScan, AHugePageThatIsCutIsSplitAndArmedInPart) {  // SC-36
    World world = huge(MemoryKind::A);
    ASSERT_EQ(world.madvise(0, 2, Advice::collapse).verdict, Verdict::done);
    EXPECT_EQ(arm(world, 1, 1), 1);
    EXPECT_FALSE(world.entry(0).uffd_wp);
    EXPECT_TRUE(world.entry(1).uffd_wp);
    EXPECT_EQ(world.broken(), "");
}

TEST(PagemapScan, AHugetlbPageThatIsCutIsNotArmed) {  // SC-37
    World world = huge(MemoryKind::HS);
    ScanArg arg = over(0, 1);
    arg.flags = Flag::wp_matching;
    arg.category_mask = PageIs::written;
    const Outcome outcome = scan(world, arg);
    EXPECT_EQ(outcome.value, 0);
    EXPECT_EQ(outcome.progress, 0U);
    EXPECT_FALSE(world.entry(0).uffd_wp);
    EXPECT_EQ(arm(world), 1);
    EXPECT_TRUE(world.entry(0).uffd_wp);
}

TEST(PagemapScan, AZapOfAnonymousMemoryCountsAsWritten) {  // AS-5, E-ZP1, E-ZP2
    World world = tracked(MemoryKind::A);
    world.store(0, 5);
    arm(world);
    world.madvise(0, 1, Advice::dontneed);
    EXPECT_TRUE(written(world, 0));
    World shared = tracked(MemoryKind::SS);
    shared.store(0, 5);
    arm(shared);
    shared.madvise(0, 1, Advice::dontneed);
    EXPECT_FALSE(written(shared, 0));
}

}  // namespace
}  // namespace verso::mm
