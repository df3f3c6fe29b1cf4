// first_write: what one write to a protected page costs its writer: a trap, a copy, a release, a
// wake.
#include <array>

#include "cli/bench/harness/clock.h"
#include "cli/bench/harness/pattern.h"
#include "cli/bench/harness/writer.h"
#include "cli/bench/rivals/raw_uffd.h"
#include "cli/bench/rows/rows.h"

namespace verso::cli::bench {

namespace {

constexpr u64 writes_max = 4096;
constexpr u64 paced_max = 256;

/// Who serves the fault: the engine, or the raw rival in one of its four styles.
struct Contender {
    const char* name;
    HandlerStyle style;
    std::vector<double> p50s{};  // one per repeat
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

/// Times the first store to each page. Paced: with a rest between stores, so that handlers sleep.
void write_each(Contender& contender, std::span<std::byte> bytes, bool paced, u64 seed) {
    const u64 pages = to_pages(bytes.size());
    const u64 count = std::min(pages / 2, paced ? paced_max : writes_max);
    std::vector<double> times;
    times.reserve(count);
    for (const u64 page : pick_pages(Shape::scattered, pages, count, seed)) {
        if (paced)
            sleep_ms(1);
        auto* word = reinterpret_cast<u64*>(bytes.data() + to_bytes(page));
        const u64 start = stamp_ns();
        std::atomic_ref<u64>(*word).store(seed, std::memory_order_relaxed);
        times.push_back(static_cast<double>(stamp_ns() - start));
    }
    contender.p50s.push_back(median(times));
    contender.all.insert(contender.all.end(), times.begin(), times.end());
}

Result<void> write_ours(Contender& contender, u64 size_mib, bool paced, u64 seed) {
    Result<Region> region = populated_region(size_mib);
    if (!region)
        return pass(region);
    Result<Snapshot> snapshot = region->snapshot();
    if (!snapshot)
        return pass(snapshot);
    write_each(contender, region->bytes(), paced, seed);
    return {};
}

Result<void> write_raw(Contender& contender, u64 size_mib, bool paced, u64 seed) {
    Result<RawRegion> raw = RawRegion::create(mib(size_mib), false);
    if (!raw)
        return pass(raw);
    Result<void> armed = raw->protect_all();
    if (!armed)
        return armed;
    Result<std::unique_ptr<RawHandler>> handler = RawHandler::start(*raw, contender.style);
    if (!handler)
        return pass(handler);
    write_each(contender, raw->mapping.bytes(), paced, seed);
    return {};
}

Line line_of(const Contenders& field, u64 size_mib, bool paced) {
    std::size_t best = 1;
    for (std::size_t i = 2; i < field.size(); ++i) {
        if (median(field[i].p50s) < median(field[best].p50s))
            best = i;
    }
    Line line;
    line.row = "first_write";
    line.variant = paced ? "p50, one write a millisecond" : "p50, back to back";
    line.size_mib = size_mib;
    line.unit = "ns";
    line.rival = "the fastest raw sync write-protect round trip";
    line.method =
        std::string(
            "Each first store to a protected page, scattered, timed by its writer; p50 per "
            "repeat, tails over all. The rival is plain ioctls with a handler thread that copies "
            "the "
            "page into a fresh memfd page and releases it, in four styles; the verdict is against "
            "the fastest, here: ") +
        field[best].name + ".";
    line.target = {Basis::ratio, paced ? Bound::none : Bound::at_most, 1.2};
    line.ours_samples = field[0].p50s;
    line.rival_samples = field[best].p50s;
    line.ours_tail = tail_of(field[0].all);
    line.rival_tail = tail_of(field[best].all);
    for (std::size_t i = 1; i < field.size(); ++i) {
        line.more.push_back({std::string(field[i].name) + ", p50", "ns", field[i].p50s});
    }
    return line;
}

}  // namespace

Result<Lines> first_write(const BenchOptions& options) {
    const u64 size_mib = size_near(options, 256);
    Lines lines;
    for (const bool paced : {false, true}) {
        Contenders field = contenders();
        for (unsigned i = 0; i < options.repeats; ++i) {
            // Everyone starts once as first, once as second, …
            for (std::size_t turn = 0; turn < field.size(); ++turn) {
                Contender& who = field[(turn + i) % field.size()];
                const Result<void> done = &who == &field[0]
                                              ? write_ours(who, size_mib, paced, i + 1)
                                              : write_raw(who, size_mib, paced, i + 1);
                if (!done)
                    return tl::unexpected<Error>(done.error());
            }
        }
        lines.push_back(line_of(field, size_mib, paced));
    }
    return lines;
}

}  // namespace verso::cli::bench
