// Abilities: on this machine, behind masks (H13), without privilege, and under seccomp filters that
// reject one call each (H14).
#include <array>
#include <cstddef>
#include <vector>

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "linux/linux_test.h"

namespace verso::host {
namespace {

/// From here on the call answers `error`; of ioctl only the request `command`, if one is given.
bool reject(unsigned call, int error, unsigned long command = 0) {
    const u32 answer = SECCOMP_RET_ERRNO | static_cast<u32>(error);
    const u32 low = static_cast<u32>(command);
    std::vector<sock_filter> program{
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[1])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, low, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, answer),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    if (command == 0) {
        program[2] = BPF_STMT(BPF_RET | BPF_K, answer);
    }
    sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
    return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

TEST(Probe, LeavesNoDescriptorBehind) {
    static_cast<void>(probe());  // the first one opens the cached pagemap
    const int before = lowest_free_fd();
    static_cast<void>(probe());
    EXPECT_EQ(lowest_free_fd(), before);
}

TEST(Probe, WhatItSaysAgreesWithItself) {
    const Abilities& known = linux_kernel().abilities();
    if (!known.userfaultfd) {
        EXPECT_FALSE(known.why_no_userfaultfd.empty());
        EXPECT_EQ(known.uffd_features, 0U);
        EXPECT_FALSE(known.write_protect_shmem);
        return;
    }
    EXPECT_TRUE(known.why_no_userfaultfd.empty());
    EXPECT_FALSE(known.user_mode_only && known.through_device);
    EXPECT_TRUE(!known.wp_async || known.pagemap_scan);
}

struct Masked {
    Mask mask;
    bool Abilities::*lost;
    Call refused;
};

// H13: a machine that lacks one thing says so, and its calls answer accordingly.
TEST(H13_MaskedFeature, IsMissingFromTheReportAndItsCallsAreUnsupported) {
    VERSO_NEEDS(userfaultfd);
    using abi::Feature;
    const auto masked = [](bool Mask::*which) {
        Mask mask;
        mask.*which = true;
        return mask;
    };
    const std::vector<Masked> cases{
        {masked(&Mask::no_userfaultfd), &Abilities::userfaultfd, Call::uffd_open(0)},
        {masked(&Mask::no_write_protect_shmem), &Abilities::write_protect_shmem,
         Call::uffd_write_protect(-1, 0, 0, true)},
        {masked(&Mask::no_wp_unpopulated), &Abilities::wp_unpopulated,
         Call::uffd_open(Feature::wp_unpopulated)},
        {masked(&Mask::no_wp_async), &Abilities::wp_async, Call::uffd_open(Feature::wp_async)},
        {masked(&Mask::no_minor), &Abilities::minor_shmem, Call::uffd_continue(-1, 0, 0, 0)},
        {masked(&Mask::no_minor), &Abilities::continue_private,
         Call::uffd_open(Feature::minor_shmem)},
        {masked(&Mask::no_poison), &Abilities::poison, Call::uffd_poison(-1, 0, 0)},
        {masked(&Mask::no_layout_events), &Abilities::layout_events,
         Call::uffd_open(Feature::event_remove)},
        {masked(&Mask::no_pagemap_scan), &Abilities::pagemap_scan,
         Call::pagemap_scan(0, page_size, 0)},
    };
    for (const Masked& one : cases) {
        LinuxKernel kernel(one.mask);
        EXPECT_FALSE(kernel.abilities().*one.lost) << to_string(one.refused);
        const Outcome outcome = kernel.perform(one.refused);
        EXPECT_EQ(outcome.verdict, Verdict::unsupported) << to_string(one.refused);
    }
}

TEST(H13_MaskedFeature, WithoutUserfaultfdPlainCallsStillWork) {
    Mask mask;
    mask.no_userfaultfd = true;
    LinuxKernel kernel(mask);
    EXPECT_FALSE(kernel.abilities().why_no_userfaultfd.empty());
    const Outcome made = kernel.perform(Call::memfd_create());
    ASSERT_TRUE(made.ok());
    const Fd fd(static_cast<int>(made.value));
    EXPECT_TRUE(kernel.perform(Call::file_resize(fd.get(), page_size)).ok());
}

TEST(Probe, WorksForNobodyInParticular) {
    EXPECT_EQ(in_child([] {
                  if (!become_nobody()) {
                      return 2;
                  }
                  const Abilities known = probe();
                  return known.userfaultfd || !known.why_no_userfaultfd.empty() ? 0 : 1;
              }),
              0);
}

/// /dev/userfaultfd, open to everybody while this lives.
class OpenDevice {
public:
    OpenDevice() : had_(::stat(path, &was_) == 0) {
        open_ = had_ && ::chmod(path, was_.st_mode | 0666) == 0;
    }
    ~OpenDevice() {
        if (open_) {
            ::chmod(path, was_.st_mode);
        }
    }
    OpenDevice(const OpenDevice&) = delete;
    OpenDevice& operator=(const OpenDevice&) = delete;
    bool open() const { return open_; }

private:
    static constexpr const char* path = "/dev/userfaultfd";
    struct ::stat was_ {};
    bool had_;
    bool open_ = false;
};

TEST(Probe, WhoeverMayOpenTheDeviceIsServedFully) {
    const OpenDevice device;
    if (!device.open()) {
        GTEST_SKIP() << "there is no /dev/userfaultfd here that this user may open to others";
    }
    EXPECT_EQ(in_child([] {
                  if (!become_nobody()) {
                      return 2;
                  }
                  const Abilities known = probe();
                  return known.userfaultfd && known.through_device && !known.user_mode_only ? 0 : 1;
              }),
              0);
}

TEST(H14_Seccomp, AFilterThatRefusesUserfaultfdIsNamed) {
    EXPECT_EQ(in_child([] {
                  if (!become_nobody() || !reject(SYS_userfaultfd, EPERM)) {
                      return 2;
                  }
                  const Abilities known = probe();
                  if (known.userfaultfd) {
                      return known.through_device ? 0 : 3;  // the device may be open to everybody
                  }
                  return known.why_no_userfaultfd.find("seccomp") != std::string::npos ? 0 : 1;
              }),
              0);
}

TEST(H14_Seccomp, AKernelWithoutUserfaultfdIsToldHowToGetIt) {
    EXPECT_EQ(
        in_child([] {
            if (!become_nobody() || !reject(SYS_userfaultfd, ENOSYS)) {
                return 2;
            }
            const Abilities known = probe();
            if (known.userfaultfd) {
                return known.through_device ? 0 : 3;
            }
            return known.why_no_userfaultfd.find("CONFIG_USERFAULTFD") != std::string::npos ? 0 : 1;
        }),
        0);
}

struct Rejected {
    unsigned long command;
    bool Abilities::*lost;
};

// H14: each ioctl rejected in turn: the ability that needs it is missing, and nothing hangs or
// crashes.
TEST(H14_Seccomp, EachRejectedIoctlCostsTheAbilityThatNeedsIt) {
    VERSO_NEEDS(wp_async);
    VERSO_NEEDS(continue_private);
    VERSO_NEEDS(poison);
    using abi::UffdIoctl;
    const std::vector<Rejected> cases{
        {UffdIoctl::api, &Abilities::userfaultfd},
        {UffdIoctl::register_range, &Abilities::write_protect_shmem},
        {UffdIoctl::write_protect, &Abilities::write_protect_shmem},
        {UffdIoctl::write_protect, &Abilities::wp_async},
        {UffdIoctl::continue_range, &Abilities::minor_shmem},
        {UffdIoctl::continue_range, &Abilities::continue_private},
        {UffdIoctl::poison, &Abilities::poison},
        {abi::pagemap_scan_ioctl, &Abilities::pagemap_scan},
        {abi::pagemap_scan_ioctl, &Abilities::wp_async},
    };
    for (const Rejected& one : cases) {
        EXPECT_EQ(in_child([&] {
                      if (!reject(SYS_ioctl, EPERM, one.command)) {
                          return 2;
                      }
                      return probe().*one.lost ? 1 : 0;
                  }),
                  0)
            << std::hex << one.command;
    }
}

}  // namespace
}  // namespace verso::host
