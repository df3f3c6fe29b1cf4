// Asking wrongly gives one line, leaves no half-made machine, and every guest goes on.
#include <gtest/gtest.h>

#include "vm/guest.h"

namespace verso::vm::test {
namespace {

TEST_F(Guests, WhatCannotRunIsRefusedAndLeavesNothing) {
    vm_no("run one -- qemu-system-nothing", "there is no program 'qemu-system-nothing'");
    vm_no("run one -- qemu-system-x86_64 -object memory-backend-memfd,id=m,size=64M",
          "is not the guest's RAM");
    vm_no("run one -- qemu-system-x86_64 -machine nonsense", "unsupported machine type");
    vm_no("run one -- qemu-system-x86_64 -daemonize", "-daemonize cannot be used here");
    vm_no("run one --memory much -- qemu-system-x86_64", "'much' is not a size of memory");
    vm_no("run a/b -- qemu-system-x86_64", "is not a name");
    vm_no("run one -- true", "ended");
    vm_no("run one -- qemu-system-x86_64 -drive file=/nowhere.qcow2,format=qcow2",
          "No such file or directory");
    vm_no("fork one two", "there is no virtual machine 'one'");
    vm_no("snapshot one s", "there is no virtual machine 'one'");
    vm_no("rewind one s", "there is no virtual machine 'one'");
    vm_no("stop one", "there is no virtual machine 'one'");
    vm_no("rm one", "there is no virtual machine 'one'");
    vm_no("console one", "there is no virtual machine 'one'");
    vm_no("fork one", "child");
    EXPECT_EQ(vm_yes("ls"), "");
}

TEST_F(Guests, AGuestGoesOnAfterEachRefusal) {
    boot("one", "-drive file='" + make_disk("raw", "raw") + "',format=raw,if=virtio");
    vm_no("fork one two", "may be written and is raw, which keeps no snapshots");
    vm_no("snapshot one s", "may be written and is raw, which keeps no snapshots");
    vm_no("run one -- qemu-system-x86_64", "exists already");
    vm_no("rewind one s", "has no snapshot 's'");
    vm_no("fork one two --from s", "has no snapshot 's'");
    vm_no("fork one -x", "");
    vm_no("rm one", "is running");
    vm_no("fork one one", "exists already");
    expect_ticking("one");
    expect_answer("one", "dset still", "disk still");
    EXPECT_NE(pid_of("one"), 0);
}

}  // namespace
}  // namespace verso::vm::test
