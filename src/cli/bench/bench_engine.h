// verso bench engine: the figures the engine promises, each a ratio to a rival measured in the
// same run.
//
// A figure of ours alone says how fast a machine is. A ratio, taken with the two sides in turn,
// says what the engine adds to the kernel underneath it, and stays right on another machine. Hence
// every row has a rival (rivals/), a target, and keeps its raw samples in the JSON file.
//
//   rows/ ──measure──▶ Line {ours, rival, tails, times} ──judge──▶ met / missed ──▶ table, JSON
//
// Exit code 0 even where a target is missed (it is a measurement), 1 if a row could not be
// measured, 2 if the request was wrong (nothing is touched then).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/types.h"

namespace verso::cli {

struct BenchOptions {
    std::string json;  // where the machine's version of the table goes
    std::vector<u64> sizes_mib = {256, 1024, 4096};
    unsigned repeats = 5;
    std::string only;  // run one row by name; empty: all
    u64 second_ms =
        1000;  // how long "the second before" and "after" last; tests cannot wait so long
};

int bench_engine(const BenchOptions& options);

/// The names `only` accepts, in the order of the table.
std::vector<std::string_view> bench_row_names();

/// Hidden verb `verso bench-child …`: the other process of the rows that need one. main() hands
/// over argc and argv unparsed when argv[1] is "bench-child".
int bench_child(int argc, char** argv);

}  // namespace verso::cli
