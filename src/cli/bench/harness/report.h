// The table a person reads and the JSON file a machine reads, from the same lines.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "cli/bench/bench_engine.h"
#include "cli/bench/harness/line.h"
#include "cli/bench/rivals/machine.h"

namespace verso::cli::bench {

/// What holds for every line; a line's own method comes on top.
std::vector<std::string> general_method(u64 warmed_mib);

struct Report {
    BenchOptions options;
    Machine before;
    std::string load_after;
    u64 warmed_mib = 0;
    std::vector<Line> lines;
};

std::string table_of(const Report& report);
std::string json_of(const Report& report);

/// Opens the file for writing without emptying it, so that a wrong path is refused before anything
/// runs.
Result<void> check_writable(const std::string& path);
Result<void> write_file(const std::string& path, const std::string& text);

}  // namespace verso::cli::bench
