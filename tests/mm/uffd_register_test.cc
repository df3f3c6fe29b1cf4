// Ranges of a userfaultfd: sections 5.2 (REGISTER), 5.3 (UNREGISTER, WAKE) and 5.5 (the call
// WRITEPROTECT; what it does to entries: write_protect_test.cc).
#include <cerrno>

#include "mm/world.h"

namespace verso::mm {
namespace {

/// A second thread of the first process: who handles while thread 0 or 1 waits.
constexpr u8 handler = 1;
void add_thread(World& world) { world.state().threads.push_back(world.state().threads[0]); }

Outcome call_by(World& world, u8 thread, Op op, Vpn first, u32 count, u32 flags) {
    Call call{.op = op, .thread = thread, .fd = world.fd, .flags = flags};
    call.address = to_bytes(first);
    call.length = to_bytes(count);
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

// ── 5.2 ────────────────────────────────────────────────────────────────────────────────────────

TEST(UffdRegister, RefusesModesThatAreNone) {  // RG-2
    World world;
    world.map(MemoryKind::A, 2);
    world.open(0);
    EXPECT_EQ(world.register_(0, 2, 0).error, EINVAL);
    EXPECT_EQ(world.register_(0, 2, 8).error, EINVAL);
}

TEST(UffdRegister, RefusesRangesThatAreNone) {  // RG-3, RG-5
    World world;
    world.map(MemoryKind::A, 1, 0);
    world.open(0);
    Call call{.op = Op::uffd_register, .fd = world.fd, .flags = Mode::wp};
    const std::pair<u64, u64> ranges[] = {{1, page_size},   {0, page_size + 1},
                                          {0, 0},           {page_size, ~u64{0} - page_size + 1},
                                          {0, to_bytes(5)}, {to_bytes(2), page_size}};
    for (const auto& [start, length] : ranges) {
        call.address = start;
        call.length = length;
        EXPECT_EQ(world.step(call).error, EINVAL) << start << "+" << length;
    }
}

TEST(UffdRegister, SaysThatTheAddressSpaceIsGone) {  // RG-4, UN-3, WP-6, FL-5
    World world = registered(Mode::wp, 0);
    world.state().spaces.push_back(world.state().spaces[0]);
    world.state().threads[handler].space = 1;
    world.state().spaces[0].alive = false;
    EXPECT_EQ(call_by(world, handler, Op::uffd_register, 0, 4, Mode::wp).error, ENOMEM);
    EXPECT_EQ(call_by(world, handler, Op::uffd_unregister, 0, 4, 0).error, ENOMEM);
    EXPECT_EQ(call_by(world, handler, Op::uffd_writeprotect, 0, 4, 1).error, ESRCH);
    EXPECT_EQ(call_by(world, handler, Op::uffd_copy, 0, 1, 0).error, ESRCH);
}

TEST(UffdRegister, TakesHugePagesWholeOrNotAtAll) {  // RG-6, RG-9, UN-5
    World world;
    world.map(MemoryKind::HS, 4);
    world.open(0);
    EXPECT_EQ(world.register_(1, 1, Mode::wp).error, EINVAL);
    EXPECT_EQ(world.register_(0, 3, Mode::wp).error, EINVAL);
    EXPECT_EQ(world.register_(0, 2, Mode::wp).verdict, Verdict::done);
    EXPECT_EQ(flagged(world, 2), 0U);
    EXPECT_EQ(world.unregister(1, 1).error, EINVAL);
    EXPECT_EQ(world.unregister(0, 1).error, EINVAL);
}

TEST(UffdRegister, MatchesKindsAndModes) {  // RG-7 and the table below it
    using enum MemoryKind;
    for (const MemoryKind kind : {A, SS, SP, HS, HP, FS, FP}) {
        const bool ordinary = kind == FS || kind == FP;
        for (u32 mode = 1; mode < 8; ++mode) {
            for (const bool async : {false, true}) {
                World world;
                world.map(kind, 2);
                world.open(async ? Feature::wp_async : 0);
                const bool minor_fits = (mode & Mode::minor) == 0 || kind != A;
                const bool fits = ordinary ? async && mode == Mode::wp : minor_fits;
                EXPECT_EQ(world.register_(0, 2, mode).error, fits ? 0 : EINVAL)
                    << "kind " << static_cast<int>(kind) << " mode " << mode << " async " << async;
            }
        }
    }
}

TEST(UffdRegister, ProtectsSharedMemoryOnlySince519) {  // RG-7, S2-09
    for (const char* name : {"5.7", "5.19"}) {
        World world(preset(name).value());
        world.map(MemoryKind::SS, 2);
        world.open(0);
        const int expected = std::string_view(name) == "5.7" ? EINVAL : 0;
        EXPECT_EQ(world.register_(0, 2, Mode::wp).error, expected);
        EXPECT_EQ(world.register_(0, 2, Mode::missing).error, 0);
    }
}

TEST(UffdRegister, RefusesDroppableMemory) {  // RG-7
    World world;
    Call call{.op = Op::mmap};
    call.flags = MapFlags::read | MapFlags::write | MapFlags::droppable;
    call.length = page_size;
    world.step(call);
    world.open(0);
    EXPECT_EQ(world.register_(0, 1, Mode::wp).error, EINVAL);
}

TEST(UffdRegister, RefusesSharedMemoryThatMayNotBeWritten) {  // RG-8
    World world;
    world.map(MemoryKind::SS, 2);
    world.state().find_vma(0, 0)->flags &= ~(VmFlag::write | VmFlag::may_write);
    world.open(0);
    EXPECT_EQ(world.register_(0, 2, Mode::wp).error, EPERM);
}

TEST(UffdRegister, RefusesMemoryOfAnotherContextAndChangesNothing) {  // RG-10
    World world;
    world.map(MemoryKind::A, 4);
    world.open(0);
    world.register_(2, 2, Mode::wp);
    world.open(0);
    const State before = world.state();
    EXPECT_EQ(world.register_(0, 4, Mode::wp).error, EBUSY);
    EXPECT_TRUE(world.state() == before);
}

TEST(UffdRegister, AcceptsHolesAndReadOnlyPrivateMemory) {  // RG-11
    World world;
    world.map(MemoryKind::A, 1, 0);
    world.map(MemoryKind::A, 1, 3);
    world.mprotect(0, 1, MapFlags::read);
    world.open(0);
    EXPECT_EQ(world.register_(0, 4, Mode::wp).verdict, Verdict::done);
    EXPECT_EQ(flagged(world, 0), VmFlag::uffd_wp);
    EXPECT_EQ(flagged(world, 3), VmFlag::uffd_wp);
}

TEST(UffdRegister, CutsVmasAtTheEndsAndJoinsWhatAgrees) {  // RG-12
    World world;
    world.map(MemoryKind::A, 4);
    world.open(0);
    world.register_(1, 1, Mode::wp);
    EXPECT_EQ(world.state().spaces[0].vmas.size(), 3U);
    world.register_(2, 2, Mode::wp);
    EXPECT_EQ(world.state().spaces[0].vmas.size(), 2U);
    EXPECT_EQ(flagged(world, 0), 0U);
}

TEST(UffdRegister, ReplacesTheModeUnlessItIsContainedInTheOldOne) {  // RG-13
    World world = registered(Mode::missing | Mode::wp, 0);
    world.register_(0, 4, Mode::wp);
    EXPECT_EQ(flagged(world, 0), VmFlag::uffd_missing | VmFlag::uffd_wp) << "contained";
    world.unregister(0, 4);
    world.register_(0, 4, Mode::wp);
    world.register_(0, 4, Mode::missing);
    EXPECT_EQ(flagged(world, 0), VmFlag::uffd_missing) << "replaced";
}

TEST(UffdRegister, LiftsProtectionWhereItTakesTheModeAway) {  // RG-14, I4
    World world = registered(Mode::wp, Feature::wp_unpopulated);
    world.store(0, 1);
    world.protect(0, 4);
    EXPECT_EQ(world.register_(0, 4, Mode::missing).verdict, Verdict::done);
    EXPECT_FALSE(world.entry(0).uffd_wp);
    EXPECT_EQ(world.entry(1), Entry{});
}

TEST(UffdRegister, TouchesNoEntryWhenItBegins) {  // RG-15
    World world;
    world.map(MemoryKind::SS, 2);
    world.store(0, 1);
    const Entry before = world.entry(0);
    world.open(0);
    world.register_(0, 2, Mode::wp);
    EXPECT_EQ(world.entry(0), before);
    EXPECT_FALSE(world.vma(0).prot_write);
}

TEST(UffdRegister, ReportsWhatCanBeDoneWithTheRange) {  // RG-17
    using enum MemoryKind;
    const std::tuple<MemoryKind, u32, i64> expected[] = {
        {A, Mode::wp, 0x17c},      {SS, Mode::wp, 0x17c},    {SP, Mode::wp, 0x17c},
        {A, Mode::missing, 0x13c}, {SS, Mode::minor, 0x1bc}, {SS, Mode::wp | Mode::minor, 0x1fc},
        {HS, Mode::wp, 0x14c},     {HP, Mode::wp, 0x14c},
    };
    for (const auto& [kind, mode, ioctls] : expected) {
        World world;
        world.map(kind, 2);
        world.open(0);
        EXPECT_EQ(world.register_(0, 2, mode).value, ioctls) << static_cast<int>(kind);
    }
}

TEST(UffdRegister, CanExcludeMissingWhereEmptyMemoryIsProtected) {  // S4-11
    Rules rules;
    rules.wp_unallocated_excludes_missing = true;
    World world(rules);
    world.map(MemoryKind::A, 2);
    world.open(Feature::wp_unpopulated);
    EXPECT_EQ(world.register_(0, 2, Mode::missing | Mode::wp).error, EINVAL);
    EXPECT_EQ(world.register_(0, 2, Mode::wp).error, 0);
}

// ── 5.3 ────────────────────────────────────────────────────────────────────────────────────────

TEST(UffdUnregister, ChecksItsRange) {  // UN-2, UN-4
    World world;
    world.map(MemoryKind::A, 1, 0);
    world.open(0);
    Call call{.op = Op::uffd_unregister, .fd = world.fd, .address = 1, .length = page_size};
    EXPECT_EQ(world.step(call).error, EINVAL);
    EXPECT_EQ(world.unregister(2, 1).error, EINVAL);
}

TEST(UffdUnregister, RefusesKindsThatCannotBeServed) {  // UN-6
    World world;
    world.map(MemoryKind::A, 2, 0);
    world.map(MemoryKind::FS, 2, 2);
    world.open(0);
    world.register_(0, 2, Mode::wp);
    EXPECT_EQ(world.unregister(0, 4).error, EINVAL);
    EXPECT_EQ(flagged(world, 0), VmFlag::uffd_wp);
}

TEST(UffdUnregister, RefusesWhatBelongsToAnotherContextSince617) {  // UN-7
    for (const bool checked : {true, false}) {
        Rules rules;
        rules.has_register_owner_check = checked;
        World world(rules);
        world.map(MemoryKind::A, 2);
        world.open(0);
        world.register_(0, 2, Mode::wp);
        world.open(0);
        EXPECT_EQ(world.unregister(0, 2).error, checked ? EINVAL : 0);
        EXPECT_EQ(world.vma(0).context, checked ? 0 : nobody);
    }
}

TEST(UffdUnregister, WakesWhoWaits) {  // UN-8
    World world = registered(Mode::wp, 0);
    world.store(0, 1);
    world.protect(0, 1);
    EXPECT_EQ(world.store(0, 2).verdict, Verdict::blocked);
    EXPECT_EQ(call_by(world, handler, Op::uffd_unregister, 0, 4, 0).verdict, Verdict::done);
    EXPECT_EQ(waiting(world), Waiting::retry);
    EXPECT_EQ(world.retry().verdict, Verdict::done);
    EXPECT_EQ(world.load(0).value, 2);
}

TEST(UffdUnregister, LiftsProtectionAndFlags) {  // UN-9, UN-10, FX-6
    for (const bool clears : {true, false}) {
        Rules rules;
        rules.unregister_clears_u = clears;
        World world = registered(Mode::wp, Feature::wp_unpopulated, MemoryKind::SS, rules);
        world.store(0, 1);
        world.protect(0, 2);
        world.unregister(0, 4);
        EXPECT_EQ(world.entry(0).uffd_wp, !clears);
        EXPECT_EQ(world.entry(0).write, clears) << "O9, asked before vm_page_prot has W again";
        EXPECT_EQ(world.entry(1).none(), clears);
        EXPECT_EQ(flagged(world, 0), 0U);
        EXPECT_EQ(world.vma(0).context, nobody);
        EXPECT_TRUE(world.vma(0).prot_write);
    }
}

TEST(UffdUnregister, LeavesNoMarkerOfEitherKind) {  // UN-9 where empty means protected (S3)
    Rules rules;
    rules.none_policy_file = NonePolicy::protected_;
    World world = registered(Mode::wp, 0, MemoryKind::SS, rules);
    EXPECT_EQ(world.store(0, 1, handler).verdict, Verdict::blocked);
    world.clear(1, 1);
    EXPECT_EQ(world.unregister(0, 4).verdict, Verdict::done);
    for (Vpn at = 0; at < 4; ++at) {
        EXPECT_NE(world.entry(at).kind, EntryKind::marker) << at;
    }
}

TEST(UffdWake, LooksAtWaitersOnlyNotAtVmas) {  // WK-2, WK-3
    World world = registered(Mode::missing, 0);
    EXPECT_EQ(world.load(1).verdict, Verdict::blocked);
    EXPECT_EQ(call_by(world, handler, Op::uffd_wake, 0, 0, 0).error, EINVAL);
    EXPECT_EQ(call_by(world, handler, Op::uffd_wake, 0, 1, 0).verdict, Verdict::done);
    EXPECT_EQ(waiting(world), Waiting::fault) << "not in the range";
    EXPECT_EQ(call_by(world, handler, Op::uffd_wake, 1, 1, 0).verdict, Verdict::done);
    EXPECT_EQ(waiting(world), Waiting::retry);
    EXPECT_TRUE(world.state().contexts[0].faults.empty());
    EXPECT_EQ(world.retry().verdict, Verdict::blocked) << "nothing was resolved";
}

// ── 5.5 ────────────────────────────────────────────────────────────────────────────────────────

TEST(UffdWriteProtect, ChecksRangeAndMode) {  // WP-3, WP-4, WP-5
    World world = registered(Mode::wp, 0);
    EXPECT_EQ(world.range(Op::uffd_writeprotect, 0, 0, 1).error, EINVAL);
    EXPECT_EQ(world.range(Op::uffd_writeprotect, 0, 5, 1).error, EINVAL);
    EXPECT_EQ(world.range(Op::uffd_writeprotect, 0, 1, 4).error, EINVAL);
    EXPECT_EQ(world.range(Op::uffd_writeprotect, 0, 1, 3).error, EINVAL);
}

TEST(UffdWriteProtect, NeedsMemoryThatIsRegisteredForItHere) {  // WP-8, WP-9
    World world;
    world.map(MemoryKind::A, 2, 0);
    world.open(0);
    EXPECT_EQ(world.protect(2, 1).error, ENOENT) << "no VMA";
    world.register_(0, 2, Mode::missing);
    EXPECT_EQ(world.protect(0, 1).error, ENOENT) << "not for WP";
    world.register_(0, 2, Mode::wp);
    world.open(0);
    EXPECT_EQ(world.protect(0, 1).error, ENOENT) << "of another context";
}

TEST(UffdWriteProtect, TakesHugePagesWhole) {  // WP-10
    World world = registered(Mode::wp, 0, MemoryKind::HS);
    EXPECT_EQ(world.protect(1, 1).error, EINVAL);
    EXPECT_EQ(world.protect(0, 1).error, EINVAL);
    EXPECT_EQ(world.protect(0, 2).error, 0);
}

TEST(UffdWriteProtect, WakesWhenItClearsNotWhenItSets) {  // WP-12
    World world = registered(Mode::wp, 0);
    world.store(0, 1);
    world.protect(0, 1);
    EXPECT_EQ(world.store(0, 2).verdict, Verdict::blocked);
    call_by(world, handler, Op::uffd_writeprotect, 0, 1, 1);
    EXPECT_EQ(waiting(world), Waiting::fault);
    call_by(world, handler, Op::uffd_writeprotect, 0, 1, 2);
    EXPECT_EQ(waiting(world), Waiting::fault) << "DONTWAKE";
    call_by(world, handler, Op::uffd_writeprotect, 0, 1, 0);
    EXPECT_EQ(world.retry().verdict, Verdict::done);
    EXPECT_EQ(world.load(0).value, 2);
}

TEST(UffdWriteProtect, StopsAtTheFirstVmaThatIsNotRegistered) {  // WP-13
    World world;
    world.map(MemoryKind::A, 1, 0);
    world.map(MemoryKind::A, 1, 2);
    world.store(0, 1);
    world.store(2, 1);
    world.open(0);
    world.register_(0, 1, Mode::wp);
    EXPECT_EQ(world.protect(0, 4).error, ENOENT);
    EXPECT_TRUE(world.entry(0).uffd_wp) << "stays changed";
    world.register_(2, 1, Mode::wp);
    EXPECT_EQ(world.protect(0, 4).error, 0) << "holes are skipped";
    EXPECT_TRUE(world.entry(2).uffd_wp);
}

TEST(UffdWriteProtect, SpansOneVmaOnlyUntil64) {  // WP-13, section 4
    World world(preset("6.3").value());
    world.map(MemoryKind::A, 2, 0);
    world.open(0);
    world.register_(0, 2, Mode::wp);
    EXPECT_EQ(world.protect(0, 3).error, ENOENT);
    EXPECT_EQ(world.protect(0, 2).error, 0);
}

}  // namespace
}  // namespace verso::mm
