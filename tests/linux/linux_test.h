// What the tests of src/linux/ share: shorthands for calls on the one kernel, scratch memory that
// goes by itself, and a forked child for what changes a process for good (seccomp, privilege).
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "abi/abi.h"
#include "linux/address.h"
#include "linux/calls.h"
#include "linux/linux_kernel.h"

namespace verso::host {

using kernel::Abilities;
using kernel::Advice;
using kernel::MapFlag;
using kernel::Op;
using kernel::RegisterMode;
using PageRun = kernel::Run;  // testing::Test has a Run of its own
using kernel::ScanFlag;
using kernel::Verdict;

inline constexpr u64 read_write = MapFlag::read | MapFlag::write;
inline constexpr u64 shared_write = read_write | MapFlag::shared;

inline Outcome perform(const Call& call, const Payload& payload = {}) {
    return linux_kernel().perform(call, payload);
}

/// A memfd of so many pages.
inline Fd new_memfd(u64 pages) {
    const Outcome made = perform(Call::memfd_create());
    EXPECT_TRUE(made.ok()) << to_string(made);
    Fd fd(static_cast<int>(made.value));
    EXPECT_TRUE(perform(Call::file_resize(fd.get(), to_bytes(pages))).ok());
    return fd;
}

class Scratch {
public:
    Scratch(int fd, u64 pages, u64 flags) : bytes_(to_bytes(pages)) {
        const Outcome made = perform(Call::map(fd, 0, bytes_, flags));
        EXPECT_TRUE(made.ok()) << to_string(made);
        address_ = static_cast<u64>(made.value);
    }
    ~Scratch() { EXPECT_TRUE(perform(Call::unmap(address_, bytes_)).ok()); }
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;

    u64 at(u64 page) const { return address_ + to_bytes(page); }
    u64 bytes() const { return bytes_; }
    volatile unsigned char& byte(u64 page) const {
        return *static_cast<volatile unsigned char*>(pointer_to(at(page)));
    }
    unsigned char load(u64 page) const { return byte(page); }
    void touch_all(unsigned char value) const {
        for (u64 page = 0; page < to_pages(bytes_); ++page) {
            byte(page) = value;
        }
    }

private:
    u64 bytes_;
    u64 address_ = 0;
};

inline u64 pagemap_entry(u64 address) {
    u64 entry = 0;
    const Outcome read = perform(Call::pagemap_read(address, page_size),
                                 Payload{.out = std::as_writable_bytes(std::span(&entry, 1))});
    EXPECT_EQ(read.value, 8) << to_string(read);
    return entry;
}

/// Runs `body` in a forked child; what it returned, or -1 if it died otherwise.
inline int in_child(const std::function<int()>& body) {
    const pid_t child = ::fork();
    if (child == 0) {
        ::_exit(body());
    }
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/// From here on this process is an ordinary user's. Changing the user hides /proc/self from
/// oneself, which no ordinary user's process lives with, so that is undone.
inline bool become_nobody() {
    constexpr unsigned nobody = 65534;
    return ::geteuid() != 0 ||
           (::setresgid(nobody, nobody, nobody) == 0 && ::setresuid(nobody, nobody, nobody) == 0 &&
            ::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0);
}

/// The number of the lowest free descriptor: equal before and after means that none leaked.
inline int lowest_free_fd() {
    const Fd probe(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    return probe.get();
}

}  // namespace verso::host

/// Ends the test, with the reason, where this machine lacks something.
#define VERSO_NEEDS(ability) \
    do { \
        const ::verso::kernel::Abilities& known = ::verso::host::linux_kernel().abilities(); \
        if (!known.ability) { \
            GTEST_SKIP() << "this machine lacks " #ability ". " << known.why_no_userfaultfd; \
        } \
    } while (false)
