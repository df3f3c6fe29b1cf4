// MOVE: section 5.6. Pages 0 and 1 are the source, 2 and 3 the destination.
#include <cerrno>

#include "mm/world.h"

namespace verso::mm {
namespace {

constexpr u32 dont_wake = 1;
constexpr u32 allow_src_holes = 2;
constexpr u8 handler = 1;

/// Four pages of kind A, the second half registered.
World movable(u32 features = 0, Rules rules = {}) {
    World world(rules);
    world.state().threads.push_back(world.state().threads[0]);
    world.map(MemoryKind::A, 4);
    world.open(features);
    EXPECT_EQ(world.register_(2, 2, Mode::missing | Mode::wp).verdict, Verdict::done);
    return world;
}

Outcome move(World& world, Vpn target, Vpn source, u32 count, u32 mode = 0, u8 thread = 0) {
    Call call{.op = Op::uffd_move, .thread = thread, .fd = world.fd, .flags = mode};
    call.address = to_bytes(target);
    call.source = to_bytes(source);
    call.length = to_bytes(count);
    return world.step(call);
}

void put(World& world, Vpn at, const Entry& entry) {
    Machine machine = world.machine();
    set_pte(machine, 0, at, entry);
}

TEST(Move, BelongsToItsOwnAddressSpace) {  // MV-3, MV-5
    World world = movable();
    world.state().spaces.push_back(world.state().spaces[0]);
    world.state().threads[handler].space = 1;
    EXPECT_EQ(move(world, 2, 0, 1, 0, handler).error, EINVAL);
    world.state().spaces[0].alive = false;
    EXPECT_EQ(move(world, 2, 0, 1).error, ESRCH);
}

TEST(Move, ChecksRangesAndMode) {  // MV-4
    World world = movable();
    EXPECT_EQ(move(world, 2, 0, 0).error, EINVAL);
    EXPECT_EQ(move(world, 3, 0, 2).error, EINVAL);
    EXPECT_EQ(move(world, 2, 3, 2).error, EINVAL);
    EXPECT_EQ(move(world, 2, 0, 1, 4).error, EINVAL);
}

TEST(Move, NeedsBothVmas) {  // MV-6
    World world;
    world.map(MemoryKind::A, 1, 2);
    world.open(0);
    world.register_(2, 1, Mode::missing);
    EXPECT_EQ(move(world, 2, 0, 1).error, ENOENT);
    EXPECT_EQ(move(world, 0, 2, 1).error, ENOENT);
}

TEST(Move, RefusesSharedMemoryAndRangesThatLeaveTheirVma) {  // MV-7, MV-10
    World world;
    world.map(MemoryKind::SS, 2, 0);
    world.map(MemoryKind::A, 2, 2);
    world.open(0);
    world.register_(2, 2, Mode::missing);
    EXPECT_EQ(move(world, 2, 0, 1).error, EINVAL);
    World two = movable();
    two.store(1, 1);
    EXPECT_EQ(move(two, 2, 1, 2).error, EINVAL) << "the source range leaves its VMA";
}

TEST(Move, RefusesVmasThatDiffer) {  // MV-8
    World world = movable();
    world.store(0, 1);
    world.mprotect(0, 2, MapFlags::read);
    EXPECT_EQ(move(world, 2, 0, 1).error, EINVAL);
    world.mprotect(2, 2, MapFlags::read);
    EXPECT_EQ(move(world, 2, 0, 1).error, EINVAL) << "equal, but not writable";
    World locked = movable();
    locked.state().find_vma(0, 0)->flags |= VmFlag::locked;
    EXPECT_EQ(move(locked, 2, 0, 1).error, EINVAL);
}

TEST(Move, RefusesHugetlb) {  // MV-9
    World world;
    world.map(MemoryKind::HP, 4);
    world.open(0);
    world.register_(0, 4, Mode::missing);
    EXPECT_EQ(move(world, 2, 0, 2).error, EINVAL);
}

TEST(Move, NeedsADestinationOfThisContextAndKindA) {  // MV-10
    World world = movable();
    world.store(0, 1);
    EXPECT_EQ(move(world, 1, 0, 1).error, EINVAL) << "not registered";
    world.open(0);
    EXPECT_EQ(move(world, 2, 0, 1).error, EINVAL) << "registered with another";
    World file;
    file.map(MemoryKind::SP, 4);
    file.open(0);
    file.register_(0, 4, Mode::missing);
    EXPECT_EQ(move(file, 2, 0, 1).error, EINVAL);
}

TEST(Move, PutsNothingOnTopOfAnything) {  // MV-11, E-GR8
    World world = movable();
    world.store(0, 1);
    for (const u8 marker : {Marker::uffd_wp, Marker::poisoned, Marker::guard}) {
        put(world, 2, make_marker(marker));
        EXPECT_EQ(move(world, 2, 0, 1).error, EEXIST);
    }
}

TEST(Move, MindsHolesUnlessItIsToldNotTo) {  // MV-12
    World world = movable();
    EXPECT_EQ(move(world, 2, 0, 1).error, ENOENT);
    EXPECT_EQ(move(world, 2, 0, 1, allow_src_holes).error, 0);
    EXPECT_EQ(world.entry(2), Entry{});
}

TEST(Move, LeavesSharedAndPinnedPagesWhereTheyAre) {  // MV-13
    World world = movable();
    world.store(0, 1);
    Page& page = world.state().pages[world.entry(0).target];
    page.anon_exclusive = false;
    EXPECT_EQ(move(world, 2, 0, 1).error, EBUSY);
    page.anon_exclusive = true;
    page.pins = 1;
    EXPECT_EQ(move(world, 2, 0, 1).error, EBUSY);
    page.pins = 0;
    page.ksm = true;
    EXPECT_EQ(move(world, 2, 0, 1).error, EBUSY);
    page.ksm = false;
    EXPECT_EQ(move(world, 2, 0, 1).error, 0);
}

TEST(Move, CannotMoveMarkersAndLostPages) {  // MV-14
    World world = movable();
    for (const u8 marker : {Marker::uffd_wp, Marker::poisoned, Marker::guard}) {
        put(world, 0, make_marker(marker));
        EXPECT_EQ(move(world, 2, 0, 1).error, EFAULT);
        EXPECT_EQ(move(world, 2, 0, 1, allow_src_holes).error, EFAULT);
    }
}

TEST(Move, TakesThePageItselfAlong) {  // MV-16
    World world = movable();
    world.store(0, 7);
    const Entry before = world.entry(0);
    EXPECT_EQ(move(world, 2, 0, 1), (Outcome{Verdict::done, 0, 4096, 4096}));
    EXPECT_EQ(world.entry(0), Entry{});
    const Entry after = world.entry(2);
    EXPECT_EQ(after.target, before.target);
    EXPECT_TRUE(after.write && after.soft_dirty && after.dirty);
    EXPECT_EQ(world.state().pages[after.target].maps, 1);
    EXPECT_EQ(world.load(2).value, 7);
}

TEST(Move, KeepsACleanPageClean) {  // MV-16: d as before
    World world = movable();
    world.store(0, 7);
    Entry clean = world.entry(0);
    clean.dirty = clean.soft_dirty = false;
    put(world, 0, clean);
    move(world, 2, 0, 1);
    EXPECT_FALSE(world.entry(2).dirty);
    EXPECT_TRUE(world.entry(2).soft_dirty);
}

TEST(Move, TakesASwapSlotAlong) {  // MV-17, MV-13
    World world = movable();
    Entry swapped = make_swap(0);
    put(world, 0, swapped);
    EXPECT_EQ(move(world, 2, 0, 1).error, EBUSY) << "perhaps somebody else's, too";
    swapped.exclusive = true;
    swapped.uffd_wp = true;
    put(world, 0, swapped);
    EXPECT_EQ(move(world, 2, 0, 1).error, 0);
    swapped.uffd_wp = false;
    swapped.soft_dirty = true;
    EXPECT_EQ(world.entry(2), swapped);
    EXPECT_EQ(world.entry(0), Entry{});
    EXPECT_EQ(world.state().slots[0].count, 1);
}

TEST(Move, MapsTheZeroPageAtTheDestination) {  // MV-18
    World world = movable();
    world.load(0);
    EXPECT_EQ(move(world, 2, 0, 1).error, 0);
    EXPECT_TRUE(world.entry(2).zero);
    EXPECT_FALSE(world.entry(2).uffd_wp);
    EXPECT_EQ(world.entry(0), Entry{});
}

TEST(Move, TakesAHugePageWhole) {  // MV-19
    World world = movable();
    world.state().thp_enabled = true;
    world.store(0, 7);
    const PageId page = world.entry(0).target;
    EXPECT_EQ(move(world, 2, 0, 2).error, 0);
    EXPECT_EQ(pmd_of(world.state(), 0, 0).kind, PmdKind::none);
    EXPECT_EQ(pmd_of(world.state(), 0, 2).kind, PmdKind::leaf);
    EXPECT_EQ(world.entry(2).target, page);
    EXPECT_TRUE(world.entry(2).write && world.entry(2).soft_dirty);
    EXPECT_EQ(world.load(2).value, 7);
}

TEST(Move, SplitsAHugePageToTakeAPartOfIt) {  // MV-20
    World world = movable();
    world.state().thp_enabled = true;
    world.store(0, 7);
    world.store(1, 8);
    EXPECT_EQ(move(world, 2, 1, 1).error, 0);
    EXPECT_EQ(world.load(2).value, 8);
    EXPECT_EQ(world.load(0).value, 7);
    EXPECT_EQ(world.entry(1), Entry{});
}

TEST(Move, WaitsForAMigrationToEnd) {  // MV-21, MV-15
    World world = movable();
    world.store(0, 7);
    world.store(1, 8);
    Entry waiting = make_migration(MigrationKind::write, world.entry(1).target);
    put(world, 1, waiting);
    const State before = world.state();
    EXPECT_EQ(move(world, 2, 0, 2).verdict, Verdict::disabled);
    EXPECT_TRUE(world.state() == before);
}

TEST(Move, CarriesNoProtection) {  // MV-22
    World world = movable();
    world.store(0, 7);
    world.register_(0, 2, Mode::wp);
    world.protect(0, 1);
    EXPECT_TRUE(world.entry(0).uffd_wp);
    EXPECT_EQ(move(world, 2, 0, 1).error, 0);
    EXPECT_FALSE(world.entry(2).uffd_wp);
    EXPECT_EQ(world.store(2, 8).verdict, Verdict::done);
}

TEST(Move, LeavesAWrittenSourceWhereEmptyMeansProtected) {  // MV-22 under S3
    Rules rules;
    rules.none_policy_anon = NonePolicy::protected_;
    World world = movable(Feature::wp_unpopulated, rules);
    world.store(0, 7);
    world.register_(0, 2, Mode::wp);
    EXPECT_EQ(move(world, 2, 0, 1).error, 0);
    EXPECT_EQ(world.entry(0), make_marker(Marker::written));
}

TEST(Move, WakesWhoWaitsAtTheDestination) {  // MV-23
    World world = movable();
    world.store(0, 7);
    EXPECT_EQ(world.load(2).verdict, Verdict::blocked);
    EXPECT_EQ(move(world, 2, 0, 1, dont_wake, handler).error, 0);
    EXPECT_EQ(world.state().threads[0].waiting, Waiting::fault);
    EXPECT_EQ(move(world, 0, 2, 1, 0, handler).error, EINVAL) << "not registered";
    Call wake{.op = Op::uffd_wake, .thread = handler, .fd = world.fd};
    wake.address = to_bytes(2);
    wake.length = page_size;
    world.step(wake);
    EXPECT_EQ(world.retry(), Outcome::ok(7));
    world.store(1, 9);
    EXPECT_EQ(world.load(3).verdict, Verdict::blocked);
    EXPECT_EQ(move(world, 3, 1, 1, 0, handler).error, 0);
    EXPECT_EQ(world.retry(), Outcome::ok(9));
}

TEST(Move, CountsWhatItDidBeforeItFailed) {  // MV-23, FL-25
    World world = movable();
    world.store(0, 7);
    const Outcome partly = move(world, 2, 0, 2);
    EXPECT_EQ(partly.error, EAGAIN);
    EXPECT_EQ(partly.progress, page_size);
    EXPECT_EQ(world.entry(2).kind, EntryKind::present);
}

TEST(Move, DoesNotExistBefore68) {  // section 4
    World world = movable(0, preset("6.7").value());
    world.store(0, 7);
    EXPECT_EQ(move(world, 2, 0, 1).error, EINVAL);
}

}  // namespace
}  // namespace verso::mm
