// What was measured of the pauses, as lines of the table.
#include <fmt/format.h>

#include "cli/bench/vm/rows.h"

namespace verso::cli::bench {

namespace {

constexpr std::size_t tail_samples_min = 10;  // fewer have no tail worth the name

std::optional<Tail> tail_if_enough(const std::vector<double>& samples) {
    return samples.size() < tail_samples_min ? std::nullopt : std::optional(tail_of(samples));
}

struct Rival {
    const char* name;
    const Felt* felt;
};
std::vector<Rival> rivals_of(const Pauses& pauses) {
    return {{"stop, migrate to a file, cont (all memory)", &pauses.stopped},
            {"migrate to a file while it runs, cont", &pauses.live},
            {"background-snapshot, QEMU's private memory", &pauses.background},
            {"background-snapshot, shared memfd", &pauses.background_memfd}};
}

Line pause_line(const char* variant, u64 size_mib, const Felt& ours, const Rival& rival) {
    Line line;
    line.row = "pause";
    line.variant = variant;
    line.size_mib = size_mib;
    line.unit = "ns";
    line.rival = rival.name;
    line.method =
        "Ours: QMP stop sent until cont answered, as fork_machine() says, in a root that goes on "
        "working. Rival: the same for stop, migrate, cont; else QEMU's own stamps of its events "
        "STOP and RESUME, the cont after a live migration sent as soon as it is seen to be "
        "completed (looked at each millisecond). No bandwidth limit; files in memory (tmpfs).";
    line.ours_samples = ours.pause_ns;
    line.ours_tail = tail_if_enough(ours.pause_ns);
    line.rival_samples = rival.felt->pause_ns;
    line.rival_tail = tail_if_enough(rival.felt->pause_ns);
    line.more = {{"until the child runs", "ns", ours.whole_ns},
                 {"until the rival's file is complete", "ns", rival.felt->whole_ns}};
    line.why_not = rival.felt->why_not;
    return line;
}

Line arming_line(const Pauses& pauses) {
    Line line;
    line.row = "arming";
    line.variant = "first fork: the engine's part";
    line.size_mib = pauses.size_mib;
    line.unit = "ns";
    line.rival = "the raw protection pass";
    line.method =
        "Ours: what the engine needed for the first fork, nearly all of it while the guest still "
        "ran; not a part of its pause. Rival: one UFFDIO_WRITEPROTECT "
        "over a memfd mapping of the guest's size, which has pages where the guest's memfd has "
        "them (SEEK_DATA), right after the same fork.";
    line.ours_samples = pauses.arm_first_ns;
    line.rival_samples = pauses.raw_ns;
    line.more = {{"populated", "MiB", pauses.raw_mib},
                 {"later forks: the engine's part", "ns", pauses.arm_later_ns},
                 {"later forks: protected", "pages", pauses.pages_later}};
    return line;
}

Line growth_line(const char* variant, const Pauses& smallest, const Pauses& larger,
                 const Felt& ours, const Felt& at_smallest) {
    Line line;
    line.row = "growth";
    line.variant = variant;
    line.size_mib = larger.size_mib;
    line.unit = "ns";
    line.rival = fmt::format("the pause at {} MiB and a raw pass", smallest.size_mib);
    line.method =
        "A pause may grow with the guest's size by no more than the raw protection pass: ours at "
        "this size against the median at the smallest, plus the raw pass at this size. Strictly, "
        "by no more than the pass itself grows; that is reported beside it.";
    line.target = {Basis::ratio, Bound::at_most, 1.0};
    line.ours_samples = ours.pause_ns;
    const double base = median(at_smallest.pause_ns);
    Series grown{"grew by", "ns", {}};
    Series raw_grown{"the raw pass grew by", "ns", {}};
    for (const double pause : ours.pause_ns) {
        grown.samples.push_back(pause - base);
    }
    for (const double raw : larger.raw_ns) {
        line.rival_samples.push_back(base + raw);
        raw_grown.samples.push_back(raw - median(smallest.raw_ns));
    }
    line.more = {std::move(grown), std::move(raw_grown)};
    return line;
}

Line slowdown_line(const char* variant, u64 size_mib, const Felt& ours, const Rival& rival,
                   unsigned seconds) {
    Line line;
    line.row = "slowdown";
    line.variant = variant;
    line.size_mib = size_mib;
    line.unit = "of before";
    line.rival = rival.name;
    line.method = fmt::format(
        "The guest rewrites its memory MiB after MiB and says each on its console. Rounds a "
        "second, by this machine's clock, in the {} s from the beginning of the fork (or of the "
        "rival) on, divided by those in the {} s before, the pause included.",
        seconds, seconds);
    line.ours_samples = ours.share;
    line.rival_samples = rival.felt->share;
    line.more = {{"ours: rounds a second before", "/s", ours.before},
                 {"ours: rounds a second after", "/s", ours.after},
                 {"ours: longest gap before", "ns", ours.gap_before_ns},
                 {"ours: longest gap after", "ns", ours.gap_after_ns},
                 {"rival: rounds a second before", "/s", rival.felt->before},
                 {"rival: rounds a second after", "/s", rival.felt->after},
                 {"rival: longest gap before", "ns", rival.felt->gap_before_ns},
                 {"rival: longest gap after", "ns", rival.felt->gap_after_ns}};
    line.why_not = rival.felt->why_not;
    return line;
}

}  // namespace

Lines lines_of_pauses(const Pauses& pauses) {
    Lines lines{arming_line(pauses)};
    for (const Rival& rival : rivals_of(pauses)) {
        lines.push_back(pause_line("first fork", pauses.size_mib, pauses.first, rival));
        lines.push_back(pause_line("later forks", pauses.size_mib, pauses.later, rival));
    }
    return lines;
}

Lines lines_of_growth(const Pauses& smallest, const Pauses& larger) {
    return {growth_line("first fork", smallest, larger, larger.first, smallest.first),
            growth_line("later forks", smallest, larger, larger.later, smallest.later)};
}

Lines lines_of_slowdown(const Pauses& pauses, unsigned seconds) {
    Lines lines;
    for (const Rival& rival :
         {Rival{"background-snapshot, QEMU's private memory", &pauses.background},
          Rival{"stop, migrate to a file, cont (all memory)", &pauses.stopped}}) {
        lines.push_back(slowdown_line("first fork, its child runs", pauses.size_mib, pauses.first,
                                      rival, seconds));
        lines.push_back(slowdown_line("later fork, its child stopped", pauses.size_mib,
                                      pauses.later, rival, seconds));
    }
    return lines;
}

}  // namespace verso::cli::bench
