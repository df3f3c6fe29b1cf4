// Section 7: what WRITEPROTECT does to each entry. Entries that only other mechanisms make are put
// there by hand.
#include "mm/world.h"

namespace verso::mm {
namespace {

void put(World& world, Vpn at, const Entry& entry) {
    Machine machine = world.machine();
    set_pte(machine, 0, at, entry);
}

/// Two pages of a kind, registered for WP, the first one stored to.
World armed(MemoryKind kind, Rules rules = mainline(), u32 features = Feature::wp_unpopulated) {
    World world(rules);
    world.map(kind, 2);
    world.store(0, 1);
    world.open(features);
    EXPECT_EQ(world.register_(0, 2, Mode::wp).verdict, Verdict::done);
    return world;
}

Rules release(std::string_view name) { return preset(name).value(); }

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

TEST(WriteProtect, LeavesEmptyAnonymousMemoryEmptyWithoutTheFeature) {  // W-1, S4-01
    World world = armed(MemoryKind::A, mainline(), 0);
    world.protect(1, 1);
    EXPECT_EQ(world.entry(1), Entry{});
    world.clear(1, 1);
    EXPECT_EQ(world.entry(1), Entry{});
}

TEST(WriteProtect, LeavesAMarkerWhereNothingIs) {  // W-2, W-10
    for (const MemoryKind kind : {MemoryKind::A, MemoryKind::SS, MemoryKind::SP}) {
        World world = armed(kind);
        world.protect(1, 1);
        EXPECT_EQ(world.entry(1), make_marker(Marker::uffd_wp)) << static_cast<int>(kind);
        world.protect(1, 1);
        EXPECT_EQ(world.entry(1), make_marker(Marker::uffd_wp));
        world.clear(1, 1);
        EXPECT_EQ(world.entry(1), Entry{});
    }
}

TEST(WriteProtect, LeavesAMarkerForAHugetlbPage) {  // W-2, W-10
    World world;
    world.map(MemoryKind::HS, 2);
    world.open(0);
    world.register_(0, 2, Mode::wp);
    world.protect(0, 2);
    EXPECT_EQ(world.entry(0), make_marker(Marker::uffd_wp));
    world.clear(0, 2);
    EXPECT_EQ(world.entry(0), Entry{});
}

TEST(WriteProtect, TakesWriteFromAPresentPageAndKeepsTheRest) {  // W-3, W-18
    for (const MemoryKind kind : {MemoryKind::A, MemoryKind::SS, MemoryKind::SP}) {
        World world = armed(kind);
        Entry expected = world.entry(0);
        expected.write = false;
        expected.uffd_wp = true;
        world.protect(0, 1);
        EXPECT_EQ(world.entry(0), expected) << static_cast<int>(kind);
        world.protect(0, 1);
        EXPECT_EQ(world.entry(0), expected) << "twice is the same as once";
        world.clear(0, 1);
        expected.uffd_wp = false;
        expected.write = true;
        EXPECT_EQ(world.entry(0), expected) << "W-15: dirty, or exclusive";
        EXPECT_EQ(world.load(0).value, 1);
    }
}

TEST(WriteProtect, ProtectsTheZeroPage) {  // W-4
    World world = armed(MemoryKind::A);
    world.load(1);
    world.protect(1, 1);
    EXPECT_TRUE(world.entry(1).zero);
    EXPECT_TRUE(world.entry(1).uffd_wp);
    world.clear(1, 1);
    EXPECT_TRUE(world.entry(1).zero);
    EXPECT_FALSE(world.entry(1).uffd_wp);
    EXPECT_FALSE(world.entry(1).write);
}

TEST(WriteProtect, EndsANumaHint) {  // W-5, E-NU4
    World world = armed(MemoryKind::SS);
    change(world, 0, ChangeFlags::prot_numa);
    EXPECT_TRUE(world.entry(0).protnone);
    world.protect(0, 1);
    EXPECT_FALSE(world.entry(0).protnone);
    EXPECT_TRUE(world.entry(0).uffd_wp);
    change(world, 0, ChangeFlags::prot_numa);
    world.clear(0, 1);
    EXPECT_FALSE(world.entry(0).protnone);
    EXPECT_FALSE(world.entry(0).uffd_wp);
}

TEST(WriteProtect, KeepsItsBitInASwapEntry) {  // W-6
    World world = armed(MemoryKind::A);
    world.state().slots[0].contents = 5;
    Entry swapped = make_swap(0);
    swapped.exclusive = true;
    put(world, 1, swapped);
    world.protect(1, 1);
    swapped.uffd_wp = true;
    EXPECT_EQ(world.entry(1), swapped);
    world.clear(1, 1);
    swapped.uffd_wp = false;
    EXPECT_EQ(world.entry(1), swapped);
}

TEST(WriteProtect, MakesAWritableMigrationEntryReadOnly) {  // W-7, W-8, W-16, I2
    for (const MemoryKind kind : {MemoryKind::A, MemoryKind::SS}) {
        World world = armed(kind);
        Entry expected = migration_of(world, 0, MigrationKind::write);
        put(world, 0, expected);
        expected.migration =
            kind == MemoryKind::A ? MigrationKind::read_exclusive : MigrationKind::read;
        expected.uffd_wp = true;
        world.protect(0, 1);
        EXPECT_EQ(world.entry(0), expected);
        world.clear(0, 1);
        expected.uffd_wp = false;
        EXPECT_EQ(world.entry(0), expected);
    }
}

TEST(WriteProtect, KeepsTheKindOfAReadOnlyMigrationEntry) {  // W-9
    for (const MigrationKind kind : {MigrationKind::read, MigrationKind::read_exclusive}) {
        World world = armed(MemoryKind::A);
        Entry expected = migration_of(world, 0, kind);
        put(world, 0, expected);
        expected.uffd_wp = true;
        world.protect(0, 1);
        EXPECT_EQ(world.entry(0), expected);
    }
}

TEST(WriteProtect, LeavesPoisonGuardsAndLostPagesAlone) {  // W-11, E-GR8
    World world = armed(MemoryKind::A);
    Entry lost;
    lost.kind = EntryKind::hwpoison;
    lost.target = world.entry(0).target;
    for (const Entry& entry : {make_marker(Marker::poisoned), make_marker(Marker::guard), lost}) {
        put(world, 1, entry);
        world.protect(1, 1);
        EXPECT_EQ(world.entry(1), entry);
        world.clear(1, 1);
        EXPECT_EQ(world.entry(1), entry);
    }
}

TEST(WriteProtect, ProtectsAHugePageThatIsWhollyCovered) {  // W-12
    World world;
    world.state().thp_enabled = true;
    world.map(MemoryKind::A, 2);
    world.store(0, 1);
    world.open(0);
    world.register_(0, 2, Mode::wp);
    world.protect(0, 2);
    EXPECT_EQ(pmd_of(world.state(), 0, 0).kind, PmdKind::leaf);
    EXPECT_TRUE(world.entry(0).uffd_wp);
    EXPECT_FALSE(world.entry(0).write);
    world.clear(0, 2);
    EXPECT_FALSE(world.entry(0).uffd_wp);
    EXPECT_TRUE(world.entry(0).write) << "W-15";
}

TEST(WriteProtect, SplitsAHugePageThatIsPartlyCovered) {  // W-13, E-TH9
    World world;
    world.state().thp_enabled = true;
    world.map(MemoryKind::A, 2);
    world.store(0, 1);
    world.open(0);
    world.register_(0, 2, Mode::wp);
    world.protect(1, 1);
    EXPECT_EQ(pmd_of(world.state(), 0, 0).kind, PmdKind::table);
    EXPECT_FALSE(world.entry(0).uffd_wp);
    EXPECT_TRUE(world.entry(1).uffd_wp);
    EXPECT_EQ(world.load(0).value, 1);
}

TEST(WriteProtect, BuildsPageTablesOnlyForMarkers) {  // W-17
    World markers = armed(MemoryKind::A);
    World none = armed(MemoryKind::A, mainline(), 0);
    for (World* world : {&markers, &none}) {
        world->state().spaces[0].entries[0] = Entry{};
        world->state().spaces[0].pmds[0] = Pmd{};
        world->protect(0, 2);
    }
    EXPECT_EQ(pmd_of(markers.state(), 0, 0).kind, PmdKind::table);
    EXPECT_EQ(pmd_of(none.state(), 0, 0).kind, PmdKind::none);
}

TEST(Unprotect, LeavesPrivatePagesReadOnlyUntil62) {  // W-15, S1-06
    for (const char* name : {"6.1", "6.2"}) {
        World world = armed(MemoryKind::A, release(name), 0);
        world.protect(0, 1);
        world.clear(0, 1);
        EXPECT_FALSE(world.entry(0).write) << name;
        EXPECT_EQ(world.store(0, 2).verdict, Verdict::done);
    }
}

TEST(Unprotect, MakesSharedPagesWritableUntil62EvenUnderWritenotify) {  // W-15, FX-2, S1-01
    World world(release("6.2"));
    world.map(MemoryKind::SS, 2);
    world.store(0, 1);
    Vma& vma = *world.state().find_vma(0, 0);
    vma.flags &= ~VmFlag::soft_dirty;
    vma_set_page_prot(world.machine(), vma);
    Entry clean = world.entry(0);
    clean.write = clean.soft_dirty = false;
    put(world, 0, clean);
    world.open(0);
    world.register_(0, 2, Mode::wp);
    world.protect(0, 1);
    world.clear(0, 1);
    EXPECT_TRUE(world.entry(0).write) << "past soft-dirty tracking";
}

TEST(Unprotect, AsksForSoftDirtyTrackingSince63) {  // W-15, O9
    World world;
    world.map(MemoryKind::SS, 2);
    world.store(0, 1);
    Vma& vma = *world.state().find_vma(0, 0);
    vma.flags &= ~VmFlag::soft_dirty;
    vma_set_page_prot(world.machine(), vma);
    Entry clean = world.entry(0);
    clean.write = clean.soft_dirty = false;
    put(world, 0, clean);
    world.open(0);
    world.register_(0, 2, Mode::wp);
    world.protect(0, 1);
    world.clear(0, 1);
    EXPECT_FALSE(world.entry(0).write);
}

TEST(Unprotect, MakesAPageWritableOnlyIfItBelongsToNobodyElse) {  // W-15, S1-06
    World world = armed(MemoryKind::A);
    world.protect(0, 1);
    world.state().pages[world.entry(0).target].anon_exclusive = false;
    world.clear(0, 1);
    EXPECT_FALSE(world.entry(0).write);
}

TEST(Unprotect, LeavesACleanSharedPageReadOnly) {  // W-15, S1-07, S1-08
    for (const bool clean_ok : {false, true}) {
        Rules rules;
        rules.o9_shmem_clean_ok = clean_ok;
        World world = armed(MemoryKind::SS, rules);
        world.load(1);
        world.protect(1, 1);
        world.clear(1, 1);
        EXPECT_EQ(world.entry(1).write, clean_ok);
        EXPECT_EQ(world.store(1, 2).verdict, Verdict::done);
    }
}

TEST(Unprotect, LeavesSharedPagesReadOnlyOnTheRunningKernel) {  // unprotect_upgrades_shared
    World world = armed(MemoryKind::SS, release("6.18"));
    world.protect(0, 1);
    world.clear(0, 1);
    EXPECT_FALSE(world.entry(0).write);
    EXPECT_EQ(world.store(0, 2).verdict, Verdict::done);
}

TEST(Unprotect, AsksNobodyWithoutTheRule) {  // S1-05: unprotect_tries_writable
    for (const MemoryKind kind : {MemoryKind::A, MemoryKind::SS}) {
        Rules rules;
        rules.unprotect_tries_writable = false;
        World world = armed(kind, rules);
        world.protect(0, 1);
        world.clear(0, 1);
        EXPECT_FALSE(world.entry(0).write);
    }
}

TEST(Unprotect, LeavesHugetlbReadOnly) {  // W-15, S1-09
    for (const bool tries : {false, true}) {
        for (const MemoryKind kind : {MemoryKind::HS, MemoryKind::HP}) {
            Rules rules;
            rules.hugetlb_tries_writable = tries;
            World world = armed(kind, rules);
            world.protect(0, 2);
            EXPECT_TRUE(world.entry(0).uffd_wp);
            EXPECT_FALSE(world.entry(0).write);
            world.clear(0, 2);
            EXPECT_EQ(world.entry(0).write, tries);
            EXPECT_EQ(world.store(0, 2).verdict, Verdict::done);
        }
    }
}

/// store; clear_refs; REGISTER(WP); then (protect; clear) or (UNREGISTER); store: is that reported?
bool second_store_is_soft_dirty(const Rules& rules, bool unregisters) {
    World world(rules);
    world.map(MemoryKind::SS, 2);
    world.store(0, 1);
    world.step({.op = Op::clear_refs});
    world.open(0);
    world.register_(0, 2, Mode::wp);
    if (unregisters) {
        world.unregister(0, 2);
    } else {
        world.protect(0, 1);
        world.clear(0, 1);
    }
    EXPECT_EQ(world.store(0, 2).verdict, Verdict::done);
    return world.entry(0).soft_dirty;
}

TEST(Unprotect, KeepsSoftDirtyTrackingInFiveSteps) {  // S1-02, S1-03, FX-2, E-SD8
    for (const bool unregisters : {true, false}) {
        for (const bool fixed : {true, false}) {
            Rules rules;
            rules.unprotect_uses_page_prot = fixed;
            EXPECT_EQ(second_store_is_soft_dirty(rules, unregisters), fixed) << unregisters;
        }
    }
}

TEST(Unprotect, MakesPagesWritableOfAFileThatWantsToHearOfFirstWrites) {  // W-15, VP3
    World world(release("6.18"));
    Call create{.op = Op::file_create, .flags = static_cast<u32>(FileKind::ordinary) | 4};
    create.length = to_bytes(2);
    Call map{.op = Op::mmap, .fd = static_cast<u8>(world.step(create).value)};
    map.flags = MapFlags::read | MapFlags::write | MapFlags::shared | MapFlags::fixed;
    map.length = to_bytes(2);
    world.step(map);
    world.store(0, 1);
    world.open(Feature::wp_async);
    world.register_(0, 2, Mode::wp);
    world.protect(0, 1);
    EXPECT_FALSE(world.entry(0).write);
    world.clear(0, 1);
    EXPECT_TRUE(world.entry(0).write);
}

TEST(WriteProtect, IsOnlyAMissingWriteBitWithoutTheBit) {  // FX-14
    Rules rules;
    rules.u_bit_exists = false;
    World world = armed(MemoryKind::A, rules, 0);
    world.protect(0, 1);
    EXPECT_FALSE(world.entry(0).uffd_wp);
    EXPECT_FALSE(world.entry(0).write);
}

TEST(WriteProtect, HasNothingToDoWhereEmptyMeansProtected) {  // S3-01 to S3-04
    Rules rules;
    rules.none_policy_file = NonePolicy::protected_;
    World world = armed(MemoryKind::SS, rules);
    world.protect(0, 2);
    EXPECT_TRUE(world.entry(0).uffd_wp);
    EXPECT_EQ(world.entry(1), Entry{});
    world.clear(1, 1);
    EXPECT_EQ(world.entry(1), make_marker(Marker::written)) << "un-protected, and says so";
    world.protect(1, 1);
    EXPECT_EQ(world.entry(1), make_marker(Marker::uffd_wp));
    world.clear(1, 1);
    EXPECT_EQ(world.entry(1), make_marker(Marker::written));
}

TEST(WriteProtect, NeedsOneMarkerOnlyWhereItSaysNotProtected) {  // S3-09
    Rules rules;
    rules.none_policy_file = NonePolicy::protected_one;
    World world = armed(MemoryKind::SS, rules);
    world.clear(1, 1);
    EXPECT_EQ(world.entry(1), make_marker(Marker::written));
    world.protect(1, 1);
    EXPECT_EQ(world.entry(1), Entry{});
}

}  // namespace
}  // namespace verso::mm
