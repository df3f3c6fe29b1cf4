// What madvise distributes.
#include "mm/world.h"

namespace verso::mm {
namespace {

constexpr u32 sync = Feature::pagefault_flag_wp | Feature::wp_hugetlbfs_shmem;

TEST(Madvise, DontneedOfProtectedAnonymousMemoryLeavesNothing) {  // E-ZP1, E-ZP9
    World world;
    world.map(MemoryKind::A, 2);
    world.store(0, 5);
    world.open(sync | Feature::sigbus);
    world.register_(0, 2, Mode::wp);
    world.protect(0, 2);
    EXPECT_EQ(world.madvise(0, 1, Advice::dontneed).verdict, Verdict::done);
    EXPECT_TRUE(world.entry(0).none());
}

TEST(Madvise, RemovePunchesTheFileAndKeepsProtection) {  // E-ZP10, E-ZP12
    World world;
    world.map(MemoryKind::SS, 2);
    world.store(0, 5);
    world.open(sync | Feature::sigbus);
    world.register_(0, 2, Mode::wp);
    world.protect(0, 2);
    ASSERT_EQ(world.madvise(0, 1, Advice::remove).verdict, Verdict::done);
    EXPECT_EQ(world.load(0).value, zeroes);
    EXPECT_TRUE(world.entry(0).uffd_wp);
}

TEST(Madvise, FreedPagesAreCleanAndStillProtected) {  // E-SW4, E-SW5
    World world;
    world.map(MemoryKind::A, 2);
    world.store(0, 5);
    world.store(1, 6);
    world.kernel(Op::reclaim, 1);
    world.open(sync);
    world.register_(0, 2, Mode::wp);
    world.protect(0, 2);
    ASSERT_EQ(world.madvise(0, 2, Advice::free).verdict, Verdict::done);
    EXPECT_FALSE(world.entry(0).dirty);
    EXPECT_TRUE(world.entry(0).uffd_wp);
    EXPECT_TRUE(world.state().pages[world.entry(0).target].lazyfree);
    EXPECT_TRUE(world.entry(1).none());
    EXPECT_EQ(world.broken(), "");
}

TEST(Madvise, PageoutOfPartOfAHugePageSplitsItAndKeepsProtection) {
    World world;
    world.map(MemoryKind::A, 2);
    world.store(0, 5);
    world.store(1, 6);
    world.madvise(0, 2, Advice::collapse);
    world.open(sync);
    world.register_(0, 2, Mode::wp);
    world.protect(0, 2);
    ASSERT_EQ(world.madvise(0, 1, Advice::pageout).verdict, Verdict::done);
    EXPECT_EQ(world.entry(0).kind, EntryKind::swap);
    EXPECT_TRUE(world.entry(0).uffd_wp);
    EXPECT_TRUE(world.entry(1).uffd_wp);
    EXPECT_EQ(world.load(0).value, 5);
    EXPECT_EQ(world.broken(), "");
}

TEST(Madvise, PopulatingAProtectedPageFailsWhereMessagesAreSignals) {  // FG-3
    World world;
    world.map(MemoryKind::A, 2);
    world.store(0, 5);
    world.open(sync | Feature::sigbus);
    world.register_(0, 2, Mode::wp);
    world.protect(0, 1);
    EXPECT_EQ(world.madvise(0, 1, Advice::populate_write), Outcome::fail(EFAULT));
    EXPECT_EQ(world.madvise(0, 2, Advice::populate_read).verdict, Verdict::done);
    EXPECT_EQ(world.madvise(0, 2, Advice::populate_read).verdict, Verdict::done);
}

TEST(Madvise, DontneedOfLockedMemoryIsRefusedUnlessItIsHugetlb) {
    for (const MemoryKind kind : {MemoryKind::A, MemoryKind::SS, MemoryKind::HS}) {
        World world;
        world.map(kind, 2);
        world.store(0, 5);
        world.state().find_vma(0, 0)->flags |= VmFlag::locked;
        const bool hugetlb = kind == MemoryKind::HS;
        EXPECT_EQ(world.madvise(0, 2, Advice::dontneed).error, hugetlb ? 0 : EINVAL);
    }
}

TEST(Madvise, AHoleIsReportedAtTheEnd) {
    World world;
    world.map(MemoryKind::A, 1, 0);
    world.map(MemoryKind::A, 1, 2);
    world.store(0, 5);
    world.store(2, 6);
    EXPECT_EQ(world.madvise(0, 3, Advice::dontneed), Outcome::fail(ENOMEM));
    EXPECT_TRUE(world.entry(0).none());
    EXPECT_TRUE(world.entry(2).none());
}

TEST(Madvise, FlagsCutTheMapping) {
    World world;
    world.map(MemoryKind::A, 4);
    world.madvise(1, 2, Advice::nohugepage);
    EXPECT_EQ(world.state().spaces[0].vmas.size(), 3U);
    world.madvise(1, 2, Advice::hugepage);
    EXPECT_TRUE(world.vma(1).has(VmFlag::hugepage));
    EXPECT_FALSE(world.vma(1).has(VmFlag::nohugepage));
}

}  // namespace
}  // namespace verso::mm
