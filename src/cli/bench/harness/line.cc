// How a line's samples become one figure, and when that figure counts as met.
#include "cli/bench/harness/line.h"

#include <fmt/format.h>

namespace verso::cli::bench {

double figure_of(const Line& line) {
    const double ours = median(line.ours_samples);
    const double rival = median(line.rival_samples);
    switch (line.target.basis) {
        case Basis::ratio: return ratio_of(ours, rival);
        case Basis::speedup: return ratio_of(rival, ours);
        case Basis::absolute: return ours;
    }
    return 0;
}

Verdict judge(const Line& line) {
    if (line.failed)
        return Verdict::failed;
    if (!line.why_not.empty())
        return Verdict::skipped;
    if (line.restores && !line.times.complete())
        return Verdict::incomplete;
    if (line.target.bound == Bound::none)
        return Verdict::reported;
    const double figure = figure_of(line);
    // No measurement, no success: 0 would satisfy every upper bound.
    if (figure <= 0)
        return Verdict::missed;
    const bool held = line.target.bound == Bound::at_most ? figure <= line.target.value
                                                          : figure >= line.target.value;
    return held ? Verdict::met : Verdict::missed;
}

const char* name_of(Verdict verdict) {
    switch (verdict) {
        case Verdict::met: return "met";
        case Verdict::missed: return "missed";
        case Verdict::reported: return "reported";
        case Verdict::incomplete: return "incomplete";
        case Verdict::skipped: return "skipped";
        case Verdict::failed: return "failed";
    }
    return "?";
}

std::string describe(const Target& target, const std::string& unit) {
    if (target.bound == Bound::none)
        return "-";
    const char* sign = target.bound == Bound::at_most ? "≤" : "≥";
    switch (target.basis) {
        case Basis::ratio: return fmt::format("{} {:g}", sign, target.value);
        case Basis::speedup: return fmt::format("{} {:g}×", sign, target.value);
        case Basis::absolute: return fmt::format("{} {:g} {}", sign, target.value, unit);
    }
    return "-";
}

}  // namespace verso::cli::bench
