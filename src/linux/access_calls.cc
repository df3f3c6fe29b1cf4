// Single accesses of programs that try a kernel out: a load or store whose signal is its outcome,
// and the ways in which the kernel itself reads, writes and pins memory.
//
// A signal becomes an outcome by the technique of the specification's section 12: a handler for
// SIGBUS and SIGSEGV jumps back to where the access was made. It is installed by the first such
// access of a process and never before, chains to what was there, and touches no other fault: a
// thread that is in the middle of an access says so in a thread-local variable.
#include <atomic>
#include <csetjmp>
#include <csignal>
#include <cstring>
#include <mutex>

#include <fcntl.h>
#include <linux/io_uring.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/check.h"
#include "linux/address.h"
#include "linux/calls.h"

namespace verso::host {
namespace {
using kernel::Verdict;

/// Where this thread's access is to return to, and where it is made; null outside of one.
thread_local sigjmp_buf* volatile returning = nullptr;
thread_local volatile u64 touched = 0;

struct sigaction previous_bus;   // written once, before the handler can run
struct sigaction previous_segv;  // likewise

void pass_on(int number, siginfo_t* info, void* context) {
    const struct sigaction& previous = number == SIGBUS ? previous_bus : previous_segv;
    if ((previous.sa_flags & SA_SIGINFO) != 0) {
        previous.sa_sigaction(number, info, context);
        return;
    }
    if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) {
        previous.sa_handler(number);
        return;
    }
    // Why safe: allowed in a handler; the access repeats on return and ends the process where it
    // is.
    ::signal(number, SIG_DFL);
}

void on_signal(int number, siginfo_t* info, void* context) {
    const u64 at = address_of(info->si_addr);
    if (returning != nullptr && at / page_size == touched / page_size) {
        siglongjmp(*returning, number);
    }
    pass_on(number, info, context);
}

void install() {
    static std::once_flag once;
    std::call_once(once, [] {
        struct sigaction action {};
        action.sa_sigaction = on_signal;
        action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
        // Why safe: chains to the handlers it replaces.
        VERSO_CHECK(::sigaction(SIGBUS, &action, &previous_bus) == 0, "sigaction: {}", errno);
        // Why safe: as above.
        VERSO_CHECK(::sigaction(SIGSEGV, &action, &previous_segv) == 0, "sigaction: {}", errno);
    });
}

/// Loads or stores 8 bytes. In a function of its own because nothing may live across sigsetjmp.
__attribute__((noinline)) int access(u64 address, u64* value, bool write) {
    sigjmp_buf here;
    const int number = sigsetjmp(here, 1);
    if (number != 0) {
        returning = nullptr;
        return number;
    }
    touched = address;
    returning = &here;
    std::atomic_signal_fence(std::memory_order_seq_cst);
    volatile u64* const at = static_cast<volatile u64*>(pointer_to(address));
    if (write) {
        *at = *value;
    } else {
        *value = *at;
    }
    std::atomic_signal_fence(std::memory_order_seq_cst);
    returning = nullptr;
    return 0;
}

Outcome signalled(int number) { return {Verdict::signal, 0, number, 0}; }

Outcome through_the_kernel(u64 address, u64* value, bool write) {
    const ::iovec ours{value, sizeof *value};
    const ::iovec there{pointer_to(address), sizeof *value};
    // Why safe: copies between a local variable and a range of our own that the caller owns.
    const ssize_t copied = write ? ::process_vm_writev(::getpid(), &ours, 1, &there, 1, 0)
                                 : ::process_vm_readv(::getpid(), &ours, 1, &there, 1, 0);
    return copied < 0 ? failure(errno) : Outcome::done(copied);
}
}  // namespace

Outcome load(const Call& call) {
    install();
    u64 value = 0;
    const int number = access(call.address, &value, false);
    return number != 0 ? signalled(number) : Outcome::done(static_cast<i64>(value));
}

Outcome store(const Call& call) {
    install();
    u64 value = call.aux;
    const int number = access(call.address, &value, true);
    return number != 0 ? signalled(number) : Outcome::done();
}

Outcome gup_read(const Call& call) {
    u64 value = 0;
    const Outcome outcome = through_the_kernel(call.address, &value, false);
    return outcome.ok() ? Outcome::done(static_cast<i64>(value)) : outcome;
}

Outcome gup_write(const Call& call) {
    u64 value = call.aux;
    return through_the_kernel(call.address, &value, true);
}

Outcome forced_write(const Call& call) {
    // Why safe: a file that is this process' memory; what is written is a range the caller owns.
    const Fd memory{::open("/proc/self/mem", O_RDWR | O_CLOEXEC)};
    if (!memory.valid()) {
        return failure(errno);
    }
    const u64 value = call.aux;
    // Why safe: as above, 8 bytes.
    return result_of(
        ::pwrite(memory.get(), &value, sizeof value, static_cast<off_t>(call.address)));
}

/// A buffer registered with an io_uring is pinned for writing and for long (FOLL_LONGTERM) until
/// the ring is closed.
Outcome pin(const Call& call) {
    io_uring_params params{};
    // Why safe: makes a descriptor; `params` is the structure of this call.
    Fd ring{static_cast<int>(::syscall(SYS_io_uring_setup, 1U, &params))};
    if (!ring.valid()) {
        return failure(errno);
    }
    ::iovec buffer{pointer_to(call.address), call.length};
    // Why safe: pins the caller's own range; nothing is ever submitted to the ring.
    if (::syscall(SYS_io_uring_register, ring.get(), IORING_REGISTER_BUFFERS, &buffer, 1) != 0) {
        return failure(errno);
    }
    return Outcome::done(ring.release());
}

/// The end of a ring is work that the kernel does later, by another thread, and its buffers are
/// pinned until then. Taken back before, they are not when this returns. Where there is no ring,
/// close says so.
Outcome unpin(const Call& call) {
    // Why safe: the ring is the caller's own, from pin(); nothing was ever submitted to it.
    static_cast<void>(
        ::syscall(SYS_io_uring_register, call.fd, IORING_UNREGISTER_BUFFERS, nullptr, 0));
    return close_call(call);
}

Outcome lock(const Call& call) {
    // Why safe: the caller owns the range. Not by mlock(2)'s function: AddressSanitizer has one of
    // its own, which does nothing and says that all is well.
    return result_of(::syscall(SYS_mlock, call.address, call.length));
}

}  // namespace verso::host
