// NUMA hints, section 8.5.
#include "mm/armed.h"

namespace verso::mm {
namespace {

using K = MemoryKind;

Shape two_nodes() {
    Shape shape;
    shape.nodes = 2;
    return shape;
}

// E-NU1
TEST(Numa, TheHintTakesAccessAndKeepsTheRest) {
    World world = armed(K::SS);
    Entry before = world.entry(0);
    EXPECT_EQ(world.kernel(Op::numa_scan, 0).verdict, Verdict::done);
    EXPECT_TRUE(world.entry(0).protnone && world.entry(0).uffd_wp);
    before.protnone = true;
    EXPECT_EQ(world.entry(0), before);
    EXPECT_EQ(world.broken(), "");
}

// E-NU2
TEST(Numa, TheZeroPageGetsNoHint) {
    World world;
    world.map(K::A, 2);
    second_thread(world);
    world.load(0);
    EXPECT_EQ(world.kernel(Op::numa_scan, 0).verdict, Verdict::disabled);
}

// E-NU3, FA-16, VP18
TEST(Numa, AnAccessEndsTheHintAndAnUnprotectedPageIsWritableAgain) {
    for (const MemoryKind kind : {K::A, K::SS, K::SP}) {
        World world;
        world.map(kind, 2);
        second_thread(world);
        world.store(0, 7);
        EXPECT_EQ(world.kernel(Op::numa_scan, 0).verdict, Verdict::done);
        EXPECT_EQ(world.load(0).value, 7);
        EXPECT_FALSE(world.entry(0).protnone);
        EXPECT_TRUE(world.entry(0).write);
    }
}

// FA-16, FC-16
TEST(Numa, AProtectedPageIsProtectedAfterTheHint) {
    for (const MemoryKind kind : {K::A, K::SS, K::SP}) {
        World world = armed(kind);
        second_thread(world);
        EXPECT_EQ(world.kernel(Op::numa_scan, 0).verdict, Verdict::done);
        EXPECT_EQ(world.load(0).value, 7);
        EXPECT_TRUE(told(world.store(0, 8)));
        EXPECT_EQ(world.broken(), "");
    }
}

// E-NU3: the page may go to the accessing node first, and the verdict is the same
TEST(Numa, ThePageMayMoveToTheNodeThatUsesIt) {
    for (const MemoryKind kind : {K::A, K::SS}) {
        Enumerator every;
        unsigned moved = 0;
        unsigned runs = 0;
        do {
            World world(mainline(), two_nodes());
            world.map(kind, 2);
            world.store(0, 7);
            const u8 other = second_thread(world, 1);
            world.open(Feature::sigbus);
            world.register_(0, 2, Mode::wp);
            world.protect(0, 2);
            EXPECT_EQ(world.kernel(Op::numa_scan, 0).verdict, Verdict::done);
            Machine machine{world.state(), world.rules(), every, {}, {}, {}};
            EXPECT_EQ(step(machine, {.op = Op::load, .thread = other}).value, 7);
            moved += world.state().pages[world.entry(0).target].node == 1 ? 1 : 0;
            ++runs;
            EXPECT_TRUE(world.entry(0).uffd_wp);
            EXPECT_TRUE(told(world.store(0, 8)));
            EXPECT_EQ(world.broken(), "");
        } while (every.next());
        EXPECT_EQ(moved, 1U);
        EXPECT_EQ(runs, 2U);
    }
}

// E-NU4, W-5
TEST(Numa, ProtectingEndsTheHint) {
    World world = registered(K::SS);
    world.store(0, 7);
    world.kernel(Op::numa_scan, 0);
    world.protect(0, 2);
    EXPECT_FALSE(world.entry(0).protnone);
    EXPECT_TRUE(world.entry(0).uffd_wp);
    EXPECT_TRUE(told(world.store(0, 8)));
}

// E-NU5
TEST(Numa, TheOnlyThreadsOwnMemoryOnItsOwnNodeGetsNoHint) {
    World alone;
    alone.map(K::A, 2);
    alone.store(0, 7);
    EXPECT_EQ(alone.kernel(Op::numa_scan, 0).verdict, Verdict::disabled);
    second_thread(alone);
    EXPECT_EQ(alone.kernel(Op::numa_scan, 0).verdict, Verdict::done);
    World shared;
    shared.map(K::SS, 2);
    shared.store(0, 7);
    EXPECT_EQ(shared.kernel(Op::numa_scan, 0).verdict, Verdict::done);
}

// FX-1b, S0-11, 14.1 second row: (2) does not help, the bit is there already
TEST(Numa, WithoutDesignOneTheEndOfAHintLosesTheStore) {
    for (const bool one : {false, true}) {
        for (const bool two : {false, true}) {
            World world = armed(K::SS, with_designs(mainline(), one, two));
            world.kernel(Op::numa_scan, 0);
            world.load(0);
            EXPECT_EQ(told(world.store(0, 8)), one);
        }
    }
}

// S2-05: the first patch cured the migration only
TEST(Numa, RestoringByEntryTypeDoesNotCureTheHint) {
    Rules rules = with_designs(mainline(), false, false);
    rules.migration_restore = MigrationRestore::by_entry_type;
    World world = armed(K::SS, rules);
    world.kernel(Op::numa_scan, 0);
    world.load(0);
    EXPECT_TRUE(silent(world.store(0, 8)));
}

// S0-06
TEST(Numa, DesignTwoByHandNeedsTheHintSite) {
    for (const u8 sites : {WpSite::all, static_cast<u8>(WpSite::all & ~WpSite::numa_hint)}) {
        Rules rules = with_designs(mainline(), false, false);
        rules.wp_site_removal = sites;
        World world = armed(K::SS, rules);
        world.kernel(Op::numa_scan, 0);
        world.load(0);
        EXPECT_EQ(told(world.store(0, 8)), sites == WpSite::all);
    }
}

}  // namespace
}  // namespace verso::mm
