// arm_later: a later snapshot must cost what was written, not what exists. The cost per written
// page depends on how the dirt lies (an ioctl per run), so three shapes are shown; and on what
// else runs, because each protect flushes the other CPU's TLB only while a thread of this process
// is on it.
//
// A sync userfaultfd has no call that protects a list of ranges, so scattered pages are one ioctl
// each. The last line of a size makes those ioctls and nothing else: what the target can be at all.
// Its pages are released as the engine's are, on another thread that served the write's fault: one
// thread that releases and protects by turns is on one processor, has all page tables in its cache
// and pays a quarter less, which no engine that serves faults can do.
#include <algorithm>
#include <atomic>
#include <optional>
#include <thread>

#include "cli/bench/harness/clock.h"
#include "cli/bench/harness/pattern.h"
#include "cli/bench/rivals/raw_uffd.h"
#include "cli/bench/rows/rows.h"

namespace verso::cli::bench {

namespace {

constexpr Shape shapes[] = {Shape::scattered, Shape::runs_of_16, Shape::one_block};

class BusyReader {
public:
    explicit BusyReader(std::span<const std::byte> bytes)
        : thread_([this, bytes] {
              Dice dice(7);
              u64 sum = 0;
              while (!stop_.load(std::memory_order_relaxed)) {
                  sum += load_byte(bytes, dice.below(to_pages(bytes.size())));
              }
              sum_.store(sum);
          }) {}
    ~BusyReader() {
        stop_.store(true);
        thread_.join();
    }

private:
    std::atomic<bool> stop_ = false;
    std::atomic<u64> sum_ = 0;
    std::thread thread_;
};

Result<u64> arm(Region& region, std::vector<Snapshot>& held) {
    const u64 start = stamp_ns();
    Result<Snapshot> snapshot = region.snapshot();
    const u64 took = stamp_ns() - start;
    if (!snapshot)
        return pass(snapshot);
    held.push_back(std::move(*snapshot));
    return took;
}

/// One region: the first snapshot, then one more after each shape of dirt. `lines` has one per
/// shape.
Result<void> one_round(std::span<Line> lines, u64 size_mib, bool busy, u64 seed) {
    Result<Region> region = populated_region(size_mib);
    if (!region)
        return pass(region);
    std::optional<BusyReader> reader;
    if (busy)
        reader.emplace(region->bytes());
    std::vector<Snapshot> held;
    Result<u64> first = arm(*region, held);
    if (!first)
        return pass(first);
    for (std::size_t i = 0; i < std::size(shapes); ++i) {
        const u64 count = std::max<u64>(region->pages() / 100, 1);
        for (const u64 page : pick_pages(shapes[i], region->pages(), count, seed + i)) {
            region->bytes()[to_bytes(page) + 8] = std::byte{static_cast<u8>(seed + i + 1)};
        }
        Result<u64> later = arm(*region, held);
        if (!later)
            return pass(later);
        const SnapshotReport report = held.back().report();
        lines[i].ours_samples.push_back(static_cast<double>(*later));
        lines[i].rival_samples.push_back(static_cast<double>(*first));
        lines[i].more[0].samples.push_back(static_cast<double>(report.pages_protected));
        lines[i].more[1].samples.push_back(static_cast<double>(report.protect_calls));
    }
    return {};
}

/// The limit: a region without an engine. Everything is protected by one call, scattered pages are
/// written and released by the thread that serves their faults, and those are protected again.
Result<void> raw_round(Line& line, u64 size_mib, u64 seed) {
    Result<RawRegion> raw = RawRegion::create(mib(size_mib), false);
    if (!raw)
        return pass(raw);
    Result<std::unique_ptr<RawHandler>> handler =
        RawHandler::start(*raw, {.spin_first = false, .store_by_mapping = false});
    if (!handler)
        return pass(handler);
    const u64 start = stamp_ns();
    Result<void> armed = raw->protect_all();
    const u64 first = stamp_ns() - start;
    if (!armed)
        return armed;
    const u64 pages = to_pages(mib(size_mib));
    std::vector<u64> written =
        pick_pages(Shape::scattered, pages, std::max<u64>(pages / 100, 1), seed);
    for (const u64 page : written) {
        *raw->mapping.page(page) = std::byte{1};
    }
    std::ranges::sort(written);
    bool all = true;
    const u64 again = stamp_ns();
    for (const u64 page : written) {
        all = raw->uffd.write_protect(reinterpret_cast<u64>(raw->mapping.page(page)), page_size,
                                      true) &&
              all;
    }
    const u64 later = stamp_ns() - again;
    if (!all)
        return fail(ErrorKind::system, 0, "UFFDIO_WRITEPROTECT of one page was refused");
    line.ours_samples.push_back(static_cast<double>(later));
    line.rival_samples.push_back(static_cast<double>(first));
    line.more[0].samples.push_back(static_cast<double>(written.size()));
    return {};
}

Result<Line> limit(const BenchOptions& options, u64 size_mib) {
    Line line;
    line.row = "arm_later";
    line.variant = "1 % scattered, the ioctls alone: the limit";
    line.size_mib = size_mib;
    line.unit = "ns";
    line.rival = "one raw UFFDIO_WRITEPROTECT";
    line.method =
        "No engine: one ioctl protects an identical memfd mapping, 1 % of its pages are written, "
        "each stored and released by a thread that serves the fault, and one ioctl each, in order, "
        "protects those again while that thread sleeps.";
    line.target = {Basis::ratio, Bound::none, 0};
    line.more = {{"ioctls", "", {}}};
    for (unsigned i = 0; i < options.repeats; ++i) {
        const Result<void> done = raw_round(line, size_mib, u64{i} * 16);
        if (!done)
            return tl::unexpected<Error>(done.error());
    }
    return line;
}

}  // namespace

Result<Lines> arm_later(const BenchOptions& options) {
    Lines lines;
    for (const u64 size_mib : options.sizes_mib) {
        for (const bool busy : {false, true}) {
            const std::size_t begin = lines.size();
            for (const Shape shape : shapes) {
                Line line;
                line.row = "arm_later";
                line.variant =
                    std::string("1 % ") + name_of(shape) + (busy ? ", busy reader" : ", idle");
                line.size_mib = size_mib;
                line.unit = "ns";
                line.rival = "the first snapshot of the same region";
                line.method =
                    "One region: the first snapshot, then 1 % of the pages written and another "
                    "snapshot, for each shape of dirt, all snapshots held; whole calls by the "
                    "caller's clock. The verdict is on scattered pages with no other thread "
                    "running; with a busy reader thread the first was armed beside it too.";
                const bool judged = shape == Shape::scattered && !busy;
                line.target = {Basis::ratio, judged ? Bound::at_most : Bound::none, 0.15};
                line.more = {{"pages protected", "", {}}, {"protect calls", "", {}}};
                lines.push_back(std::move(line));
            }
            for (unsigned i = 0; i < options.repeats; ++i) {
                const Result<void> done =
                    one_round(std::span(lines).subspan(begin), size_mib, busy, u64{i} * 16);
                if (!done)
                    return tl::unexpected<Error>(done.error());
            }
        }
        Result<Line> bare = limit(options, size_mib);
        if (!bare)
            return pass(bare);
        lines.push_back(std::move(*bare));
    }
    return lines;
}

}  // namespace verso::cli::bench
