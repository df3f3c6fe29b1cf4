// What the processes of a run share: one piece of memory, made before they are forked, that
// outlives each of them. A process that is killed in the middle leaves its counts behind.
//
//   Shared ── stage, what is stirred ──▶ all            (written by the driver)
//     └ Slot[instance] ◀── counts, times, failures ──   (written by the instance and its children)
//
// Locks: none. Counts are atomic; a histogram belongs to one thread of one process.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <string>

#include "base/histogram.h"
#include "base/result.h"
#include "base/types.h"
#include "check/torture/judge.h"

namespace verso::check::torture {

enum class Stage : u32 { waiting, running, ending };

/// What instances do to their own memory while it is asked for (the rest the driver does).
struct Stir {
    static constexpr u32 move = 1;      // mbind(2)
    static constexpr u32 page_out = 2;  // MADV_PAGEOUT
    static constexpr u32 merge = 4;     // MADV_MERGEABLE
    static constexpr u32 collapse = 8;  // MADV_COLLAPSE
};

/// What is counted in every instance and added up. Names are those of the report.
enum class Count : u32 {
    bytes_verified,
    pages_wrong,
    pages_lost,
    pages_given_up,  // lost, and the engine had said that it had no memory for them
    failures,        // all: of contents, of calls, of processes
    steps,
    snapshots,
    views,
    children_here,
    children_elsewhere,
    grandchildren,
    rewinds,
    write_faults,
    fill_faults,
    pages_captured,
    pages_revoked,
    pages_mapped,
    pages_copied,
    moves,      // calls of mbind(2) that moved all they were asked to
    page_outs,  // calls that were not refused; likewise what follows
    collapses,
    merges,
    refused,  // snapshots and forks for which there was no memory
    arm_ns,
    cut_ns,
    number,
};
inline constexpr u32 count_number = static_cast<u32>(Count::number);

struct Slot {
    static constexpr u32 failures_kept = 4;
    static constexpr u32 failure_bytes = 512;

    std::array<std::atomic<u64>, count_number> counts;
    std::array<std::array<char, failure_bytes>, failures_kept> failures;
    std::array<Histogram, writers_per_instance> stores_during;  // a snapshot
    std::array<Histogram, writers_per_instance> stores_between;
    std::atomic<const char*> doing;  // a literal: the same address in every process of a run
    std::atomic<u64> round;
    std::atomic<u32> finished;
    std::atomic<u32> starved;  // a region had no memory for old versions
    std::array<char, failure_bytes> first_lost;

    std::atomic<u64>& operator[](Count count) { return counts[static_cast<u32>(count)]; }
    void add(Count count, u64 more = 1) {
        (*this)[count].fetch_add(more, std::memory_order_relaxed);
    }
    void fail(const std::string& text);
    /// A call that did not succeed: refused where there was no memory for it, else a failure.
    void report(const std::string& what, const Error& error);
    /// Counts the pages, and keeps what is wrong with the first. Pages that are lost are judged at
    /// the end: the engine may have said that it would lose them.
    void add(const Verdict& verdict, const std::string& where);
    /// What a region says of itself before it goes.
    void hear(const std::string& damage, const std::string& where);
    void judge_lost();
};

class Shared {
public:
    static Result<std::unique_ptr<Shared>> make(u64 instances);
    ~Shared();
    Shared(const Shared&) = delete;
    Shared& operator=(const Shared&) = delete;

    struct Header {
        std::atomic<Stage> stage;
        std::atomic<u32> stir;   // bits of Stir
        std::atomic<u32> brake;  // memory runs short: write nothing, take no snapshots
        std::atomic<u32> ready;  // instances that have begun
    };
    Header& header() const { return *header_; }
    Slot& slot(u64 instance) const { return slots_[instance]; }
    u64 instances() const { return instances_; }
    u64 total(Count count) const;

private:
    Shared(void* memory, u64 bytes, u64 instances);
    void* const memory_;
    const u64 bytes_;
    const u64 instances_;
    Header* header_;
    Slot* slots_;
};

}  // namespace verso::check::torture
