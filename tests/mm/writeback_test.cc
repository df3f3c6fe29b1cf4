// Writeback's clean step (FC-12, VP7) and the window of S2-11.
#include "mm/armed.h"

namespace verso::mm {
namespace {

using K = MemoryKind;

Outcome device(World& world, Op op, u32 flags = 0) {
    return world.step({.op = op, .flags = flags});
}

TEST(Writeback, ADirtyPageIsCleanedAndTheNextStoreIsNoticed) {
    World world;
    world.map(K::FS, 2);
    world.store(0, 7);
    EXPECT_EQ(world.kernel(Op::writeback_begin, 0), Outcome::ok(1));
    EXPECT_FALSE(world.entry(0).write || world.entry(0).dirty);
    EXPECT_EQ(world.kernel(Op::writeback_begin, 0).verdict, Verdict::disabled);
    EXPECT_EQ(world.kernel(Op::writeback_end, 0).verdict, Verdict::done);
    EXPECT_FALSE(world.state().pages[world.entry(0).target].dirty);
    EXPECT_EQ(world.state().files[world.file].cache[0].disk, 7U);
    world.store(0, 8);
    EXPECT_TRUE(world.state().pages[world.entry(0).target].dirty);
    EXPECT_EQ(world.broken(), "");
}

TEST(Writeback, CleaningKeepsSoftDirtyAndProtection) {
    World world = armed(K::FS, mainline(), async);
    const Entry before = world.entry(0);
    world.kernel(Op::writeback_begin, 0);
    EXPECT_EQ(world.entry(0).soft_dirty, before.soft_dirty);
    EXPECT_TRUE(world.entry(0).uffd_wp);
}

TEST(Writeback, PrivateCopiesAndAnonymousMemoryAreNobodysFile) {
    World anonymous;
    anonymous.map(K::A, 2);
    anonymous.store(0, 7);
    EXPECT_EQ(anonymous.kernel(Op::writeback_begin, 0).verdict, Verdict::disabled);
    World copy;
    copy.map(K::FP, 2);
    copy.store(0, 7);
    copy.kernel(Op::writeback_begin, 0);
    EXPECT_TRUE(copy.entry(0).write && copy.entry(0).dirty);
}

// S2-11: the lock keeps them apart
TEST(Writeback, AMigratingPageIsNotCleaned) {
    World world;
    world.map(K::FS, 2);
    world.store(0, 7);
    world.kernel(Op::migrate_begin, 0);
    EXPECT_EQ(world.kernel(Op::writeback_begin, 0).verdict, Verdict::disabled);
}

// S2-11: in the window of a device migration that was given up, no protected store is missed
TEST(Writeback, InTheWindowOfAFailedDeviceMigrationNoStoreIsMissed) {
    World sync = armed(K::SS);
    device(sync, Op::device_collect);
    device(sync, Op::device_unmap, 1);
    EXPECT_EQ(sync.kernel(Op::writeback_begin, 0).verdict, Verdict::done);
    EXPECT_EQ(device(sync, Op::device_finalize).verdict, Verdict::disabled);
    sync.kernel(Op::writeback_end, 0);
    device(sync, Op::device_finalize);
    EXPECT_TRUE(told(sync.store(0, 8)));

    World file = armed(K::FS, mainline(), async);
    device(file, Op::device_collect);
    device(file, Op::device_unmap, 1);
    file.kernel(Op::writeback_begin, 0);
    file.kernel(Op::writeback_end, 0);
    device(file, Op::device_finalize);
    EXPECT_TRUE(file.entry(0).uffd_wp && !file.entry(0).write);
    EXPECT_TRUE(silent(file.store(0, 8)));
    EXPECT_FALSE(file.entry(0).uffd_wp);
    EXPECT_TRUE(file.state().pages[file.entry(0).target].dirty);
}

// S2-11, without userfaultfd: the entry that comes back writable is clean, and the processor notes
// the next store in it
TEST(Writeback, AWritableEntryThatWasCleanedInTheWindowNotesTheNextStore) {
    World world;
    world.map(K::FS, 2);
    world.store(0, 7);
    device(world, Op::device_collect);
    device(world, Op::device_unmap, 1);
    world.kernel(Op::writeback_begin, 0);
    world.kernel(Op::writeback_end, 0);
    device(world, Op::device_finalize);
    EXPECT_FALSE(world.entry(0).dirty);
    world.store(0, 8);
    EXPECT_TRUE(world.entry(0).dirty);
    EXPECT_EQ(world.kernel(Op::writeback_begin, 0), Outcome::ok(1));
    EXPECT_EQ(world.state().files[world.file].cache[0].disk, 8U);
}

}  // namespace
}  // namespace verso::mm
