// throughput: how much a full-speed writer gets done in the second that a snapshot begins, as a
// share of the second before; and what fork(2) leaves of the same writer.
#include "cli/bench/harness/clock.h"
#include "cli/bench/harness/writer.h"
#include "cli/bench/rivals/fork_rival.h"
#include "cli/bench/rivals/memory.h"
#include "cli/bench/rows/rows.h"

namespace verso::cli::bench {

namespace {

constexpr u64 settle_ms = 200;

struct Rates {
    std::vector<double> share;  // after / before
    std::vector<double> before;
    std::vector<double> after;
    Histogram stores_after;
};

/// Stores a second from `start` on, one second long.
double rate_for(u64 second_ms, const Writer& writer, u64 start, u64 done_at_start) {
    sleep_ms(second_ms);
    const u64 done = writer.done();
    return static_cast<double>(done - done_at_start) * 1e9 /
           static_cast<double>(stamp_ns() - start);
}

/// `freeze` takes the snapshot or forks; what it returns lives until the measurement is over. The
/// second after begins with the call, not with its return: arming is part of what a writer loses.
template <class Freeze>
Result<void> measure(Rates& rates, std::span<std::byte> bytes, Habit habit, u64 second_ms,
                     Freeze freeze) {
    // Both sides copy every page within a second. Memory that was freed a while ago may have gone
    // back to the host of a virtual machine, and cost its ten times again: keep enough at hand.
    Result<Mapping> reserve = map_anonymous(bytes.size() + bytes.size() / 8);
    if (!reserve)
        return pass(reserve);
    populate(reserve->bytes());
    Writer writer(bytes, habit, rates.share.size() + 1);
    sleep_ms(settle_ms);
    const double before = rate_for(second_ms, writer, stamp_ns(), writer.done());
    *reserve = Mapping{};
    writer.enter(1);
    const u64 start = stamp_ns();
    const u64 done = writer.done();
    auto frozen = freeze();
    if (!frozen)
        return pass(frozen);
    const double after = rate_for(second_ms, writer, start, done);
    writer.stop();
    rates.share.push_back(ratio_of(after, before));
    rates.before.push_back(before);
    rates.after.push_back(after);
    rates.stores_after.merge(writer.stores(1));
    return {};
}

Line line_of(const Rates& ours, const Rates& rival, Habit habit, u64 size_mib) {
    Line line;
    line.row = "throughput";
    line.variant = name_of(habit);
    line.size_mib = size_mib;
    line.unit = "of before";
    line.rival = "the same after fork(2)";
    line.method =
        "A full-speed writer's stores in the second that begins with the call of snapshot(), as "
        "a share of the second before; the same for fork(2) on private anonymous memory in "
        "4 KiB pages, whose child sleeps on. As much memory as is going to be copied is touched "
        "before and freed just before the call. Tails: stores of that second.";
    line.target = {Basis::ratio, Bound::at_least, 1.0};
    line.ours_samples = ours.share;
    line.rival_samples = rival.share;
    line.ours_tail = ours.stores_after.tail();
    line.rival_tail = rival.stores_after.tail();
    line.more = {{"ours, stores a second before", "/s", ours.before},
                 {"ours, stores a second after", "/s", ours.after},
                 {"rival, stores a second before", "/s", rival.before},
                 {"rival, stores a second after", "/s", rival.after}};
    return line;
}

}  // namespace

Result<Lines> throughput(const BenchOptions& options) {
    const u64 size_mib = size_near(options, 1024);
    Lines lines;
    for (const Habit habit : {Habit::random, Habit::sequential, Habit::hot_set}) {
        Rates ours, rival;
        const auto with_ours = [&]() -> Result<void> {
            Result<Region> region = populated_region(size_mib);
            if (!region)
                return pass(region);
            return measure(ours, region->bytes(), habit, options.second_ms,
                           [&] { return region->snapshot(); });
        };
        const auto with_fork = [&]() -> Result<void> {
            Result<Mapping> memory = map_anonymous(mib(size_mib));
            if (!memory)
                return pass(memory);
            populate(memory->bytes());
            return measure(rival, memory->bytes(), habit, options.second_ms,
                           [] { return ForkedSleeper::start(60'000); });
        };
        const Result<void> done = in_turn(options.repeats, with_ours, with_fork);
        if (!done)
            return tl::unexpected<Error>(done.error());
        lines.push_back(line_of(ours, rival, habit, size_mib));
    }
    return lines;
}

}  // namespace verso::cli::bench
