// A running Linux guest is forked, snapshotted and rewound: what it counts, keeps in its memory and
// writes to its disk is each time that of the moment, and nobody else's.
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "vm/guest.h"

namespace verso::vm::test {
namespace {

std::string disk_option(const std::string& disk) {
    return "-drive file='" + disk + "',format=qcow2,if=virtio";
}

TEST_F(Guests, AChildGoesOnFromTheSameTickAndEachKeepsItsOwnMemoryAndDisk) {
    boot("one", disk_option(make_disk("disk")));
    expect_answer("one", "set before", "word before");
    expect_answer("one", "dset before", "disk before");
    const u64 before = last_tick("one");
    vm_yes("fork one two");
    const u64 first = first_tick("two");
    EXPECT_GT(first, before);
    EXPECT_LE(first, last_tick("one") + 1);
    for (const char* name : {"one", "two"}) {
        expect_ticking(name);
        expect_answer(name, "get", "word before");
        expect_answer(name, "dget", "disk before");
    }
    expect_answer("one", "set parent", "word parent");
    expect_answer("two", "set child", "word child");
    expect_answer("one", "dset parent", "disk parent");
    expect_answer("two", "dset child", "disk child");

    vm_yes("fork two three");  // a fork of the fork
    EXPECT_GT(first_tick("three"), first);
    expect_answer("three", "get", "word child");
    expect_answer("three", "dget", "disk child");
    expect_answer("three", "set grandchild", "word grandchild");
    expect_answer("three", "dset grandchild", "disk grandchild");
    expect_answer("one", "get", "word parent");
    expect_answer("one", "dget", "disk parent");
    expect_answer("two", "get", "word child");
    expect_answer("two", "dget", "disk child");
    for (const char* name : {"one", "two", "three"}) {
        expect_ticking(name);
    }
}

TEST_F(Guests, ARootGoesBackToAnyOfItsSnapshotsInPlace) {
    boot("one", disk_option(make_disk("disk")));
    const pid_t pid = pid_of("one");
    expect_answer("one", "set first", "word first");
    expect_answer("one", "dset first", "disk first");
    vm_yes("snapshot one s1");
    const u64 at_first = last_tick("one");
    expect_answer("one", "set second", "word second");
    expect_answer("one", "dset second", "disk second");
    await_tick("one", at_first + 20);
    vm_yes("snapshot one s2");
    expect_answer("one", "set third", "word third");
    expect_answer("one", "dset third", "disk third");

    vm_yes("rewind one s1");
    expect_answer("one", "get", "word first");
    expect_answer("one", "dget", "disk first");
    expect_answer("one", "set lost", "word lost");
    expect_answer("one", "dset lost", "disk lost");
    vm_yes("rewind one s2");  // forward again
    expect_answer("one", "get", "word second");
    expect_answer("one", "dget", "disk second");
    vm_yes("rewind one s1");
    expect_answer("one", "get", "word first");
    expect_answer("one", "dget", "disk first");
    expect_ticking("one");
    EXPECT_EQ(pid_of("one"), pid) << "QEMU was not restarted";

    vm_yes("fork one two --from s2");
    expect_answer("two", "get", "word second");
    expect_answer("two", "dget", "disk second");
    expect_answer("one", "get", "word first");
}

TEST_F(Guests, AChildGoesBackToItsOwnSnapshotAndItsSourceDoesNot) {
    boot("one", disk_option(make_disk("disk")));
    expect_answer("one", "set source", "word source");
    vm_yes("fork one two");
    expect_answer("two", "set first", "word first");
    expect_answer("two", "dset first", "disk first");
    vm_yes("snapshot two s");
    expect_answer("two", "set second", "word second");
    expect_answer("two", "dset second", "disk second");
    expect_answer("two", "fill 4", "filled 4");
    for (int round = 0; round < 2; ++round) {
        vm_yes("rewind two s");
        expect_answer("two", "get", "word first");
        expect_answer("two", "dget", "disk first");
        expect_answer("two", "set again", "word again");
    }
    vm_yes("fork two three --from s");
    expect_answer("three", "get", "word first");
    expect_answer("three", "dget", "disk first");
    expect_answer("one", "get", "word source");
    for (const char* name : {"one", "two", "three"}) {
        expect_ticking(name);
    }
}

TEST_F(Guests, SeveralChildrenOfOneMomentCostOneArmAndShareWhatTheyOnlyRead) {
    boot("one");
    expect_answer("one", "fill 4", "filled 4");
    const std::string sum = ask_guest("one", "sum", "sum ");
    const Json forked = parse_json(vm_yes("fork one many --count 3 --json"));
    const Json& pause = part_at(forked, "stood_still");
    EXPECT_GT(number_at(pause, "pages_protected_ahead"), 0U);
    EXPECT_LT(number_at(pause, "pages_protected"), number_at(pause, "pages_protected_ahead"))
        << "it was written while the guest ran: nearly all of it is protected by then";
    ASSERT_EQ(part_at(forked, "children").size(), 3U);
    expect_answer("one", "fill 4", "filled 4");  // other noise, over the same pages
    for (const char* name : {"many-1", "many-2", "many-3"}) {
        EXPECT_EQ(ask_guest(name, "sum", "sum "), sum) << name;
        expect_ticking(name);
    }
    EXPECT_NE(ask_guest("one", "sum", "sum "), sum);
    u64 own = 0;
    u64 shared = 0;
    const Json listed = parse_json(vm_yes("ls --json"));
    for (const Json& machine : listed) {
        EXPECT_EQ(text_at(machine, "state"), "running");
        own += number_at(part_at(machine, "memory"), "private_bytes");
        shared += number_at(part_at(machine, "memory"), "shared_bytes");
    }
    EXPECT_GT(shared, u64{12} << 20) << "three children have read 4 MiB each";
    EXPECT_LT(own, shared) << "and copied little of it";
}

TEST_F(Guests, AHookRunsForEachChildAndItsFailureIsSaid) {
    boot("one");
    vm_yes(
        "fork one two --count 2 "
        "--hook 'echo $VERSO_VM of $VERSO_VM_PARENT >$VERSO_VM_FOLDER/hooked'");
    EXPECT_EQ(verso::test::run("cat '" + dir().file("two-2", "hooked") + "'").output,
              "two-2 of one\n");
    const verso::test::Ran ran = vm("fork one three --hook 'echo no >&2; exit 3'");
    EXPECT_EQ(ran.code, 1);
    EXPECT_NE(ran.output.find("the hook of three: env failed: no"), std::string::npos)
        << ran.output;
    expect_ticking("three");
}

}  // namespace
}  // namespace verso::vm::test
