// Zapping, section 8.2: what is left behind.
#include "mm/armed.h"

namespace verso::mm {
namespace {

using K = MemoryKind;

/// MADV_DONTNEED, without the events that madvise() sends around it.
void dontneed(World& world, Vpn first, u32 count) {
    Machine machine = world.machine();
    const Vma vma = world.vma(first);
    zap_range(machine, 0, vma, first, first + count, 0);
}
Outcome punch(World& world, Vpn first, u32 count) {
    Call call{.op = Op::punch_hole, .fd = world.file};
    call.address = to_bytes(first);
    call.length = to_bytes(count);
    return world.step(call);
}
Outcome truncate(World& world, u32 pages) {
    Call call{.op = Op::ftruncate, .fd = world.file};
    call.length = to_bytes(pages);
    return world.step(call);
}

// E-ZP1, E-ZP9
TEST(Zap, AnonymousMemoryKeepsNothing) {
    for (const u32 features : {Feature::sigbus, unpopulated, async}) {
        World world = armed(K::A, mainline(), features);
        dontneed(world, 0, 2);
        EXPECT_TRUE(world.entry(0).none());
        EXPECT_EQ(world.load(0).value, 0);
        EXPECT_EQ(world.broken(), "");
    }
}

// E-ZP2
TEST(Zap, ASharedProtectedPageLeavesAMarkerAndComesBackProtected) {
    for (const MemoryKind kind : {K::SS, K::HS}) {
        World world = armed(kind);
        dontneed(world, 0, 2);
        EXPECT_TRUE(world.entry(0).is_marker(Marker::uffd_wp));
        EXPECT_EQ(world.load(0).value, 7);
        EXPECT_TRUE(told(world.store(0, 8)));
    }
    World file = armed(K::FS, mainline(), async);
    dontneed(file, 0, 2);
    EXPECT_TRUE(file.entry(0).is_marker(Marker::uffd_wp));
}

// E-ZP3, E-ZP6
TEST(Zap, AnUnprotectedPageLeavesNothing) {
    for (const MemoryKind kind : {K::SS, K::SP, K::HS, K::HP}) {
        World world = registered(kind);
        world.store(0, 7);
        dontneed(world, 0, 2);
        EXPECT_TRUE(world.entry(0).none());
    }
}

// E-ZP4, E-ZP5
TEST(Zap, InAPrivateMappingItMattersWhoseBytesTheyWere) {
    for (const u32 features : {Feature::sigbus, async}) {
        World world = registered(K::SP, mainline(), features);
        world.load(0);
        world.store(1, 7);
        world.protect(0, 2);
        dontneed(world, 0, 2);
        EXPECT_TRUE(world.entry(0).is_marker(Marker::uffd_wp));
        EXPECT_EQ(world.entry(1).is_marker(Marker::uffd_wp), features != async);
        EXPECT_EQ(world.entry(1).none(), features == async);
    }
}

// E-ZP5: a private copy in swap
TEST(Zap, ASwappedPrivateCopyIsAPrivateCopy) {
    for (const u32 features : {Feature::sigbus, async}) {
        World world = armed(K::SP, mainline(), features);
        EXPECT_EQ(world.kernel(Op::reclaim, 0).verdict, Verdict::done);
        EXPECT_EQ(world.entry(0).kind, EntryKind::swap);
        dontneed(world, 0, 2);
        EXPECT_EQ(world.entry(0).is_marker(Marker::uffd_wp), features != async);
        EXPECT_EQ(world.broken(), "");
    }
}

// E-ZP7, E-ZP8
TEST(Zap, AGuardStaysAndPoisonGoes) {
    for (const MemoryKind kind : {K::A, K::SS}) {
        World world;
        world.map(kind, 2);
        Machine machine = world.machine();
        set_pte(machine, 0, 0, make_marker(Marker::guard));
        set_pte(machine, 0, 1, make_marker(Marker::poisoned));
        dontneed(world, 0, 2);
        EXPECT_TRUE(world.entry(0).is_marker(Marker::guard));
        EXPECT_TRUE(world.entry(1).none());
    }
}

// E-ZP10
TEST(Zap, AHoleTakesTheFilesPagesAndLeavesPrivateCopies) {
    World world;
    world.map(K::SP, 2);
    world.load(0);
    world.store(1, 7);
    EXPECT_EQ(punch(world, 0, 2).verdict, Verdict::done);
    EXPECT_TRUE(world.entry(0).none());
    EXPECT_EQ(world.load(1).value, 7);
    EXPECT_EQ(world.broken(), "");
}

// E-ZP11
TEST(Zap, TruncationTakesPrivateCopiesAlong) {
    World world;
    world.map(K::SP, 2);
    world.store(0, 6);
    world.store(1, 7);
    EXPECT_EQ(truncate(world, 1).verdict, Verdict::done);
    EXPECT_EQ(world.load(0).value, 6);
    EXPECT_EQ(world.load(1).verdict, Verdict::sigbus);
}

// E-ZP12
TEST(Zap, AHoleUnderAProtectedPageStaysProtected) {
    World world = armed(K::SS);
    punch(world, 0, 2);
    EXPECT_TRUE(world.entry(0).is_marker(Marker::uffd_wp));
    EXPECT_EQ(world.load(0).value, 0);
    EXPECT_TRUE(world.entry(0).uffd_wp);
}

TEST(Zap, AHoleReachesEveryMappingAndTheSwap) {
    World world;
    world.map(K::SS, 2);
    world.store(0, 7);
    world.kernel(Op::reclaim, 0);
    punch(world, 0, 1);
    EXPECT_EQ(world.load(0).value, 0);
    EXPECT_EQ(world.broken(), "");
}

// E-ZP13
TEST(Zap, UnmappingTakesMarkersToo) {
    World world = armed(K::SS);
    dontneed(world, 0, 2);
    Call call{.op = Op::munmap};
    call.length = to_bytes(2);
    EXPECT_EQ(world.step(call).verdict, Verdict::done);
    EXPECT_TRUE(world.entry(0).none());
    EXPECT_EQ(world.broken(), "");
}

// E-TH9
TEST(Zap, PartOfAThpIsSplitOffFirst) {
    World world;
    world.state().thp_enabled = true;
    world.map(K::A, 2);
    world.store(0, 6);
    world.store(1, 7);
    dontneed(world, 0, 1);
    EXPECT_TRUE(world.entry(0).none());
    EXPECT_EQ(world.load(1).value, 7);
}

// S3-10: without the rule an asynchronous tracker is not told that bytes became zeroes
TEST(Zap, AZapThatChangesBytesIsAModification) {
    for (const bool rule : {true, false}) {
        Rules rules;
        rules.zap_is_write = rule;
        World world = armed(K::A, rules, async);
        dontneed(world, 0, 2);
        EXPECT_EQ(world.load(0).value, 0);
        EXPECT_EQ(world.entry(0).uffd_wp, !rule);
    }
}

// FX-15
TEST(Zap, WithoutMarkersProtectionGoesWithTheEntry) {
    Rules rules;
    rules.markers_exist = false;
    World world = armed(K::SS, rules);
    dontneed(world, 0, 2);
    EXPECT_TRUE(silent(world.store(0, 8)));
}

// S3-05, S3-06
TEST(Zap, WhereNoneMeansProtectedTheUnprotectedPageLeavesTheMarker) {
    for (const NonePolicy policy : {NonePolicy::protected_, NonePolicy::protected_one}) {
        Rules rules;
        rules.none_policy_anon = policy;
        rules.none_policy_file = policy;
        World world = armed(K::SS, rules);
        world.clear(0, 1);
        dontneed(world, 0, 1);
        EXPECT_TRUE(world.entry(0).is_marker(Marker::written));
        EXPECT_TRUE(silent(world.store(0, 8)));
        world.protect(0, 1);
        dontneed(world, 0, 1);
        EXPECT_EQ(world.entry(0).none(), policy == NonePolicy::protected_one);
        EXPECT_TRUE(told(world.store(0, 9)));
    }
}

}  // namespace
}  // namespace verso::mm
