// The rows of the table, one file each. A row measures, fills Lines and judges nothing.
//
//   arm_first     protecting everything        one UFFDIO_WRITEPROTECT
//   arm_later     protecting what was written  the first arming
//   writer_stall  the writer's longest wait    fork(2)
//   first_write   capture and release a page   a raw write-protect round trip with the same copy
//   throughput    stores in the second after   fork(2)
//   fork_ready    until a child runs           the same at 256 MiB; fork(2) beside it
//   child_scan    a child reads every page     MAP_PRIVATE of a memfd
//   memory        source and 8 children        source and what was written
//   rewind        back to a snapshot           memcpy of the region
//   written       which pages, and their cost  raw PAGEMAP_SCAN and async write-protection
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cli/bench/bench_engine.h"
#include "cli/bench/harness/line.h"
#include "verso/verso.hpp"

namespace verso::cli::bench {

using Lines = std::vector<Line>;

struct Row {
    std::string_view name;
    bool restores;  // forks or restores: its lines owe the times of H16
    Result<Lines> (*run)(const BenchOptions& options);
};
std::span<const Row> all_rows();

Result<Lines> arm_first(const BenchOptions& options);
Result<Lines> arm_later(const BenchOptions& options);
Result<Lines> writer_stall(const BenchOptions& options);
Result<Lines> first_write(const BenchOptions& options);
Result<Lines> throughput(const BenchOptions& options);
Result<Lines> fork_ready(const BenchOptions& options);
Result<Lines> child_scan(const BenchOptions& options);
Result<Lines> memory(const BenchOptions& options);
Result<Lines> rewind_back(const BenchOptions& options);
Result<Lines> written(const BenchOptions& options);

// ── shared by the rows ───────────────────────────────────────────────────────────────────────────

constexpr u64 mib(u64 count) { return count << 20; }

/// A region of ours with every page populated.
Result<Region> populated_region(u64 size_mib, Tracking tracking = Tracking::contents);

/// The size for a row that has one: the largest asked for that is no more than `wanted`, or the
/// smallest.
u64 size_near(const BenchOptions& options, u64 wanted_mib);

/// The first load of a child, kept alive by the caller's sum.
u64 load_byte(std::span<const std::byte> bytes, u64 page);

/// ours() and rival() in turn, `repeats` times, the order alternating, so that drift hits both
/// alike.
template <class Ours, class Rival>
Result<void> in_turn(unsigned repeats, Ours ours, Rival rival) {
    for (unsigned i = 0; i < repeats; ++i) {
        Result<void> first = i % 2 == 0 ? ours() : rival();
        if (!first)
            return first;
        Result<void> second = i % 2 == 0 ? rival() : ours();
        if (!second)
            return second;
    }
    return {};
}

}  // namespace verso::cli::bench
