// The load: a thread that commits transactions as fast as it can for as long as it lives.
//
// Each transaction moves money between two accounts, adds a log row, drops an old one, and counts
// itself in the bookkeeping row; one in 32 also deletes a blob and inserts another. Each is timed
// from BEGIN to the return of COMMIT and filed under the phase it fell into.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "base/histogram.h"
#include "cli/demo/bank.h"
#include "cli/demo/phases.h"

namespace verso::cli {

class Writer {
public:
    Writer(SpanFiles files, const Phases& phases);
    ~Writer();
    Writer(const Writer&) = delete;
    Writer& operator=(const Writer&) = delete;

    Result<void> start();
    /// Ends between two transactions and closes the connection. An error if a transaction failed.
    Result<void> stop();

    /// Transactions whose COMMIT has returned, counted as the database counts them.
    u64 committed() const { return committed_.load(std::memory_order_acquire); }
    /// Asked of the writer's own connection, between two transactions: rows that children have
    /// written.
    i64 rows_of_children();
    /// Only when stopped.
    Latency latency(Phase phase) const { return latency_[static_cast<unsigned>(phase)].figures(); }

private:
    struct Statements;
    void work(const std::stop_token& stop);
    Result<void> loop(const std::stop_token& stop);
    Result<void> transaction(Statements& statements);
    Result<void> move_money(Statements& statements);
    Result<void> replace_blob(Statements& statements);

    SpanFiles files_;
    const Phases& phases_;
    std::array<Histogram, phase_count> latency_;
    std::atomic<u64> committed_{0};
    std::atomic<bool> asked_{false};  // somebody waits for answer_
    std::atomic<i64> answer_{-1};
    std::atomic<bool> running_{false};
    std::atomic<u64> seed_{1};
    u64 accounts_ = 0;
    u64 log_first_ = 1;    // the oldest log row still there
    std::string failure_;  // written by the thread, read after join
    std::jthread thread_;
};

/// Once in ~50 µs stores one word into the next page of a small area and times the store: what an
/// application's thread feels, without SQLite in between.
class StallProbe {
public:
    StallProbe(SpanFiles files, const Phases& phases) : files_(files), phases_(phases) {}
    void start();
    void stop() { thread_ = {}; }
    Latency latency(Phase phase) const { return latency_[static_cast<unsigned>(phase)].figures(); }

private:
    void work(const std::stop_token& stop);

    SpanFiles files_;
    const Phases& phases_;
    std::array<Histogram, phase_count> latency_;
    std::jthread thread_;
};

}  // namespace verso::cli
