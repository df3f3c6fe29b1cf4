// linux/: the seam on real system calls. It decides nothing: what to call when is the engine's,
// what the answer means is Outcome's.
//   calls.h        one function per call, in *_calls.cc, usage.cc, segv_watch.cc
//   threads.cc     threads, locks, time
//   probe.cc       what this kernel and this privilege offer, by trying
// Locks: one in segv_watch (installing the handler); leaves, held across nothing. May include:
// base, abi, kernel.
#pragma once

#include <memory>
#include <mutex>

#include "kernel/kernel.h"

namespace verso::host {

/// What a test pretends this machine lacks. Abilities report it missing and calls answer
/// `unsupported`.
struct Mask {
    bool no_userfaultfd = false;
    bool no_write_protect_shmem = false;
    bool no_wp_unpopulated = false;
    bool no_wp_async = false;
    bool no_minor = false;
    bool no_continue_private = false;  // abilities only: the call cannot tell what it is aimed at
    bool no_poison = false;
    bool no_layout_events = false;
    bool no_pagemap_scan = false;
    bool user_mode_only_uffd = false;  // as for somebody without privilege

    /// Feature bits of the handshake that are hidden.
    u64 hidden_features() const;
};

class LinuxKernel final : public kernel::Kernel {
public:
    LinuxKernel() = default;
    explicit LinuxKernel(const Mask& mask) : mask_(mask) {}

    using Kernel::perform;
    kernel::Outcome perform(const kernel::Call& call, const kernel::Payload& payload) override;
    const kernel::Abilities& abilities() override;
    std::unique_ptr<kernel::Thread> spawn(const std::string& name,
                                          std::function<void()> body) override;
    std::unique_ptr<kernel::Mutex> make_mutex() override;
    std::unique_ptr<kernel::Condition> make_condition() override;
    u64 now_ns() override;
    void relax() override;

private:
    bool masked(const kernel::Call& call) const;

    const Mask mask_;
    std::once_flag probed_;
    kernel::Abilities abilities_;  // written under probed_, constant afterwards
};

/// The process' one kernel. Never destroyed: threads may use it until the very end.
kernel::Kernel& linux_kernel();

/// Tries everything on scratch memory; about a millisecond. abilities() caches it.
kernel::Abilities probe();
/// The same report as a machine would give that lacks what the mask hides.
kernel::Abilities apply(const Mask& mask, kernel::Abilities abilities);

}  // namespace verso::host
