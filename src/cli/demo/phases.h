// What else was going on while something was timed. The writer and the stall probe ask afterwards,
// with the start and the end of the sample, so that a stall that begins before a snapshot's window
// or ends after it still counts as inside.
//
//      snapshot   from the start of snapshot() (or fork) until 50 ms after it
//      children   child processes are being started or are checking; both processors are busy
//      quiet      neither
#pragma once

#include <array>
#include <atomic>
#include <chrono>

#include "base/types.h"

namespace verso::cli {

enum class Phase : u8 { quiet, snapshot, children };
inline constexpr unsigned phase_count = 3;
inline constexpr std::array<const char*, phase_count> phase_names = {"quiet", "snapshot",
                                                                     "children"};
inline constexpr u64 window_after_ns = 50'000'000;

/// CLOCK_MONOTONIC: the same in all processes of the machine.
inline u64 now_ns() {
    return static_cast<u64>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                std::chrono::steady_clock::now().time_since_epoch())
                                .count());
}

class Phases {
public:
    void open_window() {
        until_.store(~u64{0}, std::memory_order_relaxed);
        from_.store(now_ns(), std::memory_order_release);
    }
    void close_window() { until_.store(now_ns() + window_after_ns, std::memory_order_release); }
    void children(bool busy) { children_.store(busy, std::memory_order_release); }

    Phase of(u64 start_ns, u64 end_ns) const {
        const u64 from = from_.load(std::memory_order_acquire);
        const u64 until = until_.load(std::memory_order_acquire);
        if (end_ns >= from && start_ns < until) {
            return Phase::snapshot;
        }
        return children_.load(std::memory_order_acquire) ? Phase::children : Phase::quiet;
    }

private:
    std::atomic<u64> from_{~u64{0}};
    std::atomic<u64> until_{0};
    std::atomic<bool> children_{false};
};

}  // namespace verso::cli
