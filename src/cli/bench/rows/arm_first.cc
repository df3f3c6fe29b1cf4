// arm_first: what the engine adds to the one ioctl that a first snapshot needs.
#include "cli/bench/harness/clock.h"
#include "cli/bench/rivals/raw_uffd.h"
#include "cli/bench/rows/rows.h"

namespace verso::cli::bench {

namespace {

Result<void> arm_ours(Line& line, u64 size_mib) {
    Result<Region> region = populated_region(size_mib);
    if (!region)
        return pass(region);
    const u64 start = stamp_ns();
    Result<Snapshot> snapshot = region->snapshot();
    const u64 took = stamp_ns() - start;
    if (!snapshot)
        return pass(snapshot);
    const auto pages = static_cast<double>(region->pages());
    line.ours_samples.push_back(static_cast<double>(took) / pages);
    line.more[0].samples.push_back(static_cast<double>(snapshot->report().arm_ns));
    line.more[1].samples.push_back(static_cast<double>(snapshot->report().cut_ns));
    line.more[2].samples.push_back(static_cast<double>(snapshot->report().protect_calls));
    return {};
}

Result<void> arm_raw(Line& line, u64 size_mib) {
    Result<RawRegion> raw = RawRegion::create(mib(size_mib), false);
    if (!raw)
        return pass(raw);
    const u64 start = stamp_ns();
    Result<void> armed = raw->protect_all();
    const u64 took = stamp_ns() - start;
    line.rival_samples.push_back(static_cast<double>(took) /
                                 static_cast<double>(to_pages(mib(size_mib))));
    return armed;
}

}  // namespace

Result<Lines> arm_first(const BenchOptions& options) {
    Lines lines;
    for (const u64 size_mib : options.sizes_mib) {
        Line line;
        line.row = "arm_first";
        line.variant = "per page";
        line.size_mib = size_mib;
        line.unit = "ns";
        line.rival = "one raw UFFDIO_WRITEPROTECT";
        line.method =
            "A fresh region, every page written once, then the whole call snapshot() by the "
            "caller's clock, divided by the pages; against one ioctl over an identical memfd "
            "mapping (populated here and through a second mapping).";
        line.target = {Basis::ratio, Bound::at_most, 1.15};
        line.more = {{"arm_ns reported", "ns", {}},
                     {"cut_ns reported", "ns", {}},
                     {"protect calls", "", {}}};
        const Result<void> done = in_turn(
            options.repeats, [&] { return arm_ours(line, size_mib); },
            [&] { return arm_raw(line, size_mib); });
        if (!done)
            return tl::unexpected<Error>(done.error());
        lines.push_back(std::move(line));
    }
    return lines;
}

}  // namespace verso::cli::bench
