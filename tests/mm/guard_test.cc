// Guard regions: section 8.11.
#include "mm/world.h"

namespace verso::mm {
namespace {

constexpr u32 sync = Feature::pagefault_flag_wp | Feature::wp_hugetlbfs_shmem | Feature::sigbus;

TEST(Guard, ItTakesThePlaceOfWhateverWasThere) {  // E-GR1, E-GR2, E-GR3, E-GR5
    for (const MemoryKind kind : {MemoryKind::A, MemoryKind::SS, MemoryKind::SP}) {
        World world;
        world.map(kind, 2);
        world.store(0, 5);
        world.open(sync);
        world.register_(0, 2, Mode::wp);
        world.protect(0, 1);
        for (int twice = 0; twice < 2; ++twice) {
            EXPECT_EQ(world.madvise(0, 2, Advice::guard_install).verdict, Verdict::done);
            EXPECT_EQ(world.entry(0), make_marker(Marker::guard));
            EXPECT_EQ(world.entry(1), make_marker(Marker::guard));
        }
        EXPECT_EQ(world.load(0).verdict, Verdict::sigsegv);
        EXPECT_EQ(world.broken(), "");
    }
}

TEST(Guard, HugetlbHasNone) {  // E-GR4
    World world;
    world.map(MemoryKind::HS, 2);
    EXPECT_EQ(world.madvise(0, 2, Advice::guard_install), Outcome::fail(EINVAL));
}

TEST(Guard, ALockedMappingGetsNoneButLosesThem) {  // E-GR4, E-GR6
    World world;
    world.map(MemoryKind::A, 2);
    world.madvise(0, 1, Advice::guard_install);
    world.state().spaces[0].vmas[0].flags |= VmFlag::locked;
    EXPECT_EQ(world.madvise(0, 2, Advice::guard_install), Outcome::fail(EINVAL));
    EXPECT_EQ(world.madvise(0, 2, Advice::guard_remove).verdict, Verdict::done);
    EXPECT_TRUE(world.entry(0).none());
}

TEST(Guard, RemovingTouchesNothingElse) {  // E-GR6
    World world;
    world.map(MemoryKind::A, 2);
    world.store(0, 5);
    const Entry before = world.entry(0);
    world.madvise(0, 2, Advice::guard_remove);
    EXPECT_EQ(world.entry(0), before);
}

TEST(Guard, ProtectingLeavesItInPlace) {  // E-GR8
    World world;
    world.map(MemoryKind::A, 2);
    world.madvise(0, 1, Advice::guard_install);
    world.open(sync | Feature::wp_unpopulated);
    world.register_(0, 2, Mode::wp);
    world.protect(0, 2);
    EXPECT_EQ(world.entry(0), make_marker(Marker::guard));
    world.clear(0, 2);
    EXPECT_EQ(world.entry(0), make_marker(Marker::guard));
}

TEST(Guard, BeforeItsReleaseItIsNoAdvice) {
    World world(*preset("6.9"));
    world.map(MemoryKind::A, 2);
    EXPECT_EQ(world.madvise(0, 1, Advice::guard_install), Outcome::fail(EINVAL));
    World files(*preset("6.13"));
    files.map(MemoryKind::SS, 2);
    EXPECT_EQ(files.madvise(0, 1, Advice::guard_install), Outcome::fail(EINVAL));
}

}  // namespace
}  // namespace verso::mm
