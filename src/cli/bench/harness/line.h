// Line: one line of the table, as plain data: both sides' samples, the target, how it was measured.
// Rows fill lines, judge() decides, report.h prints. Nothing here measures.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/bench/harness/stats.h"

namespace verso::cli::bench {

/// Samples of one quantity, one per repeat, in the order they were taken.
struct Series {
    std::string name;
    std::string unit;
    std::vector<double> samples;
};

/// What the target compares.
enum class Basis {
    ratio,     // ours / rival
    speedup,   // rival / ours
    absolute,  // ours alone, in the line's unit
};
enum class Bound { at_most, at_least, none };

struct Target {
    Basis basis = Basis::ratio;
    Bound bound = Bound::none;
    double value = 0;
};

/// H16: a fork or a restore that is timed only until its call returns looks fast because nothing
/// has happened yet. Lines that fork or restore must also say when the first byte had been read
/// and when the last page was there.
struct RestoreTimes {
    std::vector<double> call_ns;
    std::vector<double> first_read_ns;  // from the call's start until one byte had been loaded
    std::vector<double> last_page_ns;   // … until every page had been loaded once
    bool complete() const { return !first_read_ns.empty() && !last_page_ns.empty(); }
};

enum class Verdict {
    met,
    missed,
    reported,    // no target: printed for information
    incomplete,  // a fork or restore without both times of H16: never counted as met
    skipped,     // this machine cannot run it; `why_not` says why
    failed,      // it should have run and did not; `why_not` says what happened
};

struct Line {
    std::string row;      // arm_later
    std::string variant;  // scattered, idle
    u64 size_mib = 0;
    std::string unit;    // of ours and rival
    std::string rival;   // one raw UFFDIO_WRITEPROTECT
    std::string method;  // one sentence or two
    Target target;
    std::vector<double> ours_samples{};
    std::vector<double> rival_samples{};
    std::optional<Tail> ours_tail{};
    std::optional<Tail> rival_tail{};
    bool restores = false;  // forks or restores: RestoreTimes are due
    RestoreTimes times{};
    std::vector<Series> more{};  // reported beside it, never judged
    std::string why_not{};
    bool failed = false;
};

/// The number that is held against the target.
double figure_of(const Line& line);
Verdict judge(const Line& line);
const char* name_of(Verdict verdict);
/// "≤ 1.15", "≥ 100×", "-"
std::string describe(const Target& target, const std::string& unit);

}  // namespace verso::cli::bench
