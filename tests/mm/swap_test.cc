// Reclaim, swap and swapoff, section 8.3.
#include "mm/armed.h"

namespace verso::mm {
namespace {

using K = MemoryKind;

Outcome swapoff(World& world) { return world.step({.op = Op::swapoff}); }

// E-SW1, E-SW9, FA-9, FC-14
TEST(Swap, ProtectionTravelsWithTheEntryAndBack) {
    for (const MemoryKind kind : swappable) {
        World world = armed(kind);
        EXPECT_EQ(world.kernel(Op::reclaim, 0).verdict, Verdict::done);
        const Entry out = world.entry(0);
        EXPECT_EQ(out.kind, EntryKind::swap);
        EXPECT_TRUE(out.uffd_wp && out.exclusive);
        EXPECT_EQ(world.broken(), "");
        EXPECT_TRUE(told(world.store(0, 8)));
        EXPECT_EQ(world.load(0).value, 7);
        EXPECT_EQ(world.broken(), "");
    }
}

// E-SW1: soft-dirty
TEST(Swap, SoftDirtyTravelsWithTheEntryAndBack) {
    World world;
    world.map(K::A, 1);
    world.store(0, 7);
    EXPECT_TRUE(world.entry(0).soft_dirty);
    world.kernel(Op::reclaim, 0);
    EXPECT_TRUE(world.entry(0).soft_dirty);
    world.load(0);
    EXPECT_TRUE(world.entry(0).soft_dirty);
}

// E-SW2, E-SW3
TEST(Swap, APageOfAFileLeavesAMarkerWhereItWasProtected) {
    for (const bool protect : {true, false}) {
        World world = armed(K::SS);
        if (!protect) {
            world.clear(0, 2);
        }
        EXPECT_EQ(world.kernel(Op::reclaim, 0).verdict, Verdict::done);
        EXPECT_EQ(world.entry(0).is_marker(Marker::uffd_wp), protect);
        EXPECT_EQ(world.entry(0).none(), !protect);
        EXPECT_EQ(world.load(0).value, 7);
        EXPECT_EQ(told(world.store(0, 8)), protect);
        EXPECT_EQ(world.broken(), "");
    }
}

// E-SW2 for an ordinary file: what was stored is on disk
TEST(Swap, AnOrdinaryFilesPageIsReadFromItsDiskAgain) {
    World world = armed(K::FS, mainline(), async);
    EXPECT_EQ(world.kernel(Op::reclaim, 0).verdict, Verdict::done);
    EXPECT_TRUE(world.entry(0).is_marker(Marker::uffd_wp));
    EXPECT_EQ(world.load(0).value, 7);
    EXPECT_TRUE(world.entry(0).uffd_wp);
}

World lazyfree() {
    World world = armed(K::A);
    Machine machine = world.machine();
    Entry entry = world.entry(0);
    entry.dirty = false;  // E-SW4
    entry.young = false;
    set_pte(machine, 0, 0, entry);
    world.state().pages[entry.target].lazyfree = true;
    return world;
}

// E-SW6
TEST(Swap, APageThatWasGivenUpIsDroppedAsByAZap) {
    World world = lazyfree();
    EXPECT_EQ(world.kernel(Op::reclaim, 0).verdict, Verdict::done);
    EXPECT_TRUE(world.entry(0).none());
    EXPECT_EQ(world.load(0).value, 0);
}

// E-SW7
TEST(Swap, APageThatWasGivenUpAndRewrittenIsSwappedOut) {
    World world = lazyfree();
    world.clear(0, 2);
    EXPECT_TRUE(silent(world.store(0, 8)));
    world.kernel(Op::reclaim, 0);
    EXPECT_EQ(world.entry(0).kind, EntryKind::swap);
    EXPECT_EQ(world.load(0).value, 8);
}

// E-SW8
TEST(Swap, WhatHasNoPageIsNotReclaimed) {
    World world;
    world.map(K::A, 2);
    Machine machine = world.machine();
    set_pte(machine, 0, 0, make_marker(Marker::guard));
    EXPECT_EQ(world.kernel(Op::reclaim, 0).verdict, Verdict::disabled);
    EXPECT_EQ(world.kernel(Op::reclaim, 1).verdict, Verdict::disabled);
}

// E-SW10, S2-19: under every design
TEST(Swap, SwapoffBringsPrivatePagesBackProtected) {
    for (const bool one : {false, true}) {
        for (const bool two : {false, true}) {
            for (const MemoryKind kind : swappable) {
                World world = armed(kind, with_designs(mainline(), one, two));
                world.kernel(Op::reclaim, 0);
                EXPECT_EQ(swapoff(world).verdict, Verdict::done);
                const Entry entry = world.entry(0);
                EXPECT_TRUE(entry.present() && entry.uffd_wp && !entry.write && !entry.young);
                EXPECT_TRUE(world.state().pages[entry.target].anon_exclusive);
                EXPECT_TRUE(told(world.store(0, 8)));
                EXPECT_EQ(world.broken(), "");
            }
        }
    }
}

// E-SW11, S2-20, K3
TEST(Swap, ASharedMappingNeverHoldsASwapEntry) {
    World world = armed(K::SS);
    world.kernel(Op::reclaim, 0);
    const Entry before = world.entry(0);
    EXPECT_EQ(swapoff(world).verdict, Verdict::done);
    EXPECT_EQ(world.entry(0), before);
    EXPECT_NE(world.state().files[world.file].cache[0].page, no_page);
    EXPECT_EQ(world.load(0).value, 7);
}

TEST(Swap, ASharedPageThatWasOnlyReadLeavesAHole) {
    World world;
    world.map(K::SS, 1);
    world.load(0);
    EXPECT_EQ(world.kernel(Op::reclaim, 0).verdict, Verdict::done);
    EXPECT_EQ(world.state().files[world.file].cache[0].page, no_page);
    EXPECT_EQ(world.state().files[world.file].cache[0].slot, no_slot);
    EXPECT_EQ(world.load(0).value, zeroes);
}

TEST(Swap, ASharedPageThatWasStoredToGoesToASlot) {
    World world;
    world.map(K::SS, 1);
    world.store(0, 7);
    EXPECT_EQ(world.kernel(Op::reclaim, 0).verdict, Verdict::done);
    EXPECT_NE(world.state().files[world.file].cache[0].slot, no_slot);
    EXPECT_EQ(world.load(0).value, 7);
}

// E-SW12
TEST(Swap, ASlotThatCannotBeReadIsABusErrorBeforeAndAfterSwapoff) {
    World world;
    world.map(K::A, 1);
    world.store(0, 7);
    world.kernel(Op::reclaim, 0);
    EXPECT_EQ(world.kernel(Op::swap_slot_fails, 0).verdict, Verdict::done);
    EXPECT_EQ(world.load(0).verdict, Verdict::sigbus);
    EXPECT_EQ(swapoff(world).verdict, Verdict::done);
    EXPECT_TRUE(world.entry(0).is_marker(Marker::poisoned));
    EXPECT_EQ(world.load(0).verdict, Verdict::sigbus);
    EXPECT_EQ(world.broken(), "");
}

// E-SW13
TEST(Swap, HugetlbPagesAreNeverSwapped) {
    for (const MemoryKind kind : {K::HS, K::HP}) {
        World world = armed(kind);
        EXPECT_EQ(world.kernel(Op::reclaim, 0).verdict, Verdict::disabled);
    }
}

TEST(Swap, PinnedAndLockedPagesStay) {
    World world;
    world.map(K::A, 2);
    world.store(0, 7);
    world.kernel(Op::gup_pin, 0);
    EXPECT_EQ(world.kernel(Op::reclaim, 0).verdict, Verdict::disabled);
    world.store(1, 7);
    world.kernel(Op::migrate_begin, 1);
    EXPECT_EQ(world.kernel(Op::reclaim, 1).verdict, Verdict::disabled);
}

TEST(Swap, WithoutSwapNothingAnonymousLeaves) {
    World world;
    world.map(K::A, 1);
    world.store(0, 7);
    EXPECT_EQ(swapoff(world).verdict, Verdict::done);
    EXPECT_EQ(world.kernel(Op::reclaim, 0).verdict, Verdict::disabled);
}

// FA-9, VP13: write permission on a load, since 6.12
TEST(Swap, SinceSixTwelveALoadMayBringThePageBackWritable) {
    for (const bool rule : {true, false}) {
        Rules rules;
        rules.swapin_w_on_load = rule;
        World world(rules);
        world.map(K::A, 1);
        world.store(0, 7);
        world.kernel(Op::reclaim, 0);
        world.load(0);
        EXPECT_EQ(world.entry(0).write, rule);
    }
}

// The page may stay in the swap cache: nothing is different for anybody but the page's number.
TEST(Swap, ThePageMayStayInTheSwapCache) {
    Enumerator every;
    unsigned runs = 0;
    do {
        World world = armed(K::A);
        Machine machine{world.state(), world.rules(), every, {}, {}, {}};
        Call call{.op = Op::reclaim};
        EXPECT_EQ(step(machine, call).verdict, Verdict::done);
        EXPECT_TRUE(world.entry(0).uffd_wp);
        EXPECT_TRUE(told(world.store(0, 8)));
        EXPECT_EQ(world.load(0).value, 7);
        world.clear(0, 2);
        world.store(0, 9);
        EXPECT_EQ(world.load(0).value, 9);
        EXPECT_EQ(world.broken(), "");
        ++runs;
    } while (every.next());
    EXPECT_EQ(runs, 2U);
}

// E-SW14, FX-5
TEST(Swap, SwapoffThatMindsTheProtectionBitNeverEnds) {
    Rules rules;
    rules.swap_compare_ignores_u = false;
    World world = armed(K::A, rules);
    world.kernel(Op::reclaim, 0);
    EXPECT_EQ(swapoff(world).verdict, Verdict::blocked);
}

// FX-14
TEST(Swap, WhereProtectionIsOnlyAMissingWriteBitSwapForgetsIt) {
    Rules rules;
    rules.u_bit_exists = false;
    World world = armed(K::A, rules);
    EXPECT_TRUE(told(world.store(0, 8)));
    world.kernel(Op::reclaim, 0);
    EXPECT_TRUE(silent(world.store(0, 8)));
}

// FX-15, S4-09
TEST(Swap, WithoutMarkersReclaimTakesTheProtectionOfSharedMemoryAlong) {
    for (const bool rule : {true, false}) {
        Rules rules;
        rules.markers_exist = rule;
        World world = armed(K::SS, rules);
        world.kernel(Op::reclaim, 0);
        EXPECT_EQ(told(world.store(0, 8)), rule);
    }
}

// 14.1, fourth row; FX-3
TEST(Swap, TheRefaultOfAMarkerLosesAWriteUnderNeitherDesign) {
    for (const bool one : {false, true}) {
        for (const bool two : {false, true}) {
            World world = armed(K::SS, with_designs(mainline(), one, two));
            world.kernel(Op::reclaim, 0);
            world.load(0);
            EXPECT_EQ(told(world.store(0, 8)), one || two);
        }
    }
}

// S0-06
TEST(Swap, DesignTwoByHandNeedsTheRefaultSite) {
    for (const u8 sites : {WpSite::all, static_cast<u8>(WpSite::all & ~WpSite::refault)}) {
        Rules rules = with_designs(mainline(), false, false);
        rules.wp_site_removal = sites;
        World world = armed(K::SS, rules);
        world.kernel(Op::reclaim, 0);
        world.load(0);
        EXPECT_EQ(told(world.store(0, 8)), sites == WpSite::all);
    }
}

// H, FA-17, E-ZP
TEST(Swap, APageThatHardwareLostIsABusErrorForEverybody) {
    for (const MemoryKind kind : {K::A, K::SS, K::SP, K::HS}) {
        World world = armed(kind);
        EXPECT_EQ(world.kernel(Op::memory_failure, 0).verdict, Verdict::done);
        EXPECT_EQ(world.entry(0).kind, EntryKind::hwpoison);
        EXPECT_EQ(world.load(0).verdict, Verdict::sigbus);
        EXPECT_EQ(world.kernel(Op::migrate_begin, 0).verdict, Verdict::disabled);
        EXPECT_EQ(world.broken(), "");
    }
}

}  // namespace
}  // namespace verso::mm
