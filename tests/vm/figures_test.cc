// What a fork says of itself: what the guest missed, by its own clock and its own ticks, and what
// each child was given and holds.
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "vm/guest.h"
#include "vm/guest_clock.h"
#include "vm/qmp.h"

namespace verso::vm::test {
namespace {

double number(const Json& json, const char* key) {
    const Json& part = part_at(json, key);
    return part.is_number() ? part.get<double>() : -1;
}

TEST(GuestClock, WhatItMissedIsWhatThisMachinesClockWentFurther) {
    const ClockReading before{1'000, 50'000};
    EXPECT_EQ(missed_ns(before, {1'300, 50'900}), 600U);
    EXPECT_EQ(missed_ns(before, {1'900, 50'900}), 0U);
    EXPECT_EQ(missed_ns(before, {1'910, 50'900}), 0U) << "read a moment apart";
    EXPECT_EQ(behind_ns({1'000, 50'000}, {1'750, 50'050}), 700U);
}

class Figures : public Guests {
protected:
    ClockReading clock_of(const std::string& name) const {
        Result<ClockReading> clock = read_guest_clock(dir().file(name, "agent.sock"));
        EXPECT_TRUE(clock) << (clock ? "" : clock.error().message);
        return clock ? *clock : ClockReading{};
    }
    Json memory_of(const std::string& name) const {
        const Json all = parse_json(vm_yes("ls --json"));
        for (const Json& one : all) {
            if (text_at(one, "name") == name) {
                return part_at(one, "memory");
            }
        }
        return nullptr;
    }
    void expect_no_tick_missing(const std::string& name) const {
        u64 before = 0;
        for (const u64 tick : ticks(name)) {
            EXPECT_TRUE(before == 0 || tick == before + 1) << name << ": " << tick;
            before = tick;
        }
    }
};

/// The parts lie within what the guest's clock missed, and that within the whole; a tick takes the
/// guest 50 ms of that clock at least, and none of them is lost or counted twice.
TEST_F(Figures, AGuestMissesWhatItStoodStillForAndNoTick) {
    boot("one");
    const ClockReading clock = clock_of("one");
    const u64 tick = last_tick("one");
    const Json forked = parse_json(vm_yes("fork one two --json"));
    expect_ticking("one");
    const u64 tick_after = last_tick("one");
    const ClockReading clock_after = clock_of("one");
    const Json& stood = part_at(forked, "stood_still");
    const double missed = number(stood, "guest_clock_ms");
    constexpr double reading_ms = 0.5;  // two clocks are not read at one moment
    EXPECT_GT(missed, 0);
    EXPECT_LE(missed, number(stood, "ms") + reading_ms);
    EXPECT_GE(missed + reading_ms,
              number(stood, "disks_ms") + number(stood, "state_ms") + number(stood, "arm_ms"));
    const double missed_in_all = static_cast<double>(missed_ns(clock, clock_after)) / 1e6;
    EXPECT_NEAR(missed_in_all, missed, 2 * reading_ms) << "it stood still at no other time";

    EXPECT_GE(tick_after, tick + 3);
    EXPECT_LE((tick_after - tick - 1) * 50'000'000, clock_after.guest_ns - clock.guest_ns);
    expect_ticking("two");
    expect_no_tick_missing("one");
    expect_no_tick_missing("two");
    EXPECT_GT(ticks("two").front(), tick);
    const Json& child = part_at(forked, "children")[0];
    EXPECT_GT(number(child, "clock_behind_ms"), 0) << "it began to run after its source had";
}

TEST_F(Figures, EachChildsPagesAndMemoryAreItsOwn) {
    boot("one");
    expect_answer("one", "fill 4", "filled 4");
    vm_yes("fork one two --count 2");
    {
        Result<Qmp> other = Qmp::connect(dir().file("two-2", "qmp.sock"));
        ASSERT_TRUE(other && other->execute("stop"));
        const Json before = memory_of("two-2");
        (void)ask_guest("two-1", "sum", "sum ");  // reads 4 MiB
        EXPECT_EQ(part_at(memory_of("two-2"), "got"), part_at(before, "got"))
            << "what one child reads is not the other's";
        ASSERT_TRUE(other->execute("cont"));
    }
    EXPECT_GE(number_at(part_at(memory_of("two-1"), "got"), "pages_mapped"), 1'024U);
    expect_answer("two-2", "fill 2", "filled 2");  // 512 pages of its own, at least
    vm_yes("fork two-1 three");                    // asks the root through its parent
    (void)ask_guest("three", "sum", "sum ");
    for (const char* name : {"two-1", "two-2", "three"}) {
        const Json memory = memory_of(name);
        const Json& got = part_at(memory, "got");
        const u64 own = number_at(memory, "private_bytes");
        const u64 shared = number_at(memory, "shared_bytes");
        EXPECT_GT(number_at(got, "fill_faults"), 0U) << name;
        EXPECT_GT(number_at(got, "pages_mapped"), 0U) << name;
        EXPECT_LE(shared, to_bytes(number_at(got, "pages_mapped"))) << name;
        EXPECT_GT(shared, 0U) << name;
        EXPECT_GE(number_at(memory, "pss_bytes"), own) << name;
        EXPECT_LE(number_at(memory, "pss_bytes"), own + shared) << name;
    }
    EXPECT_GE(number_at(memory_of("two-2"), "private_bytes"), to_bytes(512));
    EXPECT_GE(number_at(part_at(memory_of("three"), "got"), "pages_mapped"), 1'024U);
}

}  // namespace
}  // namespace verso::vm::test
