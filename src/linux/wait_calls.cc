// Waiting for descriptors, the eventfd that wakes a waiter, the pidfd that tells a process' end.
#include <array>
#include <csignal>
#include <limits>

#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/check.h"
#include "linux/calls.h"

namespace verso::host {
namespace {
constexpr std::size_t waits_max = 1024;

int poll_timeout(u64 milliseconds) {
    if (milliseconds == ~u64{0}) {
        return -1;
    }
    constexpr u64 most = std::numeric_limits<int>::max();
    return static_cast<int>(milliseconds < most ? milliseconds : most);
}
}  // namespace

Outcome wait_call(const Call& call, const Payload& payload) {
    VERSO_CHECK(payload.waits.size() <= waits_max, "{} descriptors in one wait",
                payload.waits.size());
    if (payload.waits.empty() && call.aux == 0) {
        // Why safe: only lets other threads run. poll(2) of nothing returns without doing that.
        (void)::sched_yield();
        return {kernel::Verdict::timed_out, 0, 0, 0};
    }
    std::array<pollfd, waits_max> polls;
    for (std::size_t i = 0; i < payload.waits.size(); ++i) {
        polls[i] = {payload.waits[i].fd, POLLIN | POLLRDHUP, 0};
        payload.waits[i].ready = false;
        payload.waits[i].hung_up = false;
    }
    // Why safe: `polls` has as many entries as the call is told.
    const int count = ::poll(polls.data(), payload.waits.size(), poll_timeout(call.aux));
    if (count < 0) {
        return failure(errno);
    }
    if (count == 0) {
        return {kernel::Verdict::timed_out, 0, 0, 0};
    }
    for (std::size_t i = 0; i < payload.waits.size(); ++i) {
        const int events = polls[i].revents;
        payload.waits[i].ready = (events & POLLIN) != 0;
        payload.waits[i].hung_up = (events & (POLLHUP | POLLRDHUP | POLLERR | POLLNVAL)) != 0;
    }
    return Outcome::done(count);
}

Outcome event_create() {
    // Why safe: makes a descriptor and nothing else.
    const int fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return result_of(fd);
}

Outcome event_signal(const Call& call) {
    const u64 one = 1;
    // Why safe: reads the eight bytes of a local.
    const ssize_t count = ::write(call.fd, &one, sizeof one);
    if (count < 0 && errno != EAGAIN) {
        return failure(errno);
    }
    return Outcome::done();  // EAGAIN: the counter is full, so whoever waits is awake already
}

Outcome event_drain(const Call& call) {
    u64 signals = 0;
    // Why safe: fills the eight bytes of a local; the descriptor is non-blocking.
    const ssize_t count = ::read(call.fd, &signals, sizeof signals);
    if (count < 0 && errno != EAGAIN) {
        return failure(errno);
    }
    // EAGAIN: drained by another thread, which is as good.
    return Outcome::done(static_cast<i64>(signals));
}

Outcome end_process() {
    // Why safe: kills this process and no other, which is what the caller asked for.
    return result_of(::kill(::getpid(), SIGKILL));
}

/// A socket stays open as long as anybody holds a copy of it, and fork(2) copies; this tells of the
/// process itself (5.3).
Outcome process_self() {
    // Why safe: makes a descriptor (close-on-exec by itself) and nothing else.
    return result_of(::syscall(SYS_pidfd_open, ::getpid(), 0));
}

Outcome bundle(const Payload& payload) {
    // Why safe: makes a descriptor and nothing else.
    Fd all{::epoll_create1(EPOLL_CLOEXEC)};
    if (!all.valid()) {
        return failure(errno);
    }
    for (const int fd : payload.fds) {
        epoll_event event{};
        event.events = EPOLLIN | EPOLLRDHUP;
        // Why safe: watches the descriptor, whose owner keeps it open longer than the bundle.
        if (::epoll_ctl(all.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
            return failure(errno);
        }
    }
    return Outcome::done(all.release());
}

}  // namespace verso::host
