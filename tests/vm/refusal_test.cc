// Asking wrongly gives one line, leaves no half-made machine, and every guest goes on.
#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <iterator>

#include <gtest/gtest.h>

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <nlohmann/json.hpp>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

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
    vm_no("run one --huge --memory 33M -- qemu-system-x86_64", "whole huge pages");
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

/// Runs a shell command whose processes find a kernel without memfd_create.
int run_without_memfd(const std::string& command) {
    const pid_t child = ::fork();
    if (child == 0) {
        constexpr u32 number = offsetof(seccomp_data, nr);
        sock_filter program[] = {
            BPF_STMT(BPF_LD | BPF_W | BPF_ABS, number),
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_memfd_create, 0, 1),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        const sock_fprog filter{static_cast<unsigned short>(std::size(program)), program};
        // Why safe: this process, which only becomes the shell.
        if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
            ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0) == 0) {
            ::execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
        }
        ::_exit(99);
    }
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/// Each of these would need a process, a folder or a moment of the guest beside it: none is left,
/// and the guest counts on.
TEST_F(Guests, WhatTheMachineOrItsQemuCannotGiveIsRefusedBesideARunningGuest) {
    const std::string program = folder() + "/qemu";
    ASSERT_EQ(::symlink("/usr/bin/qemu-system-x86_64", program.c_str()), 0);
    vm_yes("run one --memory 128M -- " + program +
           guest_command().substr(guest_command().find(' ')));
    await_tick("one", 1);
    const auto refused = [this](const std::string& arguments, const std::string& words) {
        SCOPED_TRACE(arguments);
        vm_no(arguments, words);
        expect_ticking("one");
    };
    refused("fork nobody two", "there is no virtual machine 'nobody'");
    refused("run two -- qemu-system-nothing", "there is no program");
    refused("run two -- qemu-system-x86_64 -object memory-backend-ram,id=m,size=64M",
            "must be one memory-backend-memfd");
    refused("run two -- qemu-system-x86_64 -machine nonsense", "unsupported machine type");
    refused("run two --memory 64M -- qemu-system-x86_64 -accel tcg -numa node,memdev=m", "memdev");
    refused("run two --memory 64M -- qemu-system-x86_64 -accel tcg -machine xenpv", "QEMU");

    const std::string said = folder() + "/said";
    EXPECT_EQ(
        run_without_memfd("XDG_RUNTIME_DIR='" + folder() +
                          "' '" VERSO_BINARY_DIR "/verso' vm run two -- qemu-system-x86_64 >'" +
                          said + "' 2>&1"),
        1);
    const std::string line = verso::test::run("cat '" + said + "'").output;
    EXPECT_NE(line.find("memory-backend-memfd"), std::string::npos) << line;
    EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1) << line;
    expect_ticking("one");

    ASSERT_EQ(::unlink(program.c_str()), 0);
    refused("fork one two", "there is no program '" + program + "'");
    refused("fork one two --count 3", "there is no program");
    ASSERT_EQ(::symlink("/bin/true", program.c_str()), 0);
    refused("fork one two", "could not be forked");
    const Json left = parse_json(vm_yes("ls --json"));
    EXPECT_EQ(left.size(), 1U) << "nothing half-made is left";
    ASSERT_EQ(::unlink(program.c_str()), 0);
    ASSERT_EQ(::symlink("/usr/bin/qemu-system-x86_64", program.c_str()), 0);
    vm_yes("fork one two");
    expect_ticking("two");
}

}  // namespace
}  // namespace verso::vm::test
