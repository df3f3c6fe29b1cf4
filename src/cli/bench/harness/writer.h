// Writer: a thread that stores to pages at full speed and times every store: the view that counts,
// the application's own. Each store belongs to the phase in which it happened; one that spans
// several phases belongs to all of them, so that a stall cannot hide on a border.
//
//   phase   0 before        1 while armed      2 after
//   stores  ·  ·  ·  ·  ·  [········stall········]  ·  ·  ·
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <span>
#include <thread>

#include "cli/bench/harness/pattern.h"
#include "cli/bench/harness/stats.h"

namespace verso::cli::bench {

class Writer {
public:
    static constexpr unsigned phases = 3;

    /// Starts at once, in phase 0. The bytes must outlive the writer.
    Writer(std::span<std::byte> bytes, Habit habit, u64 seed);
    ~Writer() { stop(); }
    Writer(const Writer&) = delete;
    Writer& operator=(const Writer&) = delete;

    void enter(unsigned phase) { phase_.store(phase, std::memory_order_release); }
    /// Ends the thread; the histograms are valid from then on.
    void stop();
    const Histogram& stores(unsigned phase) const { return stores_[phase]; }
    /// Stores done so far; approximate while running.
    u64 done() const { return done_.load(std::memory_order_relaxed); }

private:
    void run(Habit habit, u64 seed);

    std::span<std::byte> bytes_;
    std::array<Histogram, phases> stores_{};  // written by the thread alone
    std::atomic<unsigned> phase_ = 0;
    std::atomic<u64> done_ = 0;
    std::atomic<bool> stopping_ = false;
    std::thread thread_;  // last: everything above exists when it starts
};

void sleep_ms(u64 ms);

}  // namespace verso::cli::bench
