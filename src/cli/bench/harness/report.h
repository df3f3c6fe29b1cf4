// The table a person reads and the JSON file a machine reads, from the same lines.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "base/result.h"
#include "cli/bench/harness/line.h"
#include "cli/bench/rivals/machine.h"

namespace verso::cli::bench {

struct OptionSaid {
    std::string name;
    std::variant<u64, std::string, std::vector<u64>> value;
};

struct Report {
    std::string tool;  // "verso bench engine"
    std::vector<OptionSaid> options;
    std::vector<std::string> method;  // what holds for every line
    Machine before;
    std::string load_after;
    std::vector<Line> lines;
};

std::string table_of(const Report& report);
std::string json_of(const Report& report);

/// Opens the file for writing without emptying it, so that a wrong path is refused before anything
/// runs.
Result<void> check_writable(const std::string& path);
Result<void> write_file(const std::string& path, const std::string& text);

}  // namespace verso::cli::bench
