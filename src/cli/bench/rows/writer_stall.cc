// writer_stall: the one number an application feels. A thread stores at full speed to random pages
// and times each store; how long was the longest one while everything was being protected, or
// forked?
#include <vector>

#include "cli/bench/harness/writer.h"
#include "cli/bench/rivals/fork_rival.h"
#include "cli/bench/rivals/memory.h"
#include "cli/bench/rows/rows.h"

namespace verso::cli::bench {

namespace {

constexpr unsigned before = 0, during = 1, after = 2;
constexpr u64 sleep_max_ms = 60'000;  // a forked child is killed long before

struct Side {
    std::vector<double> longest;  // one per repeat, stores that overlap the call
    std::vector<double> longest_after;
    std::vector<double> longest_before;  // the machine's own noise
    Histogram during_stores;
    void take(const Writer& writer) {
        longest.push_back(static_cast<double>(writer.stores(during).max()));
        longest_after.push_back(static_cast<double>(writer.stores(after).max()));
        longest_before.push_back(static_cast<double>(writer.stores(before).max()));
        during_stores.merge(writer.stores(during));
    }
};
/// [0] the first snapshot or fork, [1] a later one.
using Sides = std::vector<Side>;

Result<void> stall_ours(Sides& sides, const BenchOptions& options, u64 size_mib, u64 seed) {
    Result<Region> region = populated_region(size_mib);
    if (!region)
        return pass(region);
    std::vector<Snapshot> held;
    for (Side& side : sides) {
        Writer writer(region->bytes(), Habit::random, seed);
        sleep_ms(options.second_ms / 3);
        writer.enter(during);
        Result<Snapshot> snapshot = region->snapshot();
        writer.enter(after);
        if (!snapshot)
            return pass(snapshot);
        held.push_back(std::move(*snapshot));
        sleep_ms(options.second_ms);
        writer.stop();
        side.take(writer);
    }
    return {};
}

Result<void> stall_fork(Sides& sides, const BenchOptions& options, u64 size_mib, u64 seed) {
    Result<Mapping> memory = map_anonymous(mib(size_mib));
    if (!memory)
        return pass(memory);
    populate(memory->bytes());
    for (Side& side : sides) {
        Writer writer(memory->bytes(), Habit::random, seed);
        sleep_ms(options.second_ms / 3);
        writer.enter(during);
        Result<ForkedSleeper> child = ForkedSleeper::start(sleep_max_ms);
        writer.enter(after);
        if (!child)
            return pass(child);
        sleep_ms(options.second_ms);
        writer.stop();
        side.take(writer);
    }
    return {};
}

Line line_of(const char* variant, u64 size_mib, Target target) {
    Line line;
    line.row = "writer_stall";
    line.variant = variant;
    line.size_mib = size_mib;
    line.unit = "ns";
    line.rival = "fork(2) of the same process";
    line.method =
        "A thread stores to random pages at full speed and times every store. The longest store "
        "that overlaps the call, median over the repeats; the tail is over all such stores of "
        "all repeats. fork(2): the same writer on private anonymous memory in 4 KiB pages, the "
        "region being gone; the child sleeps. Also reported: the longest store in the third of "
        "a second before (the machine's noise) and in the second after.";
    line.target = target;
    return line;
}

}  // namespace

Result<Lines> writer_stall(const BenchOptions& options) {
    const u64 size_mib = size_near(options, 1024);
    Sides ours(2), rival(2);
    u64 seed = 1;
    // Longest-of values scatter more than medians do: twice the repeats.
    const Result<void> done = in_turn(
        options.repeats * 2, [&] { return stall_ours(ours, options, size_mib, ++seed); },
        [&] { return stall_fork(rival, options, size_mib, ++seed); });
    if (!done)
        return tl::unexpected<Error>(done.error());
    Lines lines = {
        line_of("longest, first snapshot", size_mib, {Basis::ratio, Bound::at_most, 0.7}),
        line_of("longest, later snapshot", size_mib, {})};
    for (std::size_t i = 0; i < lines.size(); ++i) {
        lines[i].ours_samples = ours[i].longest;
        lines[i].rival_samples = rival[i].longest;
        lines[i].ours_tail = ours[i].during_stores.tail();
        lines[i].rival_tail = rival[i].during_stores.tail();
        lines[i].more = {{"ours, longest before", "ns", ours[i].longest_before},
                         {"rival, longest before", "ns", rival[i].longest_before},
                         {"ours, longest in the second after", "ns", ours[i].longest_after},
                         {"rival, longest in the second after", "ns", rival[i].longest_after}};
    }
    return lines;
}

}  // namespace verso::cli::bench
