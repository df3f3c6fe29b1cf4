// The obvious alternative: fork(2) of the whole process. The child shares nothing that could help
// the comparison: it sleeps, or reads, and exits; it never runs code of the engine.
#pragma once

#include <cstddef>
#include <span>

#include <sys/types.h>

#include "base/result.h"
#include "base/types.h"

namespace verso::cli::bench {

/// A forked child that only exists. Killed and reaped on destruction.
class ForkedSleeper {
public:
    static Result<ForkedSleeper> start(u64 sleep_ms);
    ForkedSleeper(ForkedSleeper&& other) noexcept;
    ForkedSleeper& operator=(ForkedSleeper&&) = delete;
    ~ForkedSleeper();
    u64 call_ns() const { return call_ns_; }  // how long fork(2) took in the parent

private:
    ForkedSleeper(pid_t pid, u64 call_ns) : pid_(pid), call_ns_(call_ns) {}
    pid_t pid_;
    u64 call_ns_;
};

/// When a forked child got where, in nanoseconds from the start of fork(2).
struct ForkTimes {
    u64 call_ns = 0;
    u64 first_read_ns = 0;
    u64 last_page_ns = 0;
};
/// Forks a child that loads one byte, then one byte of every page, and exits.
Result<ForkTimes> fork_and_read(std::span<const std::byte> bytes);

}  // namespace verso::cli::bench
