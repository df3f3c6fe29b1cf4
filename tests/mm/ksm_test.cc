// Merging of equal pages: section 8.7.
#include "mm/world.h"

namespace verso::mm {
namespace {

/// Two pages with the same bytes, that may be merged; page 0 protected if asked.
World twins(u32 features, bool armed, Contents value = 7) {
    World world;
    world.map(MemoryKind::A, 2);
    world.madvise(0, 2, Advice::mergeable);
    world.store(0, value);
    world.store(1, value);
    if (features != 0) {
        world.open(features);
        world.register_(0, 2, Mode::wp);
    }
    if (armed) {
        EXPECT_EQ(world.protect(0, 1).verdict, Verdict::done);
    }
    return world;
}

Outcome merge(World& world, u32 flags = 0) {
    Call call{.op = Op::ksm_merge, .flags = flags};
    call.source = page_size;
    return world.step(call);
}

constexpr u32 sync = Feature::pagefault_flag_wp | Feature::sigbus;

TEST(Ksm, MergedPagesAreOneThatNobodyMayWrite) {  // E-KS1
    World world = twins(0, false);
    ASSERT_EQ(merge(world).verdict, Verdict::done);
    EXPECT_EQ(world.entry(0).target, world.entry(1).target);
    for (const Vpn at : {0U, 1U}) {
        EXPECT_FALSE(world.entry(at).write);
        EXPECT_TRUE(world.entry(at).soft_dirty);
    }
    EXPECT_EQ(world.broken(), "");
}

TEST(Ksm, ProtectionSurvivesAMerge) {  // E-KS2, E-KS6
    World world = twins(sync, true);
    ASSERT_EQ(merge(world).verdict, Verdict::done);
    EXPECT_TRUE(world.entry(0).uffd_wp);
    EXPECT_FALSE(world.entry(1).uffd_wp);
    EXPECT_EQ(world.store(0, 8).verdict, Verdict::sigbus);
    EXPECT_EQ(world.broken(), "");
}

TEST(Ksm, AMergeWithTheZeroPageKeepsProtection) {  // E-KS3
    World world = twins(sync, true, zeroes);
    ASSERT_EQ(merge(world, 1).verdict, Verdict::done);
    EXPECT_TRUE(world.entry(0).zero);
    EXPECT_TRUE(world.entry(0).uffd_wp);
    EXPECT_EQ(world.broken(), "");
}

TEST(Ksm, AMergedCleanPageStaysClean) {  // E-KS4
    World world = twins(Feature::wp_async, true);
    ASSERT_EQ(merge(world).verdict, Verdict::done);
    EXPECT_TRUE(world.entry(0).uffd_wp);
    EXPECT_EQ(world.store(0, 8).verdict, Verdict::done);
    EXPECT_FALSE(world.entry(0).uffd_wp);
}

TEST(Ksm, AStoreToAMergedPageMakesACopy) {  // E-KS5
    World world = twins(0, false);
    merge(world);
    ASSERT_EQ(world.store(0, 8).verdict, Verdict::done);
    EXPECT_EQ(world.load(0).value, 8);
    EXPECT_EQ(world.load(1).value, 7);
    EXPECT_EQ(world.broken(), "");
}

TEST(Ksm, UnmergingMakesAPrivateCopyThatIsStillProtected) {  // E-KS7
    World world = twins(sync, true);
    merge(world);
    ASSERT_EQ(world.madvise(0, 2, Advice::unmergeable).verdict, Verdict::done);
    EXPECT_NE(world.entry(0).target, world.entry(1).target);
    EXPECT_TRUE(world.entry(0).uffd_wp);
    EXPECT_TRUE(world.entry(0).soft_dirty);
    EXPECT_EQ(world.broken(), "");
}

TEST(Ksm, APinnedPageIsNotMerged) {
    World world = twins(0, false);
    world.kernel(Op::gup_pin, 0);
    EXPECT_EQ(merge(world).verdict, Verdict::disabled);
}

}  // namespace
}  // namespace verso::mm
