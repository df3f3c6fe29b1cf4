// The verb as a pass over the rows: refuse what cannot be right, warm the memory, measure row after
// row, print, write. A row that fails leaves a line that says so; the others still run.
#include "cli/bench/bench_engine.h"

#include <algorithm>

#include <fmt/core.h>
#include <fmt/ranges.h>

#include "cli/bench/harness/report.h"
#include "cli/bench/rivals/machine.h"
#include "cli/bench/rivals/memory.h"
#include "cli/bench/rows/rows.h"

namespace verso::cli::bench {

namespace {

constexpr unsigned repeats_max = 1000;
constexpr u64 extra_mib = 512;  // our own tables, samples, children

/// The most memory that a row has in use at once: in `rewind` and in a captured `child_scan` the
/// region, its old pages and a copy, for the row that takes the largest size.
u64 peak_mib(const BenchOptions& options) {
    constexpr u64 largest_mib = Limits::region_bytes_max >> 20;  // keeps the product in range
    const u64 size = *std::max_element(options.sizes_mib.begin(), options.sizes_mib.end());
    return std::min(size, largest_mib) * 3 + extra_mib;
}

Result<void> check(const BenchOptions& options) {
    if (options.sizes_mib.empty() ||
        std::count(options.sizes_mib.begin(), options.sizes_mib.end(), 0)) {
        return fail(ErrorKind::invalid_argument, 0,
                    "--sizes-mib: give one or more sizes of at least 1, as in 256,1024,4096");
    }
    if (options.repeats == 0 || options.repeats > repeats_max) {
        return fail(ErrorKind::invalid_argument, 0, "--repeats: give a number from 1 to {}",
                    repeats_max);
    }
    const std::vector<std::string_view> names = bench_row_names();
    if (!options.only.empty() &&
        std::find(names.begin(), names.end(), options.only) == names.end()) {
        return fail(ErrorKind::invalid_argument, 0, "--only: there is no row {}; the rows are {}",
                    options.only, fmt::join(names, ", "));
    }
    const u64 available_mib = meminfo_bytes("MemAvailable") >> 20;
    if (peak_mib(options) > available_mib) {
        return fail(ErrorKind::invalid_argument, 0,
                    "--sizes-mib: the largest size needs about {} MiB of free memory and {} are "
                    "available; give smaller sizes",
                    peak_mib(options), available_mib);
    }
    if (!options.json.empty())
        return check_writable(options.json);
    return {};
}

/// What holds for every line; a line's own method comes on top.
std::vector<std::string> general_method(u64 warmed_mib) {
    return {
        "Every figure of ours is taken in the same process and run as its rival's, the two in "
        "turn, and "
        "the order changes with every repeat. The figure is the ratio of the medians over the "
        "repeats; "
        "raw samples are kept, none is dropped.",
        fmt::format(
            "Before the first row {} MiB of memory were touched once and freed: the host of a "
            "virtual machine gives memory on first touch, which costs ten times a warm page.",
            warmed_mib),
        "Times are CLOCK_MONOTONIC through the vDSO. Threads are not pinned. Pages are 4 KiB.",
        "Forks and restores are timed from the call's start to its return, to the first byte "
        "loaded, "
        "and to the last page loaded.",
    };
}

/// One row; an error becomes a line that says so, and the rows after it still run.
Lines run_row(const Row& row, const BenchOptions& options, bool& failed) {
    fmt::print(stderr, "bench: {} …\n", row.name);
    Result<Lines> lines = row.run(options);
    if (lines) {
        for (Line& line : *lines)
            line.restores = line.restores || row.restores;
        return std::move(*lines);
    }
    Line line;
    line.row = row.name;
    line.why_not = lines.error().message;
    // What this machine cannot do is skipped; anything else is a failure of the run.
    line.failed = lines.error().kind != ErrorKind::unsupported;
    failed = failed || line.failed;
    return {line};
}

}  // namespace
}  // namespace verso::cli::bench

namespace verso::cli {

std::vector<std::string_view> bench_row_names() {
    std::vector<std::string_view> names;
    for (const bench::Row& row : bench::all_rows())
        names.push_back(row.name);
    return names;
}

int bench_engine(const BenchOptions& options) {
    const Result<void> right = bench::check(options);
    if (!right) {
        fmt::print(stderr, "verso bench engine: {}\n", right.error().message);
        return 2;
    }
    bench::Report report;
    report.tool = "verso bench engine";
    report.options = {{"sizes_mib", options.sizes_mib},
                      {"repeats", u64{options.repeats}},
                      {"only", options.only}};
    report.before = bench::describe_machine();
    if (report.before.gives_memory_back) {
        fmt::print(stderr,
                   "bench: this virtual machine gives free memory back to its host, which makes "
                   "copying look up to ten times dearer; as root, for the time of the run: echo 11 "
                   "> /sys/module/page_reporting/parameters/page_reporting_order\n");
    }
    const u64 warmed_mib = bench::peak_mib(options);
    report.method = bench::general_method(warmed_mib);
    fmt::print(stderr, "bench: warming {} MiB …\n", warmed_mib);
    bool failed = false;
    const Result<void> warmed = bench::warm_memory(warmed_mib << 20);
    if (!warmed) {
        fmt::print(stderr, "verso bench engine: {}\n", warmed.error().message);
        return 1;
    }
    for (const bench::Row& row : bench::all_rows()) {
        if (!options.only.empty() && row.name != options.only)
            continue;
        bench::Lines lines = bench::run_row(row, options, failed);
        report.lines.insert(report.lines.end(), lines.begin(), lines.end());
    }
    report.load_after = bench::describe_machine().load;
    fmt::print("{}", bench::table_of(report));
    if (!options.json.empty()) {
        const Result<void> written = bench::write_file(options.json, bench::json_of(report));
        if (!written) {
            fmt::print(stderr, "verso bench engine: {}\n", written.error().message);
            failed = true;
        }
    }
    return failed ? 1 : 0;
}

}  // namespace verso::cli
