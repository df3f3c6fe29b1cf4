// written: the cheap kind of tracking. It should cost what the kernel's own scan and its async
// write-protection cost, and nothing else.
#include <atomic>

#include "cli/bench/harness/clock.h"
#include "cli/bench/harness/pattern.h"
#include "cli/bench/rivals/raw_async.h"
#include "cli/bench/rows/rows.h"

namespace verso::cli::bench {

namespace {

struct Side {
    std::vector<double> scan_ns;
    std::vector<double> write_p50_ns;
    std::vector<double> writes;
};

/// Times the first store to each of `picked`.
void write_each(Side& side, std::span<std::byte> bytes, const std::vector<u64>& picked, u64 value) {
    std::vector<double> times;
    times.reserve(picked.size());
    for (const u64 page : picked) {
        auto* word = reinterpret_cast<u64*>(bytes.data() + to_bytes(page));
        const u64 start = stamp_ns();
        std::atomic_ref<u64>(*word).store(value, std::memory_order_relaxed);
        times.push_back(static_cast<double>(stamp_ns() - start));
    }
    side.write_p50_ns.push_back(median(times));
    side.writes.insert(side.writes.end(), times.begin(), times.end());
}

Result<void> round_ours(Side& side, Region& region, Mark& mark, const std::vector<u64>& picked,
                        u64 value) {
    write_each(side, region.bytes(), picked, value);
    const u64 start = stamp_ns();
    Result<Written> answer = region.written(mark);
    side.scan_ns.push_back(static_cast<double>(stamp_ns() - start));
    if (!answer)
        return pass(answer);
    mark = answer->mark;
    if (answer->pages >= picked.size())
        return {};
    return fail(ErrorKind::system, 0, "written() reported {} of {} pages", answer->pages,
                picked.size());
}

Result<void> round_raw(Side& side, RawScan& raw, const std::vector<u64>& picked, u64 value) {
    write_each(side, raw.region().mapping.bytes(), picked, value);
    const u64 start = stamp_ns();
    Result<u64> pages = raw.written();
    side.scan_ns.push_back(static_cast<double>(stamp_ns() - start));
    if (!pages)
        return pass(pages);
    if (*pages >= picked.size())
        return {};
    return fail(ErrorKind::system, 0, "the raw scan reported {} of {} pages", *pages,
                picked.size());
}

void add_lines(Lines& lines, const Side& ours, const Side& rival, u64 size_mib) {
    Line line;
    line.row = "written";
    line.size_mib = size_mib;
    line.unit = "ns";
    line.target = {Basis::ratio, Bound::at_most, 1.1};
    line.method =
        "A region that tracks pages only: 1 % of the pages written, scattered, each first store "
        "timed; then written(), the whole call. The rival does the same on an identical mapping "
        "with async write-protection and one PAGEMAP_SCAN that gets and arms.";
    line.variant = "scan, 1 % written";
    line.rival = "raw PAGEMAP_SCAN";
    line.ours_samples = ours.scan_ns;
    line.rival_samples = rival.scan_ns;
    lines.push_back(line);
    line.variant = "first write, p50";
    line.rival = "raw async write-protection";
    line.ours_samples = ours.write_p50_ns;
    line.rival_samples = rival.write_p50_ns;
    line.ours_tail = tail_of(ours.writes);
    line.rival_tail = tail_of(rival.writes);
    lines.push_back(std::move(line));
}

Result<void> measure(Lines& lines, u64 size_mib, unsigned repeats) {
    Result<Region> region = populated_region(size_mib, Tracking::pages);
    if (!region)
        return pass(region);
    const u64 count = std::max<u64>(region->pages() / 100, 1);
    Result<RawScan> raw = RawScan::create(mib(size_mib), count + 1);
    if (!raw)
        return pass(raw);
    Mark mark;
    Result<Written> armed = region->written(mark);
    if (!armed)
        return pass(armed);
    mark = armed->mark;
    Result<u64> raw_armed = raw->written();
    if (!raw_armed)
        return pass(raw_armed);

    Side ours, rival;
    for (unsigned i = 0; i < repeats; ++i) {
        const std::vector<u64> picked = pick_pages(Shape::scattered, region->pages(), count, i + 1);
        const auto with_ours = [&] { return round_ours(ours, *region, mark, picked, i + 1); };
        const auto with_raw = [&] { return round_raw(rival, *raw, picked, i + 1); };
        Result<void> done =
            i % 2 == 0 ? in_turn(1, with_ours, with_raw) : in_turn(1, with_raw, with_ours);
        if (!done)
            return done;
    }
    add_lines(lines, ours, rival, size_mib);
    return {};
}

}  // namespace

Result<Lines> written(const BenchOptions& options) {
    Lines lines;
    for (const u64 size_mib : options.sizes_mib) {
        // Cheap and short: three times the repeats.
        const Result<void> done = measure(lines, size_mib, options.repeats * 3);
        if (!done)
            return tl::unexpected<Error>(done.error());
    }
    return lines;
}

}  // namespace verso::cli::bench
