// The verb: refuses what cannot be done, runs both sides, reports. See demo.h.
#include "cli/demo/demo.h"

#include <charconv>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string_view>

#include <fmt/core.h>
#include <unistd.h>

#include "base/result.h"
#include "cli/demo/child.h"
#include "cli/demo/report.h"
#include "cli/demo/rival.h"
#include "cli/demo/verso_side.h"

namespace verso::cli {
namespace {

constexpr int exit_failed = 1;
constexpr int exit_refused = 2;

std::string one_line(std::string text) {
    for (char& c : text) {
        c = c == '\n' || c == '\r' ? ' ' : c;
    }
    return text;
}

int stop(int code, const std::string& why) {
    static_cast<void>(std::fflush(stdout));
    fmt::print(stderr, "verso demo: {}\n", one_line(why));
    return code;
}

Result<void> refuse_unwritable(const std::string& path, const std::string& db) {
    const std::filesystem::path file(path);
    std::error_code error;
    if (!db.empty() && std::filesystem::equivalent(file, db, error)) {
        return fail(ErrorKind::invalid_argument, 0,
                    "--json {} is the database itself; name another file for the figures", path);
    }
    const bool exists = std::filesystem::exists(file, error);
    const auto folder = file.has_parent_path() ? file.parent_path() : std::filesystem::path(".");
    // Why safe: only asks; the strings outlive the call.
    const bool may = ::access(exists ? file.c_str() : folder.c_str(), W_OK) == 0;
    if (!may || std::filesystem::is_directory(file, error)) {
        return fail(ErrorKind::invalid_argument, 0,
                    "{}: cannot be written; give --json a file in a folder of yours", path);
    }
    return {};
}

Result<void> refuse_out_of_range(const DemoOptions& options) {
    if (options.db.size() > 4000) {
        return fail(ErrorKind::invalid_argument, 0, "--db is too long a name");
    }
    if (options.size_mib < 4 || options.size_mib > (u64{1} << 20)) {
        return fail(ErrorKind::invalid_argument, 0, "--size-mib {} is not between 4 and {}",
                    options.size_mib, u64{1} << 20);
    }
    if (options.snapshots < 1 || options.snapshots >= Limits::snapshots_max) {
        return fail(ErrorKind::invalid_argument, 0, "--snapshots {} is not between 1 and {}",
                    options.snapshots, Limits::snapshots_max - 1);
    }
    if (options.interval_ms > 60'000) {
        return fail(ErrorKind::invalid_argument, 0, "--interval-ms {} is more than a minute",
                    options.interval_ms);
    }
    if (options.children > child_ids_max) {
        return fail(ErrorKind::invalid_argument, 0, "--children {} is more than {}",
                    options.children, child_ids_max);
    }
    return {};
}

/// Everything that can be refused, before anything is done.
Result<u64> refuse_or_size(const DemoOptions& options, const Work& work) {
    if (auto fine = refuse_out_of_range(options); !fine) {
        return pass(fine);
    }
    if (!options.json.empty()) {
        if (auto fine = refuse_unwritable(options.json, options.db); !fine) {
            return pass(fine);
        }
    }
    return span_for(work);
}

bool write_file(const std::string& path, const std::string& text) {
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    file << text;
    file.close();
    return !file.fail();
}

int report(const DemoOptions& options, const Work& work, const Side& verso, const Side& rival) {
    fmt::print("{}", table_of(verso, rival));
    const bool held = verso.all_held() && rival.all_held();
    if (!options.json.empty() && !write_file(options.json, json_of(work, verso, rival))) {
        return stop(exit_failed,
                    fmt::format("{}: could not be written; is the disk full?", options.json));
    }
    fmt::print("\n{}\n", held ? "every check held" : "A CHECK FAILED: see the lists above");
    return held ? 0 : exit_failed;
}

}  // namespace

int demo(const DemoOptions& options) {
    const Work work{.db = options.db,
                    .size_mib = options.size_mib,
                    .snapshots = options.snapshots,
                    .interval_ms = options.interval_ms,
                    .children = options.children};
    const auto span_bytes = refuse_or_size(options, work);
    if (!span_bytes) {
        return stop(exit_refused, span_bytes.error().message);
    }
    const u64 begin = now_ns();
    const Progress progress = [&](const std::string& line) {
        if (!options.quiet) {
            fmt::print("[{:6.2f} s] {}\n", static_cast<double>(now_ns() - begin) / 1e9, line);
            static_cast<void>(std::fflush(stdout));
        }
    };
    auto contender = VersoSide::create(*span_bytes);
    if (!contender) {
        return stop(exit_failed, contender.error().message);
    }
    const auto prepared = prepare((*contender)->memory(), work);
    if (!prepared) {
        return stop(options.db.empty() ? exit_failed : exit_refused, prepared.error().message);
    }
    const auto verso = run_side(**contender, *prepared, work, progress);
    if (!verso) {
        return stop(exit_failed, verso.error().message);
    }
    contender->reset();  // its memory is free before the other side needs as much
    const auto rival = run_rival(work, *span_bytes, progress);
    if (!rival) {
        return stop(exit_failed, rival.error().message);
    }
    return report(options, work, *verso, *rival);
}

int demo_child(int argc, char** argv) {
    // verso demo-child region ID CONTROL IMPORT [EXPORT], or: verso demo-child
    // rival CONTROL
    const auto number = [&](int at) {
        int value = -1;
        if (at < argc) {
            const std::string_view text(argv[at]);
            std::from_chars(text.data(), text.data() + text.size(), value);
        }
        return value;
    };
    const std::string_view role = argc > 2 ? argv[2] : "";
    if (role == "rival" && number(3) > 2) {
        return rival_process(Channel(Fd(number(3))));
    }
    if (role == "region" && number(3) >= 0 && number(4) > 2 && number(5) > 2) {
        return imported_child(static_cast<u32>(number(3)), Channel(Fd(number(4))),
                              Channel(Fd(number(5))), Channel(Fd(number(6))));
    }
    fmt::print(stderr, "verso: demo-child is started by `verso demo`; run that instead\n");
    return exit_refused;
}

}  // namespace verso::cli
