// first_write: what one write to a protected page costs its writer: a trap, a copy, a release, a
// wake. An engine may release neighbours along with a page; a write to one of those is not a first
// write to a protected page. So the judged writes keep 128 pages apart, and writing in order, where
// neighbours help, is a line of its own.
#include <algorithm>
#include <array>
#include <atomic>

#include "cli/bench/harness/clock.h"
#include "cli/bench/harness/pattern.h"
#include "cli/bench/harness/writer.h"
#include "cli/bench/rivals/raw_uffd.h"
#include "cli/bench/rows/rows.h"

namespace verso::cli::bench {

namespace {

constexpr u64 apart_pages = 128;
constexpr u64 in_order_max = 8192;
constexpr u64 paced_max = 256;

enum class Pace {
    apart,     // scattered, one after the other: handlers stay awake
    rested,    // scattered, one a millisecond: handlers have gone to sleep
    in_order,  // neighbours, one after the other
};

/// Who serves the fault: the engine, or the raw rival in one of its four styles.
struct Contender {
    const char* name;
    HandlerStyle style;
    std::vector<double>
        typical{};  // one per repeat: p50, or the mean where most pages cost nothing
    std::vector<double> all{};
};
using Contenders = std::array<Contender, 5>;

Contenders contenders() {
    return {{{"engine", {}},
             {"raw: poll, pwrite", {false, false}},
             {"raw: poll, mapping", {false, true}},
             {"raw: spin then poll, pwrite", {true, false}},
             {"raw: spin then poll, mapping", {true, true}}}};
}

/// One page out of each of the region's 128-page neighbourhoods, in any order; or the first pages.
std::vector<u64> pages_to_write(u64 pages, Pace pace, u64 seed) {
    std::vector<u64> picked;
    if (pace == Pace::in_order) {
        for (u64 page = 0; page < std::min(pages, in_order_max); ++page)
            picked.push_back(page);
        return picked;
    }
    const u64 hoods = std::max<u64>(pages / apart_pages, 1);
    const u64 count = pace == Pace::rested ? std::min(hoods, paced_max) : hoods;
    // The middle, so that two of them are never neighbours across a border.
    for (const u64 hood : pick_pages(Shape::scattered, hoods, count, seed))
        picked.push_back(std::min(hood * apart_pages + apart_pages / 2, pages - 1));
    return picked;
}

void write_each(Contender& contender, std::span<std::byte> bytes, Pace pace, u64 seed) {
    const std::vector<u64> picked = pages_to_write(to_pages(bytes.size()), pace, seed);
    std::vector<double> times;
    times.reserve(picked.size());
    const u64 begin = stamp_ns();
    for (const u64 page : picked) {
        if (pace == Pace::rested)
            sleep_ms(1);
        auto* word = reinterpret_cast<u64*>(bytes.data() + to_bytes(page));
        const u64 start = stamp_ns();
        std::atomic_ref<u64>(*word).store(seed, std::memory_order_relaxed);
        times.push_back(static_cast<double>(stamp_ns() - start));
    }
    const double mean =
        static_cast<double>(stamp_ns() - begin) / static_cast<double>(picked.size());
    contender.typical.push_back(pace == Pace::in_order ? mean : median(times));
    contender.all.insert(contender.all.end(), times.begin(), times.end());
}

Result<void> write_ours(Contender& contender, u64 size_mib, Pace pace, u64 seed) {
    Result<Region> region = populated_region(size_mib);
    if (!region)
        return pass(region);
    Result<Snapshot> snapshot = region->snapshot();
    if (!snapshot)
        return pass(snapshot);
    write_each(contender, region->bytes(), pace, seed);
    return {};
}

Result<void> write_raw(Contender& contender, u64 size_mib, Pace pace, u64 seed) {
    Result<RawRegion> raw = RawRegion::create(mib(size_mib), false);
    if (!raw)
        return pass(raw);
    Result<void> armed = raw->protect_all();
    if (!armed)
        return armed;
    Result<std::unique_ptr<RawHandler>> handler = RawHandler::start(*raw, contender.style);
    if (!handler)
        return pass(handler);
    write_each(contender, raw->mapping.bytes(), pace, seed);
    return {};
}

const char* name_of(Pace pace) {
    switch (pace) {
        case Pace::apart: return "p50, scattered, back to back";
        case Pace::rested: return "p50, scattered, one a millisecond";
        case Pace::in_order: return "mean, in order";
    }
    return "?";
}

Line line_of(const Contenders& field, u64 size_mib, Pace pace) {
    std::size_t best = 1;
    for (std::size_t i = 2; i < field.size(); ++i) {
        if (median(field[i].typical) < median(field[best].typical))
            best = i;
    }
    Line line;
    line.row = "first_write";
    line.variant = name_of(pace);
    line.size_mib = size_mib;
    line.unit = "ns";
    line.rival = "the fastest raw sync write-protect round trip";
    line.method =
        std::string(
            "Each first store to a protected page, timed by its writer; p50 per repeat, "
            "tails over all. Scattered pages keep 128 pages apart, so that none was "
            "released as a neighbour. The rival is plain ioctls with a handler thread that "
            "copies the page into a fresh memfd page and releases it, in four styles; the "
            "verdict is on scattered writes against the fastest, here: ") +
        field[best].name + ".";
    line.target = {Basis::ratio, pace == Pace::apart ? Bound::at_most : Bound::none, 1.2};
    line.ours_samples = field[0].typical;
    line.rival_samples = field[best].typical;
    line.ours_tail = tail_of(field[0].all);
    line.rival_tail = tail_of(field[best].all);
    for (std::size_t i = 1; i < field.size(); ++i)
        line.more.push_back({field[i].name, "ns", field[i].typical});
    return line;
}

}  // namespace

Result<Lines> first_write(const BenchOptions& options) {
    const u64 size_mib = size_near(options, 256);
    Lines lines;
    for (const Pace pace : {Pace::apart, Pace::rested, Pace::in_order}) {
        Contenders field = contenders();
        for (unsigned i = 0; i < options.repeats; ++i) {
            // Everyone starts once as first, once as second, …
            for (std::size_t turn = 0; turn < field.size(); ++turn) {
                Contender& who = field[(turn + i) % field.size()];
                const bool engine = &who == &field[0];
                const Result<void> done = engine ? write_ours(who, size_mib, pace, i + 1)
                                                 : write_raw(who, size_mib, pace, i + 1);
                if (!done)
                    return tl::unexpected<Error>(done.error());
            }
        }
        lines.push_back(line_of(field, size_mib, pace));
    }
    return lines;
}

}  // namespace verso::cli::bench
