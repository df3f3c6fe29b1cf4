// Accesses that the kernel makes (section 6.6), and what an empty address means (sections 14.5,
// 14.6).
#include <cerrno>

#include "mm/armed.h"

namespace verso::mm {
namespace {

using K = MemoryKind;

const Message& last_message(World& world) { return world.state().contexts[world.fd].faults.back(); }
Outcome access(World& world, Op op, Vpn at, Contents value = zeroes, u32 flags = 0) {
    Call call{.op = op, .flags = flags, .value = value};
    call.address = to_bytes(at);
    return world.step(call);
}

// ── 6.6 ────────────────────────────────────────────────────────────────────────────────────────

// FG-1, FG-2, SR-7
TEST(Gup, TheKernelsOwnWritesGetAnErrorWhereAProgramGetsASignal) {
    World world = armed(K::SS);
    EXPECT_EQ(access(world, Op::gup_write, 0, 8), Outcome::fail(EFAULT));
    EXPECT_EQ(access(world, Op::gup_write, 0, 8, 1), Outcome::fail(EIO));
    World waits = armed(K::SS, mainline(), 0);
    EXPECT_EQ(access(waits, Op::gup_write, 0, 8).verdict, Verdict::blocked);
    EXPECT_EQ(last_message(waits).flags, FaultFlag::wp | FaultFlag::write);
}

// FX-14, FG-2
TEST(Gup, AForcedWriteEndsAlsoWhereProtectionHasNoBitOfItsOwn) {
    Rules rules;
    rules.u_bit_exists = false;
    for (const u32 features : {async, u32{Feature::sigbus}}) {
        World world = armed(K::A, rules, features);
        world.mprotect(0, 2, MapFlags::read);
        const Outcome written = access(world, Op::gup_write, 0, 8, 1);
        EXPECT_EQ(written, features == async ? Outcome::ok(8) : Outcome::fail(EIO));
    }
}

// FG-2
TEST(Gup, AForcedWriteToAReadOnlyMappingGoesToACopyAndIsAnnounced) {
    World world;
    world.map(K::SP, 2);
    world.mprotect(0, 2, MapFlags::read);
    EXPECT_TRUE(silent(access(world, Op::gup_write, 0, 8, 1)));
    EXPECT_FALSE(world.entry(0).write);
    EXPECT_EQ(world.load(0).value, 8);
    World told_of = armed(K::A);
    told_of.mprotect(0, 2, MapFlags::read);
    EXPECT_EQ(access(told_of, Op::gup_write, 0, 8, 1), Outcome::fail(EIO));
}

// FG-6
TEST(Gup, ADeviceWritesThroughItsPinWithoutAFault) {
    World world;
    world.map(K::SS, 2);
    world.store(0, 7);
    EXPECT_TRUE(silent(access(world, Op::gup_pin, 0)));
    world.open(Feature::sigbus);
    world.register_(0, 2, Mode::wp);
    world.protect(0, 2);
    EXPECT_TRUE(silent(access(world, Op::gup_unpin, 0, 8, 1)));
    EXPECT_TRUE(world.entry(0).uffd_wp);
    EXPECT_EQ(world.load(0).value, 8);
}

TEST(Gup, ADeviceIsNotGivenASharedFileThatIsWrittenBackSince65) {
    for (const MemoryKind kind : {MemoryKind::FS, MemoryKind::FP, MemoryKind::SS, MemoryKind::A}) {
        for (const bool rule : {true, false}) {
            Rules rules = mainline();
            rules.has_pin_check = rule;
            World world(rules);
            world.map(kind, 1);
            const Outcome pinned = access(world, Op::gup_pin, 0);
            const bool refused = rule && kind == MemoryKind::FS;
            EXPECT_EQ(pinned.error, refused ? EFAULT : 0);
            EXPECT_EQ(world.entry(0).none(), refused);
        }
    }
}

TEST(Gup, WithoutMemoryAnAccessSaysSo) {
    Shape shape;
    shape.pages = 1;
    World world(mainline(), shape);
    world.map(K::A, 2);
    world.store(0, 1);
    EXPECT_EQ(world.store(1, 1), Outcome::fail(ENOMEM));
}

// ── the switches of sections 13 and 14 ─────────────────────────────────────────────────────────

// S3-08, S3-12, S4-03: an empty address under the three readings of "none"
TEST(Gup, WhetherAnEmptyAddressIsProtectedIsAPolicy) {
    for (const auto& [policy, expected] :
         {std::pair{NonePolicy::marker, false}, std::pair{NonePolicy::unprotected, false},
          std::pair{NonePolicy::fault_path, true}, std::pair{NonePolicy::protected_, true},
          std::pair{NonePolicy::protected_one, true}}) {
        Rules rules;
        rules.none_policy_anon = policy;
        rules.none_policy_file = policy;
        for (const MemoryKind kind : {K::A, K::SS, K::SP, K::HS}) {
            World world = registered(kind, rules, unpopulated);  // S3-14
            EXPECT_EQ(told(world.store(0, 1)), expected) << testing::PrintToString(kind);
        }
    }
}

// S4-01, S4-02, S4-06
TEST(Gup, BeforeMarkersAnEmptyAnonymousAddressCannotBeProtected) {
    const Rules rules = *preset("6.3");
    World empty = registered(K::A, rules);
    empty.protect(0, 2);
    EXPECT_TRUE(silent(empty.store(0, 1)));
    World read_first = registered(K::A, rules);
    read_first.load(0);
    read_first.protect(0, 2);
    EXPECT_TRUE(told(read_first.store(0, 1)));
}

// FX-3, 14.1 row 4: the marker's refault is one of the places where design (2) must take write
// away. The lost write itself is shown in swap_test.cc.
TEST(Gup, OnAnonymousMemoryNoDesignIsNeeded) {
    for (const bool one : {false, true}) {
        for (const bool two : {false, true}) {
            World world = registered(K::A, with_designs(mainline(), one, two), unpopulated);
            world.protect(0, 2);
            world.load(0);
            EXPECT_TRUE(told(world.store(0, 1)));
            EXPECT_TRUE(told(world.store(1, 1)));
        }
    }
}

}  // namespace
}  // namespace verso::mm
