// Faults on huge pages, sections 6.4 (hugetlb) and 6.5 (THP).
#include "mm/armed.h"

namespace verso::mm {
namespace {

using K = MemoryKind;

const Message& last_message(World& world) { return world.state().contexts[world.fd].faults.back(); }
World answered(MemoryKind kind, u32 mode, u32 features = 0) {
    return registered(kind, mainline(), features, mode);
}

// ── 6.4 ────────────────────────────────────────────────────────────────────────────────────────

// FH-1
TEST(Fault, AHugetlbHoleIsAMissingMessageForTheHugePage) {
    for (const MemoryKind kind : {K::HS, K::HP}) {
        World world = answered(kind, Mode::missing);
        EXPECT_EQ(world.store(1, 3).verdict, Verdict::blocked);
        EXPECT_EQ(last_message(world).flags, FaultFlag::write);
        EXPECT_EQ(last_message(world).address, 0U);
    }
}

// FH-2
TEST(Fault, ACachedHugetlbPageIsAMinorMessage) {
    World world = answered(K::HS, Mode::minor);
    Machine machine = world.machine();
    cache_page(machine, world.file, 0, true);
    world.load(0);
    EXPECT_EQ(last_message(world).flags, FaultFlag::minor);
}

// FH-3, FH-4
TEST(Fault, AHugetlbPageIsMappedAsAWhole) {
    World shared;
    shared.map(K::HS, 2);
    shared.load(0);
    EXPECT_TRUE(shared.entry(1).write);
    World own;
    own.map(K::HP, 2);
    own.load(0);
    EXPECT_FALSE(own.entry(0).write);
    own.store(1, 5);
    EXPECT_TRUE(own.entry(0).write);
    EXPECT_EQ(own.load(0).value, 0);
    EXPECT_EQ(own.load(1).value, 5);
    EXPECT_EQ(own.broken(), "");
}

// FH-5, FH-9
TEST(Fault, APrivateHugetlbMappingCopiesTheFilesPage) {
    World world;
    world.map(K::HP, 2);
    Machine machine = world.machine();
    const PageId cached = cache_page(machine, world.file, 0, true);
    world.load(0);
    EXPECT_EQ(world.entry(0).target, cached);
    world.store(0, 5);
    EXPECT_NE(world.entry(0).target, cached);
    EXPECT_EQ(world.state().pages[cached].contents, 0U);
}

// FH-6, FH-7
TEST(Fault, AHugetlbMarkerGivesAProtectedPage) {
    for (const MemoryKind kind : {K::HS, K::HP}) {
        World world = registered(kind);
        world.protect(0, 2);
        EXPECT_TRUE(world.entry(0).is_marker(Marker::uffd_wp));
        EXPECT_TRUE(told(world.store(0, 1)));
        EXPECT_TRUE(world.entry(0).uffd_wp && !world.entry(0).write);
    }
}

// FH-10
TEST(Fault, AMigratingHugetlbPageIsWaitedFor) {
    World world;
    world.map(K::HS, 2);
    world.store(0, 7);
    world.kernel(Op::migrate_begin, 0);
    EXPECT_EQ(world.load(1).verdict, Verdict::blocked);
    world.kernel(Op::migrate_end, 0);
    EXPECT_EQ(world.retry().verdict, Verdict::done);
    EXPECT_EQ(world.load(0).value, 7);
}

// ── 6.5 ────────────────────────────────────────────────────────────────────────────────────────

World huge(u32 features) {
    World world;
    world.state().thp_enabled = true;
    world.map(K::A, 2);
    world.store(0, 7);
    world.open(features);
    world.register_(0, 2, Mode::wp);
    world.protect(0, 2);
    return world;
}

// FA-3
TEST(Fault, WithThpOnAWholeRangeIsPopulatedAtOnce) {
    World world;
    world.state().thp_enabled = true;
    world.map(K::A, 4);
    world.load(0);
    world.store(2, 1);
    EXPECT_EQ(world.state().spaces[0].pmds[0].kind, PmdKind::leaf);
    EXPECT_TRUE(world.entry(1).zero);
    EXPECT_TRUE(world.entry(3).write);
}

// FT-1
TEST(Fault, AnExclusiveThpIsWrittenInPlace) {
    World world = huge(Feature::sigbus);
    world.clear(0, 2);
    EXPECT_TRUE(silent(world.store(1, 8)));
    EXPECT_EQ(world.state().spaces[0].pmds[0].kind, PmdKind::leaf);
}

// FT-2
TEST(Fault, AProtectedThpTellsOfTheSmallPage) {
    World world = huge(0);
    EXPECT_EQ(world.store(1, 8).verdict, Verdict::blocked);
    EXPECT_EQ(last_message(world).address, to_bytes(1));
}

// FT-3, SC-39
TEST(Fault, UnderAsynchronousProtectionAThpIsSplitAndOnePageWritten) {
    World world = huge(async);
    EXPECT_TRUE(silent(world.store(1, 8)));
    EXPECT_TRUE(world.entry(0).uffd_wp);
    EXPECT_FALSE(world.entry(1).uffd_wp);
    EXPECT_EQ(world.load(0).value, 7);
}

// FT-7
TEST(Fault, AStoreToTheHugeZeroPageGetsMemoryOfItsOwn) {
    World world;
    world.state().thp_enabled = true;
    world.map(K::A, 2);
    world.load(0);
    world.store(1, 8);
    EXPECT_EQ(world.load(1).value, 8);
    EXPECT_EQ(world.load(0).value, 0);
    EXPECT_EQ(world.broken(), "");
}

// FT-8
TEST(Fault, AMigratingThpIsWaitedFor) {
    World world = huge(Feature::sigbus);
    world.kernel(Op::migrate_begin, 0);
    EXPECT_EQ(world.load(1).verdict, Verdict::blocked);
    world.kernel(Op::migrate_end, 0);
    EXPECT_EQ(world.retry().verdict, Verdict::done);
    EXPECT_TRUE(told(world.store(0, 1)));
}

}  // namespace
}  // namespace verso::mm
