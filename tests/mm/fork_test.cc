// fork and exit: sections 8.8 and 8.12.
#include "mm/world.h"

namespace verso::mm {
namespace {

constexpr u32 sync = Feature::pagefault_flag_wp | Feature::wp_hugetlbfs_shmem | Feature::sigbus;

u8 fork(World& world) {
    const Outcome forked = world.step({.op = Op::fork});
    EXPECT_EQ(forked.verdict, Verdict::done);
    return static_cast<u8>(forked.value);
}

World armed(MemoryKind kind, u32 features, Rules rules = mainline()) {
    World world(rules);
    world.map(kind, 2);
    world.store(0, 5);
    world.open(features);
    world.register_(0, 2, Mode::wp);
    EXPECT_EQ(world.protect(0, 2).verdict, Verdict::done);
    return world;
}

TEST(Fork, WithTheEventTheChildKeepsItsProtection) {  // E-FK1, E-FK3, E-FK8
    World world = armed(MemoryKind::SS, sync | Feature::event_fork);
    world.madvise(0, 1, Advice::dontneed);
    fork(world);
    EXPECT_TRUE(world.vma(0, 1).has(VmFlag::uffd_wp));
    EXPECT_TRUE(world.entry(0, 1).is_marker(Marker::uffd_wp));
    Call read{.op = Op::uffd_read, .thread = 1, .fd = world.fd};
    ASSERT_EQ(world.step(read).verdict, Verdict::done);
    ASSERT_EQ(world.delivered.size(), 1U);
    EXPECT_EQ(world.delivered[0].kind, MessageKind::fork);
    EXPECT_EQ(world.delivered[0].context, world.vma(0, 1).context);
    EXPECT_EQ(world.broken(), "");
}

TEST(Fork, WithoutTheEventTheChildHasNeitherContextNorProtection) {  // E-FK2, E-FK3
    World world = armed(MemoryKind::A, sync);
    const u8 child = fork(world);
    EXPECT_EQ(world.vma(0, 1).context, nobody);
    EXPECT_FALSE(world.entry(0, 1).uffd_wp);
    EXPECT_TRUE(world.entry(0, 0).uffd_wp);
    EXPECT_EQ(world.store(0, 6, child).verdict, Verdict::done);
    EXPECT_EQ(world.load(0).value, 5);
    EXPECT_EQ(world.broken(), "");
}

TEST(Fork, APinnedPageStaysTheParentsOwn) {  // E-FK4
    World world;
    world.map(MemoryKind::A, 2);
    world.store(0, 5);
    world.kernel(Op::gup_pin, 0);
    const Entry before = world.entry(0);
    fork(world);
    EXPECT_EQ(world.entry(0), before);
    EXPECT_NE(world.entry(0, 1).target, before.target);
    EXPECT_EQ(world.broken(), "");
}

TEST(Fork, ASwappedPageIsNoLongerExclusive) {  // E-FK6
    World world = armed(MemoryKind::A, sync);
    ASSERT_EQ(world.kernel(Op::reclaim, 0).verdict, Verdict::done);
    fork(world);
    EXPECT_FALSE(world.entry(0, 0).exclusive);
    EXPECT_TRUE(world.entry(0, 0).uffd_wp);
    EXPECT_FALSE(world.entry(0, 1).uffd_wp);
    EXPECT_EQ(world.broken(), "");
}

TEST(Fork, AMigratingPageMigratesAsShared) {  // E-FK7
    World world;
    world.map(MemoryKind::A, 2);
    world.store(0, 5);
    world.kernel(Op::migrate_begin, 0);
    fork(world);
    EXPECT_EQ(world.entry(0, 0).migration, MigrationKind::read);
    EXPECT_EQ(world.entry(0, 1).migration, MigrationKind::read);
    EXPECT_EQ(world.kernel(Op::migrate_end, 0).verdict, Verdict::done);
    EXPECT_EQ(world.broken(), "");
}

TEST(Fork, BeforeSixTwoAChildInheritsMarkersThatItsMappingCannotSpeakOf) {  // E-FK8, FX-8
    for (const bool fixed : {true, false}) {
        Rules rules = mainline();
        rules.fork_drops_markers = fixed;
        World world = armed(MemoryKind::SS, sync, rules);
        world.madvise(0, 2, Advice::dontneed);
        fork(world);
        EXPECT_EQ(world.broken().substr(0, 2), fixed ? "" : "I4");
    }
}

TEST(Fork, GuardsAreCopied) {  // E-FK9, E-GR7
    World world;
    world.map(MemoryKind::SS, 2);
    world.madvise(0, 1, Advice::guard_install);
    const u8 child = fork(world);
    EXPECT_EQ(world.load(0, child).verdict, Verdict::sigsegv);
}

TEST(Fork, ASharedMappingIsFaultedInByTheChild) {  // E-FK10
    World world = armed(MemoryKind::SS, sync);
    const u8 child = fork(world);
    EXPECT_TRUE(world.entry(0, 1).none());
    EXPECT_EQ(world.load(0, child).value, 5);
}

TEST(Fork, AHugePageIsSharedAsAWhole) {  // E-FK11
    World world;
    world.map(MemoryKind::A, 2);
    world.store(0, 5);
    world.store(1, 6);
    world.madvise(0, 2, Advice::collapse);
    const u8 child = fork(world);
    EXPECT_EQ(world.state().spaces[1].pmds[0].kind, PmdKind::leaf);
    world.store(1, 7, child);
    EXPECT_EQ(world.load(1).value, 6);
    EXPECT_EQ(world.load(0, child).value, 5);
    EXPECT_EQ(world.broken(), "");
}

TEST(Exit, NothingIsLeftAndNobodyWaits) {  // E-ZP13, E-CL4
    World world = armed(MemoryKind::A, Feature::pagefault_flag_wp);
    fork(world);
    world.store(0, 6);  // waits
    Call exit{.op = Op::exit, .thread = 1};
    EXPECT_EQ(world.step(exit).verdict, Verdict::done);
    EXPECT_FALSE(world.state().spaces[1].alive);
    EXPECT_EQ(world.broken(), "");
    EXPECT_EQ(world.entry(0).maps_page(), true);
}

}  // namespace
}  // namespace verso::mm
