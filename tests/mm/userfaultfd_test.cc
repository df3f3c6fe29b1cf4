// The userfaultfd itself: sections 5.1 (handshake, reading), 6.1 (delivery of a message) and 8.12
// (close). Its ranges: uffd_register_test.cc.
#include <cerrno>

#include "mm/world.h"

namespace verso::mm {
namespace {

/// A second thread of the first process: who handles while thread 0 or 1 waits.
constexpr u8 handler = 1;
void add_thread(World& world) { world.state().threads.push_back(world.state().threads[0]); }

Outcome api(World& world, u64 version, u64 features, u32 flags = 0) {
    Call call{.op = Op::uffd_api, .fd = world.fd, .flags = flags};
    call.address = version;
    call.extra = features;
    return world.step(call);
}

u8 open_only(World& world, u32 flags = 0) {
    world.fd = static_cast<u8>(world.step({.op = Op::uffd_open, .flags = flags}).value);
    return world.fd;
}

Outcome call_by(World& world, u8 thread, Op op, Vpn first, u32 count, u32 flags) {
    Call call{.op = op, .thread = thread, .fd = world.fd, .flags = flags};
    call.address = to_bytes(first);
    call.length = to_bytes(count);
    return world.step(call);
}

Outcome read_by(World& world, u8 thread, u64 room) {
    Call call{.op = Op::uffd_read, .thread = thread, .fd = world.fd};
    call.length = room;
    return world.step(call);
}

/// Kind A of four pages, registered, with a handler thread.
World registered(u32 mode, u32 features, MemoryKind kind = MemoryKind::A, Rules rules = {}) {
    World world(rules);
    add_thread(world);
    world.map(kind, 4);
    world.open(features);
    EXPECT_EQ(world.register_(0, 4, mode).verdict, Verdict::done);
    return world;
}

Waiting waiting(World& world, u8 thread = 0) { return world.state().threads[thread].waiting; }

u64 flagged(const World& world, Vpn at) { return world.vma(at).flags & VmFlag::uffd; }

// ── 5.1 ────────────────────────────────────────────────────────────────────────────────────────

TEST(UffdApi, ChecksVersionThenPrivilegeThenFeatures) {  // AP-2, AP-3, AP-4, AP-6
    World world;
    open_only(world);
    const u64 fork_and_unknown = Feature::event_fork | u64{1} << 40;
    EXPECT_EQ(api(world, 0xab, fork_and_unknown, 1), Outcome::fail(EINVAL));
    EXPECT_EQ(api(world, 0xaa, fork_and_unknown, 1), Outcome::fail(EPERM));
    EXPECT_EQ(api(world, 0xaa, fork_and_unknown), Outcome::fail(EINVAL));
    EXPECT_EQ(api(world, 0xaa, Feature::event_fork), Outcome::ok(0x1ffff));
}

TEST(UffdApi, ListsTheFeaturesOfTheRelease) {  // section 4
    const std::pair<const char*, i64> releases[] = {
        {"5.7", 0x1ff}, {"5.19", 0x1fff}, {"6.4", 0x3fff}, {"6.6", 0x7fff}, {"6.8", 0x1ffff}};
    for (const auto& [name, features] : releases) {
        World world(preset(name).value());
        open_only(world);
        EXPECT_EQ(api(world, 0xaa, 0).value, features) << name;
    }
}

TEST(UffdApi, IsRefusedTheSecondTime) {  // AP-5
    World world;
    world.open(0);
    EXPECT_EQ(api(world, 0xaa, 0), Outcome::fail(EINVAL));
}

TEST(UffdApi, AsyncModeImpliesProtectionOfWhatIsNotPopulated) {  // AP-7, AS-2
    World world;
    world.open(Feature::wp_async);
    EXPECT_EQ(world.state().contexts[0].features, Feature::wp_async | Feature::wp_unpopulated);
}

TEST(UffdApi, EverythingElseComesAfterIt) {  // AP-8, AP-10
    World world;
    world.map(MemoryKind::A, 2);
    open_only(world);
    EXPECT_EQ(world.register_(0, 2, Mode::wp).error, EINVAL);
    EXPECT_EQ(world.protect(0, 2).error, EINVAL);
    EXPECT_EQ(read_by(world, 0, 32).error, EINVAL);
    EXPECT_EQ(api(world, 0xaa, 0).verdict, Verdict::done);
}

TEST(UffdRead, NeedsRoomForAMessageAndAMessage) {  // AP-10, AP-11
    World world;
    world.open(0);
    EXPECT_EQ(read_by(world, 0, 31).error, EINVAL);
    EXPECT_EQ(read_by(world, 0, 32).error, EAGAIN);
}

TEST(UffdRead, GivesFaultsBeforeEvents) {  // AP-12
    World world = registered(Mode::missing, 0);
    world.state().contexts[0].features = Feature::event_remove;
    Message event;
    event.kind = MessageKind::remove;
    Machine machine = world.machine();
    EXPECT_TRUE(announce(machine, 0, event));
    EXPECT_EQ(world.load(1).verdict, Verdict::blocked);
    EXPECT_EQ(read_by(world, handler, 64).value, 64);
    ASSERT_EQ(world.delivered.size(), 2U);
    EXPECT_EQ(world.delivered[0].kind, MessageKind::pagefault);
    EXPECT_EQ(world.delivered[1].kind, MessageKind::remove);
    EXPECT_EQ(world.state().contexts[0].pending.size(), 1U);
    EXPECT_EQ(world.state().contexts[0].mmap_changing, 0);
}

TEST(UffdRead, SaysThePageOrTheExactAddress) {  // AP-13
    for (const bool exact : {false, true}) {
        World world = registered(Mode::missing, exact ? 1U << 11 : 0);
        Call store{.op = Op::store, .address = page_size + 8};
        EXPECT_EQ(world.step(store).verdict, Verdict::blocked);
        read_by(world, handler, 32);
        EXPECT_EQ(world.delivered[0].address, exact ? page_size + 8 : page_size);
    }
}

TEST(UffdRead, OpensTheContextOfAChild) {  // E-FK1
    World world = registered(Mode::wp, Feature::event_fork);
    world.step({.op = Op::fork});
    EXPECT_EQ(waiting(world), Waiting::event);
    EXPECT_FALSE(world.state().contexts[1].open);
    EXPECT_EQ(read_by(world, handler, 32).value, 32);
    ASSERT_EQ(world.delivered[0].kind, MessageKind::fork);
    EXPECT_EQ(world.delivered[0].context, 1);
    EXPECT_TRUE(world.state().contexts[1].open);
    EXPECT_EQ(waiting(world), Waiting::no);
}

TEST(MmapChanging, StopsTheIoctlsThatFillAndProtect) {  // WP-1, FL-1, MV-1
    World world = registered(Mode::missing | Mode::wp, Feature::event_remove);
    Message event;
    event.kind = MessageKind::remove;
    Machine machine = world.machine();
    announce(machine, 0, event);
    const State before = world.state();
    for (const Op op : {Op::uffd_writeprotect, Op::uffd_copy, Op::uffd_zeropage, Op::uffd_continue,
                        Op::uffd_poison, Op::uffd_move}) {
        EXPECT_EQ(call_by(world, 0, op, 0, 1, 0).error, EAGAIN) << to_string(op);
    }
    EXPECT_TRUE(world.state() == before);
    read_by(world, handler, 32);
    EXPECT_EQ(world.protect(0, 1).verdict, Verdict::done);
}

// ── 6.1 ────────────────────────────────────────────────────────────────────────────────────────

TEST(Delivery, WithTheSigbusFeatureIsASignal) {  // FD-2
    World world = registered(Mode::missing | Mode::wp, Feature::sigbus);
    EXPECT_EQ(world.load(0).verdict, Verdict::sigbus);
    EXPECT_TRUE(world.state().contexts[0].faults.empty());
}

TEST(Delivery, OfAnAccessByTheKernelNeedsMoreThanUserMode) {  // FD-3
    World world;
    world.map(MemoryKind::A, 2);
    world.open(0, true);
    world.register_(0, 2, Mode::missing);
    Call read{.op = Op::gup_read};
    EXPECT_EQ(world.step(read).error, EFAULT);
    EXPECT_EQ(world.load(0).verdict, Verdict::blocked) << "the program's own access";
}

TEST(Delivery, SaysWhatHappenedAndLetsTheThreadWait) {  // FD-7
    World world = registered(Mode::missing | Mode::wp, 0);
    EXPECT_EQ(world.store(2, 1).verdict, Verdict::blocked);
    EXPECT_EQ(world.load(2).verdict, Verdict::disabled) << "it waits";
    read_by(world, handler, 32);
    const Message message = world.delivered[0];
    EXPECT_EQ(message.flags, FaultFlag::write);
    EXPECT_EQ(message.address, to_bytes(2));
    EXPECT_EQ(message.thread, 0);
}

TEST(Delivery, NamesTheWholeHugetlbPage) {  // AP-13, FH-1
    World world = registered(Mode::missing, 0, MemoryKind::HS);
    EXPECT_EQ(world.load(3).verdict, Verdict::blocked);
    read_by(world, handler, 32);
    EXPECT_EQ(world.delivered[0].address, to_bytes(2));
}

// ── 8.12 ───────────────────────────────────────────────────────────────────────────────────────

TEST(UffdClose, LiftsProtectionAndFlags) {  // E-CL1, E-CL3, FX-7
    for (const bool clears : {true, false}) {
        Rules rules;
        rules.close_clears_u = clears;
        World world = registered(Mode::wp, Feature::wp_unpopulated, MemoryKind::SS, rules);
        world.store(0, 1);
        world.protect(0, 2);
        EXPECT_EQ(world.step({.op = Op::uffd_close, .fd = world.fd}).verdict, Verdict::done);
        EXPECT_EQ(world.entry(0).uffd_wp, !clears);
        EXPECT_EQ(world.entry(1).none(), clears);
        EXPECT_EQ(flagged(world, 0), 0U);
        EXPECT_EQ(world.vma(0).context, nobody);
        EXPECT_TRUE(world.vma(0).prot_write);
        EXPECT_EQ(world.state().contexts[0], Context{});
    }
}

TEST(UffdClose, LetsEverybodyGoOnWithoutIt) {  // E-CL2
    World world = registered(Mode::missing, 0);
    EXPECT_EQ(world.load(0).verdict, Verdict::blocked);
    world.step({.op = Op::uffd_close, .thread = handler, .fd = world.fd});
    EXPECT_EQ(world.retry(), Outcome::ok(0));
}

TEST(UffdClose, WakesWhoWaitsForAnEventToBeRead) {  // E-CL4
    World world = registered(Mode::missing, Feature::event_unmap);
    Call unmap{.op = Op::munmap, .length = page_size};
    world.step(unmap);
    EXPECT_EQ(waiting(world), Waiting::event);
    world.step({.op = Op::uffd_close, .thread = handler, .fd = world.fd});
    EXPECT_EQ(waiting(world), Waiting::no);
}

TEST(UffdClose, TakesTheContextOfAChildAlongThatNobodyRead) {  // E-FK1, E-CL1
    World world = registered(Mode::wp, Feature::event_fork);
    world.step({.op = Op::fork});
    EXPECT_EQ(world.vma(0, 1).context, 1);
    world.step({.op = Op::uffd_close, .thread = handler, .fd = 0});
    EXPECT_EQ(world.vma(0, 1).context, nobody);
    EXPECT_EQ(world.vma(0, 1).flags & VmFlag::uffd, 0U);
    EXPECT_EQ(world.state().contexts[1], Context{});
    EXPECT_EQ(waiting(world), Waiting::no);
}

TEST(UffdClose, GivesTheDescriptorToWhoOpensNext) {
    World world;
    EXPECT_EQ(world.open(0), 0);
    EXPECT_EQ(world.open(0), 1);
    EXPECT_EQ(world.open(0), 2);
    EXPECT_EQ(world.step({.op = Op::uffd_open}).error, EMFILE);
    EXPECT_EQ(world.step({.op = Op::uffd_close, .fd = 1}).verdict, Verdict::done);
    EXPECT_EQ(world.step({.op = Op::uffd_close, .fd = 1}).error, EBADF);
    EXPECT_EQ(world.open(0), 1);
}

}  // namespace
}  // namespace verso::mm
