// Section 8.1 (mprotect) and the hint scan of 8.5, entry by entry. Entries that only other
// mechanisms make are put there by hand.
#include <cerrno>

#include "mm/world.h"

namespace verso::mm {
namespace {

constexpr u32 rw = MapFlags::read | MapFlags::write;

void put(World& world, Vpn at, const Entry& entry) {
    Machine machine = world.machine();
    set_pte(machine, 0, at, entry);
}

/// Two pages of a kind, registered for WP, the first one stored to.
World armed(MemoryKind kind, Rules rules = mainline()) {
    World world(rules);
    world.map(kind, 2);
    world.store(0, 1);
    world.open(Feature::wp_unpopulated);
    EXPECT_EQ(world.register_(0, 2, Mode::wp).verdict, Verdict::done);
    return world;
}

/// The page of `at`, under migration.
Entry migration_of(World& world, Vpn at, MigrationKind kind) {
    const Entry entry = world.entry(at);
    Entry waiting = make_migration(kind, entry.target);
    waiting.dirty = entry.dirty;
    waiting.young = entry.young;
    waiting.soft_dirty = entry.soft_dirty;
    return waiting;
}

void change(World& world, Vpn at, u8 flags) {
    Machine machine = world.machine();
    const Vma vma = world.vma(at);
    change_protection(machine, 0, vma, at, at + 1, flags);
}

TEST(Mprotect, KeepsProtectionAndSoftDirty) {  // E-MP1, E-MP2, E-MP6
    for (const MemoryKind kind : {MemoryKind::A, MemoryKind::SS, MemoryKind::SP}) {
        World world = armed(kind);
        world.protect(0, 1);
        const Entry before = world.entry(0);
        world.mprotect(0, 2, 0);
        EXPECT_TRUE(world.entry(0).protnone);
        EXPECT_TRUE(world.entry(0).uffd_wp);
        EXPECT_TRUE(world.entry(0).soft_dirty);
        world.mprotect(0, 2, MapFlags::read);
        world.mprotect(0, 2, rw);
        EXPECT_EQ(world.entry(0), before) << static_cast<int>(kind);
    }
}

TEST(Mprotect, MakesWritableAgainWhatBelongsToNobodyElse) {  // E-MP2, VP17
    for (const MemoryKind kind : {MemoryKind::A, MemoryKind::SP}) {
        World world(mainline());
        world.map(kind, 2);
        world.store(0, 1);
        world.load(1);
        world.mprotect(0, 2, MapFlags::read);
        EXPECT_FALSE(world.entry(0).write);
        world.mprotect(0, 2, rw);
        EXPECT_TRUE(world.entry(0).write);
        EXPECT_FALSE(world.entry(1).write) << "zeroes, or the file's page";
    }
}

/// populate_vma_page_range(), where the process' own pages are to be locked.
TEST(Mprotect, BringsInLockedPrivateMemoryThatBecomesWritable) {
    for (const bool locked : {true, false}) {
        World world(mainline());
        world.map(MemoryKind::SP, 2);
        world.mprotect(0, 2, MapFlags::read);
        world.state().find_vma(0, 0)->flags |= locked ? VmFlag::locked : 0U;
        world.mprotect(0, 2, rw);
        EXPECT_EQ(world.entry(1).present(), locked);
        EXPECT_EQ(world.entry(1).write, locked);
    }
}

TEST(Mprotect, BringsInWithoutWaitingForAReader) {
    World world(mainline());
    world.map(MemoryKind::A, 2);
    world.open(Feature::pagefault_flag_wp);
    world.register_(1, 1, Mode::missing);
    world.mprotect(0, 2, MapFlags::read);
    for (const Vpn at : {0U, 1U}) {
        world.state().find_vma(0, at)->flags |= VmFlag::locked;
    }
    EXPECT_EQ(world.mprotect(0, 2, rw).verdict, Verdict::done);
    EXPECT_TRUE(world.entry(0).present());
    EXPECT_TRUE(world.entry(1).none());
    EXPECT_EQ(world.state().threads[0].waiting, Waiting::no);
}

TEST(Mprotect, BringsWriteBackUnderProtectionWithoutEitherDesign) {  // 14.1, third row; S0-06
    for (const bool by_hand : {false, true}) {
        Rules rules = with_designs(mainline(), false, false);
        rules.wp_site_removal = by_hand ? WpSite::mprotect : u8{0};
        World world = armed(MemoryKind::SS, rules);
        world.protect(0, 1);
        world.mprotect(0, 2, MapFlags::read);
        world.mprotect(0, 2, rw);
        EXPECT_TRUE(world.entry(0).uffd_wp);
        EXPECT_EQ(world.entry(0).write, !by_hand) << "I1";
    }
}

TEST(Mprotect, DoesNotLetAStorePastSoftDirtyTracking) {  // FX-13, O9, E-SD8
    for (const bool fixed : {true, false}) {
        Rules rules;
        rules.can_change_softdirty_test = fixed;
        World world(rules);
        world.map(MemoryKind::SS, 2);
        world.store(0, 1);
        world.step({.op = Op::clear_refs});
        world.mprotect(0, 2, MapFlags::read);
        world.mprotect(0, 2, rw);
        EXPECT_EQ(world.store(0, 2).verdict, Verdict::done);
        EXPECT_EQ(world.entry(0).soft_dirty, fixed);
    }
}

TEST(Mprotect, TurnsAWritableMigrationEntryIntoItsReadForm) {  // E-MP3, W-16
    for (const MemoryKind kind : {MemoryKind::A, MemoryKind::SS}) {
        World world;
        world.map(kind, 2);
        world.store(0, 1);
        Entry expected = migration_of(world, 0, MigrationKind::write);
        put(world, 0, expected);
        world.mprotect(0, 2, MapFlags::read);
        expected.migration =
            kind == MemoryKind::A ? MigrationKind::read_exclusive : MigrationKind::read;
        EXPECT_EQ(world.entry(0), expected);
    }
}

TEST(Mprotect, LeavesSwapEntriesAndMarkersAlone) {  // E-MP4
    World world = armed(MemoryKind::A);
    for (const Entry& entry : {make_swap(0), make_marker(Marker::uffd_wp),
                               make_marker(Marker::poisoned), make_marker(Marker::guard)}) {
        put(world, 1, entry);
        world.mprotect(0, 2, MapFlags::read);
        world.mprotect(0, 2, rw);
        EXPECT_EQ(world.entry(1), entry);
    }
}

TEST(Mprotect, SplitsAHugePageThatItCoversInPart) {  // E-MP5
    World world;
    world.state().thp_enabled = true;
    world.map(MemoryKind::A, 2);
    world.store(0, 1);
    world.mprotect(1, 1, MapFlags::read);
    EXPECT_EQ(pmd_of(world.state(), 0, 0).kind, PmdKind::table);
    EXPECT_TRUE(world.entry(0).write);
    EXPECT_FALSE(world.entry(1).write);
}

TEST(Mprotect, AStoreToReadOnlyMemoryIsNoMessage) {  // E-MP7, FO-1
    World world = armed(MemoryKind::A);
    world.protect(0, 1);
    world.mprotect(0, 2, MapFlags::read);
    EXPECT_EQ(world.store(0, 2).verdict, Verdict::sigsegv);
    EXPECT_TRUE(world.state().contexts[0].faults.empty());
}

TEST(Mprotect, StopsAtAHoleAndKeepsWhatItDid) {
    World world(mainline());
    world.map(MemoryKind::A, 1, 0);
    world.map(MemoryKind::A, 1, 2);
    EXPECT_EQ(world.mprotect(0, 3, MapFlags::read).error, ENOMEM);
    EXPECT_FALSE(world.vma(0).has(VmFlag::write));
    EXPECT_TRUE(world.vma(2).has(VmFlag::write));
    EXPECT_EQ(world.mprotect(1, 1, rw).error, ENOMEM);
    EXPECT_EQ(world.mprotect(0, 1, 1024).error, EINVAL);
    EXPECT_EQ(world.mprotect(1, 0, rw).verdict, Verdict::done) << "nothing to do";
}

TEST(Mprotect, RefusesToCutAHugetlbPage) {
    World world;
    world.map(MemoryKind::HS, 2);
    EXPECT_EQ(world.mprotect(0, 1, MapFlags::read).error, EINVAL);
    EXPECT_EQ(world.mprotect(0, 2, MapFlags::read).verdict, Verdict::done);
}

TEST(NumaHint, TakesAccessAwayAndKeepsProtection) {  // E-NU1
    World world = armed(MemoryKind::SS);
    world.protect(0, 1);
    Entry expected = world.entry(0);
    expected.protnone = true;
    change(world, 0, ChangeFlags::prot_numa);
    EXPECT_EQ(world.entry(0), expected);
}

TEST(NumaHint, SkipsWhatAMoveWouldNotHelp) {  // E-NU2
    World world = armed(MemoryKind::A);
    world.load(1);
    const Entry zero = world.entry(1);
    change(world, 1, ChangeFlags::prot_numa);
    EXPECT_EQ(world.entry(1), zero);
    Page& page = world.state().pages[world.entry(0).target];
    page.ksm = true;
    change(world, 0, ChangeFlags::prot_numa);
    EXPECT_FALSE(world.entry(0).protnone);
    page.ksm = false;
    page.maps = 2;  // as after fork
    change(world, 0, ChangeFlags::prot_numa);
    EXPECT_FALSE(world.entry(0).protnone);
    page.maps = 1;
    change(world, 0, ChangeFlags::prot_numa);
    EXPECT_TRUE(world.entry(0).protnone);
}

}  // namespace
}  // namespace verso::mm
