// child_scan: a child reads every page once. The kernel's own private mapping of a memfd is the
// best that can be had: it faults 16 pages in at a time from the page cache and asks nobody.
#include <vector>

#include "cli/bench/harness/clock.h"
#include "cli/bench/rivals/memory.h"
#include "cli/bench/rows/rows.h"

namespace verso::cli::bench {

namespace {

void add(RestoreTimes& times, u64 start, u64 call, u64 first) {
    times.last_page_ns.push_back(static_cast<double>(stamp_ns() - start));
    times.call_ns.push_back(static_cast<double>(call - start));
    times.first_read_ns.push_back(static_cast<double>(first - start));
}

/// What was captured when the child was forked, and which child of its snapshot it is.
struct Case {
    const char* name;
    RestoreTimes times{};
};
/// quiet first, quiet second, captured first, captured second
std::vector<Case> cases() {
    return {{"nothing captured, first child"},
            {"nothing captured, second child"},
            {"everything captured, first child"},
            {"everything captured, second child"}};
}

Result<Region> scan_child(RestoreTimes& times, const Snapshot& snapshot) {
    const u64 start = stamp_ns();
    Result<Region> child = snapshot.fork();
    const u64 call = stamp_ns();
    if (!child)
        return child;
    load_byte(child->bytes(), child->pages() / 2);
    const u64 first = stamp_ns();
    read_every_page(child->bytes());
    add(times, start, call, first);
    return child;
}

Result<void> scan_ours(std::vector<Case>& all, u64 size_mib) {
    Result<Region> region = populated_region(size_mib);
    if (!region)
        return pass(region);
    for (const std::size_t at : {std::size_t{0}, std::size_t{2}}) {
        Result<Snapshot> snapshot = region->snapshot();
        if (!snapshot)
            return pass(snapshot);
        if (at == 2)
            populate(region->bytes());
        Result<Region> first = scan_child(all[at].times, *snapshot);
        if (!first)
            return pass(first);
        Result<Region> second = scan_child(all[at + 1].times, *snapshot);
        if (!second)
            return pass(second);
    }
    return {};
}

/// [0] the first mapping of a fresh memfd, [1] a second one while the first is still there.
Result<void> scan_plain(std::vector<RestoreTimes>& plain, u64 size_mib) {
    Result<Memfd> memfd = Memfd::create("verso-bench-plain", mib(size_mib));
    if (!memfd)
        return pass(memfd);
    Result<Mapping> source = memfd->map_shared();
    if (!source)
        return pass(source);
    populate(source->bytes());
    std::vector<Mapping> held;
    for (RestoreTimes& times : plain) {
        const u64 start = stamp_ns();
        Result<Mapping> mapping = memfd->map_private();
        const u64 call = stamp_ns();
        if (!mapping)
            return pass(mapping);
        load_byte(mapping->bytes(), to_pages(mapping->size()) / 2);
        const u64 first = stamp_ns();
        read_every_page(mapping->bytes());
        add(times, start, call, first);
        held.push_back(std::move(*mapping));
    }
    return {};
}

}  // namespace

Result<Lines> child_scan(const BenchOptions& options) {
    Lines lines;
    for (const u64 size_mib : options.sizes_mib) {
        std::vector<Case> ours = cases();
        std::vector<RestoreTimes> plain(2);
        const Result<void> done = in_turn(
            options.repeats, [&] { return scan_ours(ours, size_mib); },
            [&] { return scan_plain(plain, size_mib); });
        if (!done)
            return tl::unexpected<Error>(done.error());
        for (std::size_t i = 0; i < ours.size(); ++i) {
            Line line;
            line.row = "child_scan";
            line.variant = ours[i].name;
            line.size_mib = size_mib;
            line.unit = "ns";
            line.rival = "a plain MAP_PRIVATE mapping of a memfd";
            line.method =
                "From the call of fork() (rival: mmap) until one byte of every page has been "
                "loaded, in order; a fresh region and a fresh memfd in each repeat. The second "
                "child is forked from the same snapshot while the first lives. Captured: the "
                "source rewrote every page between snapshot and fork.";
            line.target = {Basis::ratio, Bound::at_most, 1.5};
            line.restores = true;
            line.times = ours[i].times;
            line.ours_samples = ours[i].times.last_page_ns;
            line.rival_samples = plain[i % 2].last_page_ns;
            line.more = {{"rival: first read", "ns", plain[i % 2].first_read_ns}};
            lines.push_back(std::move(line));
        }
    }
    return lines;
}

}  // namespace verso::cli::bench
