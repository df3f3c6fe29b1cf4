// Soft-dirty tracking: section 8.10, and the three historic bugs in it.
#include "mm/world.h"

namespace verso::mm {
namespace {

bool soft_dirty(World& world, Vpn at) {
    return world.entry(at).soft_dirty || world.vma(at).has(VmFlag::soft_dirty);
}

TEST(SoftDirty, ANewMappingReadsAsDirty) {  // E-SD1, E-SD6
    World world;
    world.map(MemoryKind::A, 2);
    EXPECT_TRUE(soft_dirty(world, 0));
}

TEST(SoftDirty, ClearingMakesPagesCleanAndReadOnlyAndLeavesProtection) {  // E-SD2, E-SD3
    World world;
    world.map(MemoryKind::SS, 2);
    world.store(0, 5);
    world.open(Feature::wp_hugetlbfs_shmem);
    world.register_(0, 2, Mode::wp);
    world.protect(0, 1);
    world.step({.op = Op::clear_refs});
    EXPECT_FALSE(soft_dirty(world, 0));
    EXPECT_FALSE(world.entry(0).write);
    EXPECT_TRUE(world.entry(0).uffd_wp);
    EXPECT_FALSE(world.vma(0).prot_write);
}

TEST(SoftDirty, SwappedAndMigratingPagesBecomeCleanToo) {  // E-SD4
    World world;
    world.map(MemoryKind::A, 2);
    world.store(0, 5);
    world.store(1, 6);
    world.kernel(Op::reclaim, 0);
    world.kernel(Op::migrate_begin, 1);
    world.step({.op = Op::clear_refs});
    EXPECT_FALSE(world.entry(0).soft_dirty);
    EXPECT_FALSE(world.entry(1).soft_dirty);
}

TEST(SoftDirty, APinnedPageStaysDirty) {  // E-SD3
    World world;
    world.map(MemoryKind::A, 2);
    world.kernel(Op::gup_pin, 0);
    const Entry before = world.entry(0);
    world.step({.op = Op::clear_refs});
    EXPECT_EQ(world.entry(0), before);
}

TEST(SoftDirty, AStoreShowsInEveryKindAfterwards) {  // E-SD5, E-SD8, FX-12
    for (const MemoryKind kind : {MemoryKind::A, MemoryKind::SS, MemoryKind::SP}) {
        for (const bool rule : {true, false}) {
            Rules rules = mainline();
            rules.softdirty_writenotify = rule;
            World world(rules);
            world.map(kind, 2);
            world.step({.op = Op::clear_refs});
            world.load(0);
            world.store(0, 5);
            EXPECT_EQ(soft_dirty(world, 0), rule || kind != MemoryKind::SS);
        }
    }
}

TEST(SoftDirty, HugetlbIsNotTracked) {  // E-SD7
    World world;
    world.map(MemoryKind::HS, 2);
    world.store(0, 5);
    const Entry before = world.entry(0);
    world.step({.op = Op::clear_refs});
    EXPECT_EQ(world.entry(0), before);
}

TEST(SoftDirty, UnregisteringDoesNotHideTheNextStore) {  // FX-2, S1-02
    for (const bool rule : {true, false}) {
        Rules rules = mainline();
        rules.unprotect_uses_page_prot = rule;
        World world(rules);
        world.map(MemoryKind::SS, 2);
        world.store(0, 5);
        world.step({.op = Op::clear_refs});
        world.open(Feature::wp_hugetlbfs_shmem);
        world.register_(0, 2, Mode::wp);
        world.unregister(0, 2);
        world.store(0, 6);
        EXPECT_EQ(soft_dirty(world, 0), rule);
    }
}

TEST(SoftDirty, ChangingProtectionDoesNotHideTheNextStore) {  // FX-13
    for (const bool rule : {true, false}) {
        Rules rules = mainline();
        rules.can_change_softdirty_test = rule;
        World world(rules);
        world.map(MemoryKind::SS, 2);
        world.store(0, 5);
        world.step({.op = Op::clear_refs});
        world.mprotect(0, 2, MapFlags::read);
        world.mprotect(0, 2, MapFlags::read | MapFlags::write);
        world.store(0, 6);
        EXPECT_EQ(soft_dirty(world, 0), rule);
    }
}

}  // namespace
}  // namespace verso::mm
