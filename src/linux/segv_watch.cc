// Access faults of watched ranges: one SIGSEGV handler for the process and a table that it can read
// at any moment without a lock, on any thread, in the middle of anything.
//
//   slot:   state   free ──watch──▶ taken ──unwatch──▶ free
//           begin   0: not visible to the handler. Stored last by watch, cleared first by unwatch
//           end, sink   written only while begin is 0 and nobody is inside
//           inside  handlers that are using the slot
//
// The handler enters (inside + 1) and then looks at begin once more; unwatch clears begin and then
// waits until nobody is inside. Both orders are sequentially consistent, so one of the two sees the
// other: a sink is never called after unwatch_segv returned. A sink must not unwatch its own range.
//
// A fault that is nobody's goes to the handler that was there before ours. Not so if its address
// was watched until a moment ago: the access met a protection that is lifted by now (whoever
// unwatches lifts it first), while its handler was still on the way, so it is simply repeated.
// Handing it on would end the program, or take our handler away from all other ranges. A slot
// remembers its last range for that, and how often it has let an access repeat: one that cannot
// succeed ends after ten thousand times, some 10 ms, as it would have at once.
#include <array>
#include <atomic>
#include <csignal>
#include <mutex>

#include <pthread.h>
#include <sched.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/check.h"
#include "linux/address.h"
#include "linux/calls.h"

namespace verso::host {
namespace {
using kernel::FaultSink;

constexpr std::size_t slots_max = 4096;  // as many as regions (Limits::regions_max)

struct Slot {
    std::atomic<bool> taken{false};
    std::atomic<u64> begin{0};
    std::atomic<u64> end{0};
    std::atomic<FaultSink*> sink{nullptr};
    std::atomic<unsigned> inside{0};
    std::atomic<u64> last_begin{0};  // the range before, or 0
    std::atomic<u64> last_end{0};
    std::atomic<unsigned> repeats{0};
};
static_assert(std::atomic<u64>::is_always_lock_free && std::atomic<FaultSink*>::is_always_lock_free,
              "a signal handler reads these");

// Globals: a signal's disposition is one per process, whatever the number of kernels.
constinit std::array<Slot, slots_max> slots;
constinit std::atomic<std::size_t> slots_used{0};  // no slot at or above it was ever taken
struct sigaction previous_action;                  // written once, before the handler can run

bool is_write(const void* context) {
#if defined(__x86_64__)
    constexpr greg_t write_bit = 2;  // of the page fault error code
    const ucontext_t* const user = static_cast<const ucontext_t*>(context);
    return (user->uc_mcontext.gregs[REG_ERR] & write_bit) != 0;
#else
    static_cast<void>(context);
    return true;  // a read never faults where reading stays permitted, which is all that we forbid
#endif
}

/// The sink's answer, or false if the address is nobody's.
bool offer(u64 address, bool write) {
    const std::size_t used = slots_used.load();
    for (std::size_t i = 0; i < used; ++i) {
        Slot& slot = slots[i];
        const u64 glimpse = slot.begin.load();
        if (glimpse == 0 || address < glimpse) {
            continue;
        }
        slot.inside.fetch_add(1);
        const u64 begin = slot.begin.load();
        bool handled = false;
        if (begin != 0 && address >= begin && address < slot.end.load()) {
            handled = slot.sink.load()->on_access_fault(address, write);
        }
        slot.inside.fetch_sub(1);
        if (handled) {
            return true;
        }
    }
    return false;
}

bool was_watched_just_now(u64 address) {
    constexpr unsigned repeats_max = 10'000;  // many more than threads that can be on the way
    const std::size_t used = slots_used.load();
    for (std::size_t i = 0; i < used; ++i) {
        Slot& slot = slots[i];
        const u64 begin = slot.last_begin.load();
        if (begin != 0 && address >= begin && address < slot.last_end.load() &&
            slot.repeats.fetch_add(1) < repeats_max) {
            return true;
        }
    }
    return false;
}

void pass_on(int number, siginfo_t* info, void* context) {
    if ((previous_action.sa_flags & SA_SIGINFO) != 0) {
        previous_action.sa_sigaction(number, info, context);
        return;
    }
    if (previous_action.sa_handler != SIG_DFL && previous_action.sa_handler != SIG_IGN) {
        previous_action.sa_handler(number);
        return;
    }
    struct sigaction fatal {};
    fatal.sa_handler = SIG_DFL;
    // Why safe: sigaction is allowed in handlers. The access repeats on return and ends the
    // process, with a core that shows the real place.
    ::sigaction(number, &fatal, nullptr);
    if (info->si_code <= 0) {
        ::raise(number);  // sent by somebody: nothing repeats it
    }
}

void on_segv(int number, siginfo_t* info, void* context) {
    const int saved = errno;
    const u64 address = address_of(info->si_addr);
    const bool from_memory = info->si_code == SEGV_ACCERR || info->si_code == SEGV_MAPERR;
    const bool handled =
        from_memory && (offer(address, is_write(context)) ||
                        (info->si_code == SEGV_ACCERR && was_watched_just_now(address)));
    if (!handled) {
        pass_on(number, info, context);
    }
    errno = saved;
}

/// In a child of fork(2) the threads that were inside no longer exist.
void forget_other_threads() {
    for (Slot& slot : slots) {
        slot.inside.store(0);
    }
}

/// errno, or 0.
int install_once() {
    static std::mutex guard;
    static bool installed = false;
    const std::lock_guard lock(guard);
    if (installed) {
        return 0;
    }
    struct sigaction ours {};
    ours.sa_sigaction = &on_segv;
    // NODEFER: a sink may touch memory that faults in turn. ONSTACK: the fault may be a stack's.
    ours.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK;
    // Why safe: reads the disposition first, so that `previous_action` is complete before the
    // handler that uses it is there; both are plain structures of ours.
    if (::sigaction(SIGSEGV, nullptr, &previous_action) != 0 ||
        ::sigaction(SIGSEGV, &ours, nullptr) != 0) {
        return errno;
    }
    installed = true;
    return ::pthread_atfork(nullptr, nullptr, &forget_other_threads);
}
}  // namespace

Outcome watch_segv(const Call& call, const Payload& payload) {
    VERSO_CHECK(payload.sink != nullptr, "nobody to tell");
    VERSO_CHECK(call.address != 0 && call.length != 0, "empty range at {:#x}", call.address);
    const int error = install_once();
    if (error != 0) {
        return failure(error);
    }
    for (std::size_t i = 0; i < slots.size(); ++i) {
        Slot& slot = slots[i];
        if (slot.taken.exchange(true)) {
            continue;
        }
        slot.end.store(call.address + call.length);
        slot.sink.store(payload.sink);
        std::size_t used = slots_used.load();
        while (used < i + 1 && !slots_used.compare_exchange_weak(used, i + 1)) {}
        slot.begin.store(call.address);
        return Outcome::done();
    }
    return failure(ENOSPC);
}

Outcome unwatch_segv(const Call& call) {
    for (Slot& slot : slots) {
        u64 begin = call.address;
        if (slot.end.load() != call.address + call.length || slot.begin.load() != begin) {
            continue;
        }
        slot.last_begin.store(0);  // never one range's begin with another's end
        slot.last_end.store(call.address + call.length);
        slot.repeats.store(0);
        slot.last_begin.store(call.address);
        if (!slot.begin.compare_exchange_strong(begin, 0)) {
            continue;
        }
        while (slot.inside.load() != 0) {
            ::sched_yield();
        }
        slot.end.store(0);
        slot.sink.store(nullptr);
        slot.taken.store(false);
        return Outcome::done();
    }
    return failure(ENOENT);
}

}  // namespace verso::host
