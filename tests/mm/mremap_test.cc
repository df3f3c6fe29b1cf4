// Moving, growing and shrinking mappings: section 8.9.
#include "mm/world.h"

namespace verso::mm {
namespace {

constexpr u32 sync = Feature::pagefault_flag_wp | Feature::wp_hugetlbfs_shmem;
constexpr Shape eight{.space_pages = 8};

Outcome remap(World& world, Vpn from, u32 old_pages, u32 new_pages, u32 flags, Vpn to = 0) {
    Call call{.op = Op::mremap, .flags = flags};
    call.address = to_bytes(from);
    call.length = to_bytes(old_pages);
    call.extra = to_bytes(new_pages);
    call.source = to_bytes(to);
    return world.step(call);
}
constexpr u32 fixed = RemapFlags::may_move | RemapFlags::fixed;

/// Page 0 stored to and protected, page 1 a marker where the kind has one.
World armed(MemoryKind kind, u32 features, Rules rules = mainline()) {
    World world(rules, eight);
    world.map(kind, 2);
    world.store(0, 5);
    world.open(features);
    world.register_(0, 2, Mode::wp);
    EXPECT_EQ(world.protect(0, 2).verdict, Verdict::done);
    return world;
}

TEST(Mremap, WithTheEventProtectionMovesAlong) {  // E-MR1, E-MR3
    World world = armed(MemoryKind::SS, sync | Feature::event_remap);
    ASSERT_EQ(remap(world, 0, 2, 2, fixed, 4).value, static_cast<i64>(to_bytes(4)));
    EXPECT_TRUE(world.entry(4).uffd_wp);
    EXPECT_TRUE(world.entry(4).soft_dirty);
    EXPECT_TRUE(world.entry(5).is_marker(Marker::uffd_wp));
    EXPECT_EQ(world.state().find_vma(0, 0), nullptr);
    EXPECT_EQ(world.state().contexts[world.fd].events.size(), 1U);
    EXPECT_EQ(world.state().contexts[world.fd].events[0].kind, MessageKind::remap);
    EXPECT_EQ(world.broken(), "");
}

TEST(Mremap, WithoutTheEventTheContextAndItsBitsStayBehind) {  // E-MR2, FX-11
    for (const MemoryKind kind : {MemoryKind::A, MemoryKind::SS, MemoryKind::SP}) {
        for (const bool rule : {true, false}) {
            Rules rules = mainline();
            rules.mremap_clears_u = rule;
            World world = armed(kind, sync, rules);
            ASSERT_EQ(remap(world, 0, 2, 2, fixed, 4).verdict, Verdict::done);
            EXPECT_EQ(world.vma(4).context, nobody);
            EXPECT_EQ(world.entry(4).uffd_wp, !rule);
            EXPECT_EQ(world.broken().substr(0, 2), rule ? "" : "I4");
        }
    }
}

TEST(Mremap, AHugePageMovedWithoutTheEventLosesItsProtection) {  // E-MR4
    World world(mainline(), eight);
    world.map(MemoryKind::A, 2);
    world.store(0, 5);
    world.store(1, 6);
    world.madvise(0, 2, Advice::collapse);
    world.open(sync);
    world.register_(0, 2, Mode::wp);
    world.protect(0, 2);
    ASSERT_TRUE(world.entry(1).uffd_wp);
    remap(world, 0, 2, 2, fixed, 4);
    EXPECT_FALSE(world.entry(4).uffd_wp);
    EXPECT_FALSE(world.entry(5).uffd_wp);
    EXPECT_EQ(world.load(5).value, 6);
    EXPECT_EQ(world.broken(), "");
}

TEST(Mremap, AHugePageThatFitsMovesAsOne) {
    World world(mainline(), eight);
    world.map(MemoryKind::A, 2);
    world.store(0, 5);
    world.store(1, 6);
    world.madvise(0, 2, Advice::collapse);
    remap(world, 0, 2, 2, fixed, 4);
    EXPECT_EQ(world.state().spaces[0].pmds[2].kind, PmdKind::leaf);
    remap(world, 4, 2, 2, fixed, 1);
    EXPECT_EQ(world.load(2).value, 6);
    EXPECT_EQ(world.broken(), "");
}

TEST(Mremap, GrowingInPlaceAddsEmptyPagesOfTheSameMapping) {  // E-MR5
    World world = armed(MemoryKind::A, sync);
    ASSERT_EQ(remap(world, 0, 2, 4, 0).value, 0);
    EXPECT_TRUE(world.entry(3).none());
    EXPECT_TRUE(world.vma(3).has(VmFlag::uffd_wp));
    EXPECT_TRUE(world.entry(0).uffd_wp);
}

TEST(Mremap, ShrinkingUnmapsTheTail) {  // E-MR6
    World world = armed(MemoryKind::A, sync | Feature::event_unmap);
    ASSERT_EQ(remap(world, 0, 2, 1, 0).verdict, Verdict::done);
    EXPECT_EQ(world.state().find_vma(0, 1), nullptr);
    EXPECT_EQ(world.state().contexts[world.fd].events[0].kind, MessageKind::unmap);
}

TEST(Mremap, DontunmapLeavesAnAnonymousMappingEmptyAndRegistered) {  // E-MR7
    World world = armed(MemoryKind::A, sync);
    const Outcome moved = remap(world, 0, 2, 2, RemapFlags::may_move | RemapFlags::dontunmap);
    ASSERT_EQ(moved.verdict, Verdict::done);
    EXPECT_TRUE(world.entry(0).none());
    EXPECT_TRUE(world.vma(0).has(VmFlag::uffd_wp));
    EXPECT_EQ(world.load(static_cast<Vpn>(to_pages(static_cast<u64>(moved.value)))).value, 5);
    EXPECT_EQ(world.broken(), "");
}

TEST(Mremap, DontunmapLeavesMarkersForProtectedPagesOfTheFile) {  // E-MR8
    World world = armed(MemoryKind::SS, sync | Feature::sigbus);
    ASSERT_EQ(remap(world, 0, 2, 2, RemapFlags::may_move | RemapFlags::dontunmap).verdict,
              Verdict::done);
    EXPECT_TRUE(world.entry(0).is_marker(Marker::uffd_wp));
    EXPECT_EQ(world.store(0, 9).verdict, Verdict::sigbus);
    EXPECT_EQ(world.broken(), "");
}

TEST(Mremap, MovesSeveralMappingsAndTheHolesBetweenThemSince617) {
    for (const bool rule : {true, false}) {
        Rules rules = mainline();
        rules.has_mremap_of_several = rule;
        World world(rules, eight);
        world.map(MemoryKind::A, 1, 0);
        world.map(MemoryKind::A, 1, 2);
        world.store(0, 5);
        world.store(2, 6);
        EXPECT_EQ(remap(world, 0, 3, 3, fixed, 4).error, rule ? 0 : EFAULT);
        EXPECT_EQ(world.load(rule ? 4 : 0).value, 5);
        EXPECT_EQ(world.load(rule ? 6 : 2).value, 6);
        EXPECT_EQ(world.state().find_vma(0, rule ? 5 : 1), nullptr);
        EXPECT_EQ(world.broken(), "");
    }
}

TEST(Mremap, OfSeveralStopsAtARegisteredOneAndWhatMovedStaysMoved) {
    World world(mainline(), eight);
    world.map(MemoryKind::A, 2);
    world.store(0, 5);
    world.open(sync);
    world.register_(1, 1, Mode::wp);
    EXPECT_EQ(remap(world, 0, 2, 2, fixed, 4), Outcome::fail(EFAULT));
    EXPECT_EQ(world.load(4).value, 5);
    EXPECT_EQ(world.state().find_vma(0, 0), nullptr);
    EXPECT_NE(world.state().find_vma(0, 1), nullptr);
}

TEST(Mremap, WrongRequestsChangeNothing) {
    World world = armed(MemoryKind::A, sync);
    const State before = world.state();
    EXPECT_EQ(remap(world, 0, 2, 0, 0), Outcome::fail(EINVAL));
    EXPECT_EQ(remap(world, 0, 2, 2, RemapFlags::fixed, 4), Outcome::fail(EINVAL));
    EXPECT_EQ(remap(world, 0, 2, 2, fixed, 1), Outcome::fail(EINVAL));
    EXPECT_EQ(remap(world, 0, 2, 3, RemapFlags::may_move | RemapFlags::dontunmap),
              Outcome::fail(EINVAL));
    EXPECT_EQ(remap(world, 4, 1, 2, 0), Outcome::fail(EFAULT));
    EXPECT_EQ(remap(world, 0, 3, 4, 0), Outcome::fail(EFAULT));
    EXPECT_EQ(world.state(), before);
}

}  // namespace
}  // namespace verso::mm
