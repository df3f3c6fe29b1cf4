// EVENT_REMOVE: what MADV_DONTNEED, FREE and REMOVE announce goes once that was read (E-ZP14).
#include "mm/armed.h"

namespace verso::mm {
namespace {

using K = MemoryKind;

/// Two written pages, registered; thread 1 may read.
World announcing(K kind = K::A) {
    World world;
    world.map(kind, 2);
    world.store(0, 5);
    world.store(1, 6);
    world.open(Feature::event_remove | Feature::sigbus);
    world.register_(0, 2, Mode::missing);
    second_thread(world);
    return world;
}

Outcome read(World& world, u32 messages = 1) {
    Call call{.op = Op::uffd_read, .thread = 1, .fd = world.fd};
    call.length = messages * 32;
    return world.step(call);
}

TEST(RemoveEvent, LeavesThePagesWhereTheyAreUntilItIsRead) {
    for (const Advice advice : {Advice::dontneed, Advice::free}) {
        World world = announcing();
        EXPECT_EQ(world.madvise(0, 2, advice).verdict, Verdict::blocked);
        EXPECT_EQ(world.load(1, 1).value, 6);
        EXPECT_EQ(world.retry().verdict, Verdict::disabled) << "nobody has read it";
        EXPECT_EQ(world.broken(), "");
    }
}

TEST(RemoveEvent, IsFollowedByWhatItAnnounced) {
    World world = announcing();
    world.madvise(0, 2, Advice::dontneed);
    EXPECT_EQ(read(world).verdict, Verdict::done);
    EXPECT_FALSE(world.entry(0).none()) << "the thread has yet to run";
    EXPECT_EQ(world.retry().verdict, Verdict::done);
    EXPECT_TRUE(world.entry(0).none() && world.entry(1).none());
    EXPECT_TRUE(world.state().advising.empty());
    EXPECT_EQ(world.state().threads[0].waiting, Waiting::no);
}

TEST(RemoveEvent, ReachesAStoreThatCameInBetween) {
    World world = announcing();
    world.madvise(0, 2, Advice::dontneed);
    world.store(0, 9, 1);
    read(world);
    world.retry();
    EXPECT_EQ(world.load(0, 1).verdict, Verdict::sigbus) << "9 went, too: MISSING";
}

TEST(RemoveEvent, ComesOnceForEachMappingWhenTheOneBeforeWasRead) {
    World world = announcing();
    world.mprotect(1, 1, MapFlags::read);
    EXPECT_EQ(world.madvise(0, 2, Advice::dontneed).verdict, Verdict::blocked);
    read(world, 2);
    ASSERT_EQ(world.delivered.size(), 1U);
    EXPECT_EQ(world.delivered[0].end, to_bytes(1));
    EXPECT_EQ(world.retry().verdict, Verdict::blocked);
    EXPECT_TRUE(world.entry(0).none());
    EXPECT_FALSE(world.entry(1).none());
    read(world, 2);
    ASSERT_EQ(world.delivered.size(), 1U);
    EXPECT_EQ(world.delivered[0].address, to_bytes(1));
    EXPECT_EQ(world.retry().verdict, Verdict::done);
    EXPECT_TRUE(world.entry(1).none());
}

TEST(RemoveEvent, OfAMappingThatIsGoneByThenIsNoMemory) {
    World world = announcing();
    world.madvise(0, 2, Advice::dontneed);
    Call unmap{.op = Op::munmap, .thread = 1};
    unmap.length = to_bytes(2);
    world.step(unmap);
    read(world);
    EXPECT_EQ(world.retry().error, ENOMEM);
}

TEST(RemoveEvent, PunchesTheFileWhoseMappingIsGoneByThen) {
    World world = announcing(K::SS);
    world.madvise(0, 2, Advice::remove);
    Call unmap{.op = Op::munmap, .thread = 1};
    unmap.length = to_bytes(2);
    world.step(unmap);
    read(world);
    EXPECT_NE(world.state().files[world.file].cache[0].page, no_page);
    EXPECT_EQ(world.retry().verdict, Verdict::done);
    EXPECT_EQ(world.state().files[world.file].cache[0].page, no_page);
}

TEST(RemoveEvent, OfAPartOfAMappingComesOnce) {
    World world = announcing(K::SS);
    EXPECT_EQ(world.madvise(0, 1, Advice::remove).verdict, Verdict::blocked);
    read(world);
    EXPECT_EQ(world.retry().verdict, Verdict::done);
    EXPECT_TRUE(world.state().contexts[world.fd].events.empty());
}

TEST(RemoveEvent, GoesOnWhereAMappingEndsThatShrankMeanwhile) {
    World world = announcing();
    world.madvise(0, 2, Advice::dontneed);
    Call unmap{.op = Op::munmap, .thread = 1};
    unmap.address = to_bytes(1);
    unmap.length = to_bytes(1);
    world.step(unmap);
    read(world);
    EXPECT_EQ(world.retry().error, ENOMEM);
    EXPECT_TRUE(world.entry(0).none());
}

TEST(RemoveEvent, ComesAgainForWhatBecameAMappingOfItsOwnMeanwhile) {
    World world = announcing();
    world.madvise(0, 2, Advice::dontneed);
    Call protect{.op = Op::mprotect, .thread = 1, .flags = MapFlags::read};
    protect.address = to_bytes(1);
    protect.length = to_bytes(1);
    world.step(protect);
    read(world);
    EXPECT_EQ(world.retry().verdict, Verdict::blocked);
    EXPECT_TRUE(world.entry(0).none());
    EXPECT_FALSE(world.entry(1).none());
}

TEST(RemoveEvent, ThatNobodyWillReadIsNotWaitedFor) {
    World world = announcing();
    world.madvise(0, 2, Advice::dontneed);
    world.step({.op = Op::uffd_close, .thread = 1, .fd = world.fd});
    EXPECT_EQ(world.retry().verdict, Verdict::done);
    EXPECT_TRUE(world.entry(0).none());
}

TEST(RemoveEvent, SaysAtTheEndThatThereWasAHole) {
    World world = announcing();
    EXPECT_EQ(world.madvise(0, 3, Advice::dontneed).verdict, Verdict::blocked);
    read(world);
    EXPECT_EQ(world.retry().error, ENOMEM);
    EXPECT_TRUE(world.entry(0).none());
}

TEST(RemoveEvent, OfAThreadThatDiesIsForgotten) {
    World world = announcing();
    world.madvise(0, 2, Advice::dontneed);
    world.step({.op = Op::exit, .thread = 1});
    EXPECT_TRUE(world.state().advising.empty());
    EXPECT_EQ(world.broken(), "");
}

TEST(UnmapEvent, IsToldToOneUserfaultfdAfterTheOther) {  // E-ZP15
    World world;
    world.map(K::A, 2);
    const u8 first = world.open(Feature::event_unmap);
    world.register_(0, 1, Mode::missing);
    const u8 second = world.open(Feature::event_unmap);
    world.register_(1, 1, Mode::missing);
    second_thread(world);
    Call unmap{.op = Op::munmap};
    unmap.length = to_bytes(2);
    world.step(unmap);
    EXPECT_EQ(read(world).error, EAGAIN) << "the second is not told before the first has heard";
    world.fd = first;
    EXPECT_EQ(read(world).verdict, Verdict::done);
    EXPECT_EQ(world.state().threads[0].waiting, Waiting::event);
    world.fd = second;
    EXPECT_EQ(read(world).verdict, Verdict::done);
    EXPECT_EQ(world.state().threads[0].waiting, Waiting::no);
}

/// Populates, sleeps in a fault, and is woken once `between` is done.
Outcome populates_around(const Call& between) {
    World world;
    world.map(K::A, 2);
    world.open(0);
    world.register_(0, 2, Mode::missing);
    second_thread(world);
    EXPECT_EQ(world.madvise(0, 2, Advice::populate_write).verdict, Verdict::blocked);
    world.step(between);
    world.range(Op::uffd_wake, 0, 2, 0);
    world.step({.op = Op::uffd_close, .thread = 1, .fd = world.fd});
    return world.retry();
}

TEST(PopulateThatSlept, SaysWhatBecameOfTheMapping) {  // FG-3
    Call protect{.op = Op::mprotect, .thread = 1, .flags = MapFlags::read};
    protect.length = to_bytes(2);
    EXPECT_EQ(populates_around(protect).error, EINVAL);
    Call unmap{.op = Op::munmap, .thread = 1};
    unmap.length = to_bytes(2);
    EXPECT_EQ(populates_around(unmap).error, ENOMEM);
}

}  // namespace
}  // namespace verso::mm
