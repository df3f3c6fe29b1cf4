// The verb: refuse what cannot be right, measure size after size, print, write. What fails leaves a
// line that says so; the sizes after it are still measured.
#include "cli/bench/vm/bench_vm.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <sstream>

#include <fmt/core.h>
#include <unistd.h>

#include "cli/bench/harness/report.h"
#include "cli/bench/rivals/machine.h"
#include "cli/bench/rivals/raw_uffd.h"
#include "cli/bench/vm/rows.h"
#include "cli/bench/vm/stage.h"
#include "vm/command_line.h"
#include "vm/process.h"
#include "vm/verbs.h"

namespace verso::cli::bench {
namespace fs = std::filesystem;

namespace {

constexpr u64 guest_mib_min = 128;  // less does not hold the guest and its load
constexpr unsigned repeats_max = 100;
constexpr unsigned seconds_max = 600;
constexpr u64 extra_mib = 1'024;

bool is_program(const std::string& name) {
    const char* const path = std::getenv("PATH");
    std::istringstream folders(path == nullptr ? "" : path);
    for (std::string folder; std::getline(folders, folder, ':');) {
        // Why safe: only asks; the string outlives the call.
        if (::access((folder + "/" + name).c_str(), X_OK) == 0) {
            return true;
        }
    }
    return false;
}

/// Where --guest is not given: where the tests have made one, beside the program.
Result<std::string> guest_folder(const BenchVmOptions& options) {
    std::string folder = options.guest;
    if (folder.empty()) {
        Result<std::string> program = vm::own_program();
        if (!program) {
            return program;
        }
        folder = (fs::path(*program).parent_path() / "guest").string();
    }
    std::error_code error;
    const fs::path whole = fs::absolute(folder, error);
    if (!fs::is_regular_file(whole / "vmlinuz", error) ||
        !fs::is_regular_file(whole / "initrd", error)) {
        return fail(ErrorKind::invalid_argument, 0,
                    "there is no guest in '{}'; make one with `scripts/guest DIR` and name it with "
                    "--guest DIR",
                    folder);
    }
    return whole.string();
}

Result<std::vector<u64>> sizes_of(const BenchVmOptions& options) {
    std::vector<u64> sizes;
    for (const std::string& text : options.memory) {
        Result<u64> bytes = vm::read_size(text);
        if (!bytes) {
            return pass(bytes, "--memory");
        }
        sizes.push_back(*bytes >> 20);
    }
    std::sort(sizes.begin(), sizes.end());
    const u64 available_mib = meminfo_bytes("MemAvailable") >> 20;
    if (sizes.empty() || sizes.front() < guest_mib_min ||
        sizes.back() * 2 + extra_mib > available_mib) {
        return fail(ErrorKind::invalid_argument, 0,
                    "--memory: give sizes from {}M to {}M, as in 256M,1G ({} MiB are available)",
                    guest_mib_min, (available_mib - std::min(available_mib, extra_mib)) / 2,
                    available_mib);
    }
    return sizes;
}

Result<void> check(const BenchVmOptions& options) {
    if (options.children.empty() ||
        std::count(options.children.begin(), options.children.end(), 0) ||
        *std::max_element(options.children.begin(), options.children.end()) > vm::children_max) {
        return fail(ErrorKind::invalid_argument, 0, "--children: give numbers from 1 to {}",
                    vm::children_max);
    }
    if (options.repeats == 0 || options.repeats > repeats_max || options.seconds == 0 ||
        options.seconds > seconds_max) {
        return fail(ErrorKind::invalid_argument, 0, "--repeats: 1 to {}; --seconds: 1 to {}",
                    repeats_max, seconds_max);
    }
    if (!options.json.empty() && options.json != "-") {
        if (Result<void> writable = check_writable(options.json); !writable) {
            return writable;
        }
    }
    if (!is_program("qemu-system-x86_64")) {
        return fail(ErrorKind::invalid_argument, 0,
                    "there is no qemu-system-x86_64; install it (Debian: qemu-system-x86)");
    }
    if (Result<RawUffd> uffd = RawUffd::open(false); !uffd) {
        return fail(ErrorKind::invalid_argument, uffd.error().os_error,
                    "{}; `verso doctor` says what this machine offers", uffd.error().message);
    }
    return {};
}

std::vector<std::string> method() {
    return {
        "Guests are those of scripts/guest under qemu-system-x86_64 -accel tcg, one processor, no "
        "disk. A guest of S MiB holds S/4 MiB of noise; a working one also rewrites S/8 MiB (64 at "
        "most) over and over. It is booted anew for every repeat of pause and slowdown.",
        "Ours are the verbs of `verso vm`; rivals run in plain QEMU without the agent. The two in "
        "turn, the order changes with every repeat. The figure is the ratio of the medians; raw "
        "samples are kept, none is dropped.",
        "Times are CLOCK_MONOTONIC of this machine, or QEMU's stamps of its events.",
    };
}

Line failed_line(const char* row, u64 size_mib, const Error& error) {
    Line line;
    line.row = row;
    line.size_mib = size_mib;
    line.why_not = error.message;
    line.failed = true;
    return line;
}

void append(Lines& to, const Lines& more) { to.insert(to.end(), more.begin(), more.end()); }

/// Pause, growth and slowdown.
Lines measure_saving(Stage& stage, const BenchVmOptions& options, const std::vector<u64>& sizes) {
    Lines lines;
    std::vector<Pauses> measured;
    for (const u64 size_mib : sizes) {
        fmt::print(stderr, "bench: {} MiB, pause and slowdown …\n", size_mib);
        if (!stage.wanted()) {
            break;
        }
        Pauses pauses;
        pauses.size_mib = size_mib;
        if (Result<void> done = measure_pauses(stage, options, pauses); !done) {
            lines.push_back(failed_line("pause", size_mib, done.error()));
            stage.end_machines();
            continue;
        }
        append(lines, lines_of_pauses(pauses));
        if (!measured.empty()) {
            append(lines, lines_of_growth(measured.front(), pauses));
        }
        append(lines, lines_of_slowdown(pauses, options.seconds));
        measured.push_back(std::move(pauses));
    }
    return lines;
}

/// Answers and memory.
Lines measure_children(Stage& stage, const BenchVmOptions& options, const std::vector<u64>& sizes) {
    Lines lines;
    for (const u64 size_mib : sizes) {
        if (!stage.wanted()) {
            break;
        }
        fmt::print(stderr, "bench: {} MiB, children …\n", size_mib);
        Result<Lines> children = children_rows(stage, options, size_mib);
        if (children) {
            append(lines, *children);
        } else {
            lines.push_back(failed_line("children", size_mib, children.error()));
            stage.end_machines();
        }
    }
    return lines;
}

int give_out(const BenchVmOptions& options, const Report& report) {
    if (options.json == "-") {
        fmt::print("{}", json_of(report));
    } else {
        fmt::print("{}", table_of(report));
    }
    if (!options.json.empty() && options.json != "-") {
        if (Result<void> written = write_file(options.json, json_of(report)); !written) {
            fmt::print(stderr, "verso bench vm: {}\n", written.error().message);
            return 1;
        }
    }
    return std::any_of(report.lines.begin(), report.lines.end(),
                       [](const Line& line) { return line.failed; })
               ? 1
               : 0;
}

}  // namespace
}  // namespace verso::cli::bench

namespace verso::cli {

std::vector<std::string_view> bench_vm_parts() { return {"pause", "children"}; }

int bench_vm(const BenchVmOptions& options) {
    constexpr int exit_refused = 2;
    constexpr int exit_interrupted = 130;
    const auto refuse = [](const Error& error) {
        fmt::print(stderr, "verso bench vm: {}\n", error.message);
        return exit_refused;
    };
    if (Result<void> right = bench::check(options); !right) {
        return refuse(right.error());
    }
    const Result<std::vector<u64>> sizes = bench::sizes_of(options);
    if (!sizes) {
        return refuse(sizes.error());
    }
    const Result<std::string> guest = bench::guest_folder(options);
    if (!guest) {
        return refuse(guest.error());
    }
    Result<std::unique_ptr<bench::Stage>> stage = bench::Stage::open(*guest);
    if (!stage) {
        return refuse(stage.error());
    }
    bench::Report report;
    report.tool = "verso bench vm";
    report.method = bench::method();
    report.options = {{"memory_mib", *sizes},
                      {"children", options.children},
                      {"repeats", u64{options.repeats}},
                      {"seconds", u64{options.seconds}},
                      {"only", options.only}};
    report.before = bench::describe_machine();
    if (options.only != "children") {
        report.lines = bench::measure_saving(**stage, options, *sizes);
    }
    if (options.only != "pause") {
        bench::append(report.lines, bench::measure_children(**stage, options, *sizes));
    }
    report.load_after = bench::describe_machine().load;
    const bool whole = (*stage)->wanted().has_value();
    stage->reset();
    if (!whole) {
        fmt::print(stderr, "verso bench vm: interrupted; all guests have been ended\n");
        return exit_interrupted;
    }
    return bench::give_out(options, report);
}

}  // namespace verso::cli
