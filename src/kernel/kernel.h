// kernel/: the seam. Everything the engine asks of an operating system goes through class Kernel:
// memory calls (as values), threads, locks and time. linux/ implements it with real system calls; a
// model can implement it with fibers and simulated memory, and the engine cannot tell.
//
//   engine ──Call──▶ Kernel ──▶ Linux            cost of the seam: 1.6 ns a virtual call,
//          ◀─Outcome─       └─▶ model            against ≥ 120 ns for the cheapest system call
//
// Descriptors are plain numbers in the caller's process; Fd owns them. Addresses are u64: those
// that `map` returned may be dereferenced by the engine only where it mapped them for itself (alias
// mappings, never registered, never faulting to userspace); application memory goes through
// memory_read / memory_write. Locks: none here. May include: base, abi.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "kernel/call.h"
#include "kernel/event.h"
#include "kernel/outcome.h"

namespace verso::kernel {

/// What this kernel and this process' privilege offer, asked once at run time (never at build
/// time).
struct Abilities {
    bool userfaultfd = false;  // one could be opened
    bool user_mode_only =
        false;  // … but kernel-mode faults (read(2) into the region) are not served
    bool through_device = false;  // … through /dev/userfaultfd
    u64 uffd_features = 0;        // UFFD_FEATURE_* bits of the kernel, 0 if none could be opened
    bool write_protect_shmem = false;  // uffd-wp works on a shared memfd (tried, not inferred)
    bool wp_unpopulated = false;
    bool wp_async = false;
    bool minor_shmem = false;
    bool continue_private = false;  // CONTINUE into MAP_PRIVATE of a memfd works (tried)
    bool poison = false;
    bool layout_events = false;  // EVENT_REMOVE, EVENT_UNMAP, EVENT_REMAP
    bool pagemap_scan = false;
    std::string why_no_userfaultfd;  // a sentence, if !userfaultfd
};

class Thread {  // joins on destruction
public:
    virtual ~Thread() = default;
};

class Mutex {
public:
    virtual ~Mutex() = default;
    virtual void lock() = 0;
    virtual void unlock() = 0;
};

class Condition {
public:
    virtual ~Condition() = default;
    virtual void wait(Mutex& held) = 0;
    /// Returns false if the time ran out.
    virtual bool wait_for(Mutex& held, u64 timeout_ns) = 0;
    virtual void notify_all() = 0;
};

class Kernel {
public:
    virtual ~Kernel() = default;
    virtual Outcome perform(const Call& call, const Payload& payload) = 0;
    Outcome perform(const Call& call) { return perform(call, Payload{}); }

    virtual const Abilities& abilities() = 0;
    virtual std::unique_ptr<Thread> spawn(const std::string& name, std::function<void()> body) = 0;
    virtual std::unique_ptr<Mutex> make_mutex() = 0;
    virtual std::unique_ptr<Condition> make_condition() = 0;
    virtual u64 now_ns() = 0;
    /// One turn of a spin loop.
    virtual void relax() = 0;
};

}  // namespace verso::kernel
