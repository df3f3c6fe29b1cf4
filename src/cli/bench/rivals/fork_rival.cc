// fork(2) with a child that does as little as can be measured.
#include "cli/bench/rivals/fork_rival.h"

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/bench/harness/clock.h"
#include "cli/bench/rivals/memory.h"

namespace verso::cli::bench {

namespace {

/// What the child writes and the parent reads, in one shared page.
struct Stamps {
    std::atomic<u64> first;
    std::atomic<u64> last;
    std::atomic<u64> sum;
};

}  // namespace

Result<ForkedSleeper> ForkedSleeper::start(u64 sleep_ms) {
    const u64 begin = stamp_ns();
    // Why safe: the child calls only nanosleep and _exit, which are async-signal-safe, so it does
    // not matter in which state fork(2) caught the other threads' locks.
    const pid_t pid = fork();
    if (pid == 0) {
        timespec rest{static_cast<time_t>(sleep_ms / 1000),
                      static_cast<long>(sleep_ms % 1000) * 1'000'000};
        while (nanosleep(&rest, &rest) != 0 && errno == EINTR) {}
        _exit(0);
    }
    const u64 took = stamp_ns() - begin;
    if (pid < 0) {
        return fail(ErrorKind::resource, errno,
                    "fork(2) of this process failed ({}); try smaller sizes or set "
                    "vm.overcommit_memory=1",
                    std::strerror(errno));
    }
    return ForkedSleeper(pid, took);
}

ForkedSleeper::ForkedSleeper(ForkedSleeper&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), call_ns_(other.call_ns_) {}

ForkedSleeper::~ForkedSleeper() {
    if (pid_ <= 0)
        return;
    // Why safe: pid_ is our own child, not reaped yet, so the number cannot have been given away.
    kill(pid_, SIGKILL);
    while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {}
}

Result<ForkTimes> fork_and_read(std::span<const std::byte> bytes) {
    // Why safe: a new shared page at an address of the kernel's choice replaces nothing.
    void* page =
        mmap(nullptr, page_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) {
        return fail(ErrorKind::resource, errno, "no shared page ({})", std::strerror(errno));
    }
    auto* stamps = static_cast<Stamps*>(page);
    const u64 begin = stamp_ns();
    // Why safe: the child only loads memory, reads the clock through the vDSO and calls _exit.
    const pid_t pid = fork();
    if (pid == 0) {
        const u64 byte = read_every_page(bytes.first(1));
        stamps->first.store(stamp_ns());
        stamps->sum.store(byte + read_every_page(bytes));
        stamps->last.store(stamp_ns());
        _exit(0);
    }
    ForkTimes times;
    times.call_ns = stamp_ns() - begin;
    const int error = errno;
    int status = 0;
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
    times.first_read_ns = stamps->first.load() - begin;
    times.last_page_ns = stamps->last.load() - begin;
    // Why safe: the page mapped above; the child is gone.
    munmap(page, page_size);
    if (pid < 0) {
        return fail(ErrorKind::resource, error, "fork(2) of this process failed ({})",
                    std::strerror(error));
    }
    if (status != 0)
        return fail(ErrorKind::system, 0, "the forked child died, status {}", status);
    return times;
}

}  // namespace verso::cli::bench
