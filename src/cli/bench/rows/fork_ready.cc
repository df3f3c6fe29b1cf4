// fork_ready: how long until a child runs, which must not depend on how much memory it inherits.
// The clock stops when the child has loaded its first byte, not when a call returned (H16).
#include <algorithm>
#include <vector>

#include "cli/bench/harness/clock.h"
#include "cli/bench/rivals/fork_rival.h"
#include "cli/bench/rivals/memory.h"
#include "cli/bench/rows/child.h"
#include "cli/bench/rows/rows.h"

namespace verso::cli::bench {

namespace {

constexpr u64 big_mib = 4096;
constexpr double limit_ms = 2.0;

void add(RestoreTimes& times, u64 call, u64 first, u64 last) {
    times.call_ns.push_back(static_cast<double>(call));
    times.first_read_ns.push_back(static_cast<double>(first));
    times.last_page_ns.push_back(static_cast<double>(last));
}

/// All that is measured of one size.
struct Measured {
    u64 size_mib = 0;
    RestoreTimes here{};
    RestoreTimes there{};
    RestoreTimes forked{};
};

Result<void> fork_here(RestoreTimes& times, const Snapshot& snapshot) {
    const u64 start = stamp_ns();
    Result<Region> child = snapshot.fork();
    const u64 call = stamp_ns() - start;
    if (!child)
        return pass(child);
    load_byte(child->bytes(), child->pages() / 2);
    const u64 first = stamp_ns() - start;
    read_every_page(child->bytes());
    add(times, call, first, stamp_ns() - start);
    return {};
}

Result<void> fork_there(RestoreTimes& times, const Snapshot& snapshot) {
    Result<RemoteChild> child = RemoteChild::start("ready");
    if (!child)
        return pass(child);
    Result<ExportTimes> exported = child->receive_fork(snapshot);
    if (!exported)
        return pass(exported);
    Result<u64> scan = child->read_every_page();
    if (!scan)
        return pass(scan);
    add(times, exported->call_ns, exported->first_read_ns, exported->first_read_ns + *scan);
    return {};
}

Result<void> ours(Measured& measured) {
    Result<Region> region = populated_region(measured.size_mib);
    if (!region)
        return pass(region);
    // A snapshot each: the second child of one snapshot might find the first one's work done.
    for (const bool in_process : {true, false}) {
        Result<Snapshot> snapshot = region->snapshot();
        if (!snapshot)
            return pass(snapshot);
        Result<void> done = in_process ? fork_here(measured.here, *snapshot)
                                       : fork_there(measured.there, *snapshot);
        if (!done)
            return done;
    }
    return {};
}

Result<void> rival(Measured& measured) {
    Result<Mapping> memory = map_anonymous(mib(measured.size_mib));
    if (!memory)
        return pass(memory);
    populate(memory->bytes());
    Result<ForkTimes> times = fork_and_read(memory->bytes());
    if (!times)
        return pass(times);
    add(measured.forked, times->call_ns, times->first_read_ns, times->last_page_ns);
    return {};
}

std::vector<double> to_ms(std::vector<double> ns) {
    for (double& value : ns)
        value /= 1e6;
    return ns;
}

Line line_of(const char* where, const RestoreTimes& times, u64 size_mib) {
    Line line;
    line.row = "fork_ready";
    line.variant = where;
    line.size_mib = size_mib;
    line.unit = "ms";
    line.restores = true;
    line.times = times;
    line.ours_samples = to_ms(times.first_read_ns);
    line.method =
        "From the call of Snapshot::fork() (this process) or export_fork() (another process, "
        "already "
        "running and waiting in Region::import) until the child has loaded its first byte; the "
        "other process' last page is its first read plus its own time for reading every page.";
    return line;
}

void lines_of_size(Lines& lines, const Measured& measured) {
    const bool judged = measured.size_mib >= big_mib;
    for (const bool here : {true, false}) {
        Line line = line_of(here ? "this process, first byte" : "other process, first byte",
                            here ? measured.here : measured.there, measured.size_mib);
        line.rival = "fork(2) of the same amount of private memory";
        line.rival_samples = to_ms(measured.forked.first_read_ns);
        line.target = {Basis::absolute, judged ? Bound::at_most : Bound::none, limit_ms};
        line.more = {{"fork(2): call", "ns", measured.forked.call_ns},
                     {"fork(2): child's last page", "ns", measured.forked.last_page_ns}};
        lines.push_back(std::move(line));
    }
}

void lines_of_growth(Lines& lines, const Measured& small, const Measured& big) {
    for (const bool here : {true, false}) {
        const RestoreTimes& times = here ? big.here : big.there;
        Line line =
            line_of(here ? "this process, largest / smallest" : "other process, largest / smallest",
                    times, big.size_mib);
        line.rival = "the same at the smallest size";
        line.rival_samples = to_ms(here ? small.here.first_read_ns : small.there.first_read_ns);
        line.target = {Basis::ratio, Bound::at_most, 1.5};
        lines.push_back(std::move(line));
    }
}

}  // namespace

Result<Lines> fork_ready(const BenchOptions& options) {
    std::vector<Measured> sizes;
    sizes.reserve(options.sizes_mib.size());
    for (const u64 size_mib : options.sizes_mib)
        sizes.push_back({size_mib});
    std::sort(sizes.begin(), sizes.end(),
              [](const Measured& a, const Measured& b) { return a.size_mib < b.size_mib; });
    for (unsigned i = 0; i < options.repeats; ++i) {
        for (Measured& size : sizes) {
            const Result<void> done = in_turn(
                1, [&] { return ours(size); }, [&] { return rival(size); });
            if (!done)
                return tl::unexpected<Error>(done.error());
        }
    }
    Lines lines;
    for (const Measured& size : sizes)
        lines_of_size(lines, size);
    if (sizes.back().size_mib > sizes.front().size_mib) {
        lines_of_growth(lines, sizes.front(), sizes.back());
    }
    return lines;
}

}  // namespace verso::cli::bench
