// Guard: how a region's pages are protected and released. Two ways, one interface:
//   userfaultfd     UFFDIO_WRITEPROTECT; the fault reaches a reader thread, here or elsewhere
//   mprotect_segv   mprotect; the fault is a SIGSEGV on the writing thread. Each island of
//                   writable pages costs a VMA (vm.max_map_count), so releases are coarse.
#pragma once

#include "base/types.h"
#include "kernel/kernel.h"
#include "verso/verso.hpp"

namespace verso::engine {

class Guard {
public:
    Guard() = default;
    Guard(kernel::Kernel& kernel, Backend backend, int uffd, u64 base)
        : kernel_(&kernel), backend_(backend), uffd_(uffd), base_(base) {}

    Backend backend() const { return backend_; }
    kernel::Outcome protect(u64 first, u64 count) { return change(first, count, true); }
    /// Makes pages writable and wakes whoever waits for them.
    kernel::Outcome release(u64 first, u64 count) { return change(first, count, false); }
    kernel::Outcome wake(u64 first, u64 count) {
        if (backend_ == Backend::mprotect_segv) {
            return kernel::Outcome::done();
        }
        const kernel::Call call =
            kernel::Call::uffd_wake(uffd_, base_ + to_bytes(first), to_bytes(count));
        kernel::Outcome outcome = kernel_->perform(call);
        for (unsigned tries = 1; !outcome.ok() && tries < wakes_max; ++tries) {
            outcome = kernel_->perform(call);  // whoever is not woken sleeps for ever
        }
        return outcome;
    }

private:
    static constexpr unsigned wakes_max = 3;

    kernel::Outcome change(u64 first, u64 count, bool on) {
        const u64 address = base_ + to_bytes(first);
        if (backend_ == Backend::mprotect_segv) {
            const u64 flags = kernel::MapFlag::read | (on ? u64{0} : u64{kernel::MapFlag::write});
            return kernel_->perform(kernel::Call::protect(address, to_bytes(count), flags));
        }
        return kernel_->perform(
            kernel::Call::uffd_write_protect(uffd_, address, to_bytes(count), on));
    }

    kernel::Kernel* kernel_ = nullptr;
    Backend backend_ = Backend::userfaultfd;
    int uffd_ = -1;
    u64 base_ = 0;
};

}  // namespace verso::engine
