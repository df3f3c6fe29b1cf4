// rewind: going back costs what was written, while copying the region back costs what exists.
#include <cstring>

#include "cli/bench/harness/clock.h"
#include "cli/bench/harness/pattern.h"
#include "cli/bench/rivals/memory.h"
#include "cli/bench/rows/rows.h"

namespace verso::cli::bench {

namespace {

constexpr u64 written_pages = 100;

/// The copy that a program without an engine would keep, and the memory it would copy it back to.
struct Plain {
    Mapping copy;  // anonymous
    Memfd memfd;
    Mapping target;  // shared mapping of the memfd, as a region is
};

Result<Plain> make_plain(u64 size_mib) {
    Result<Mapping> copy = map_anonymous(mib(size_mib));
    if (!copy)
        return pass(copy);
    Result<Memfd> memfd = Memfd::create("verso-bench-copy", mib(size_mib));
    if (!memfd)
        return pass(memfd);
    Result<Mapping> target = memfd->map_shared();
    if (!target)
        return pass(target);
    populate(target->bytes());
    return Plain{std::move(*copy), std::move(*memfd), std::move(*target)};
}

Result<void> rewind_ours(Line& line, Region& region, const Snapshot& snapshot, const Mapping& copy,
                         u64 seed) {
    const u64 count = std::min(written_pages, region.pages());
    for (const u64 page : pick_pages(Shape::scattered, region.pages(), count, seed)) {
        std::memset(region.bytes().data() + to_bytes(page), static_cast<int>(seed & 0xff),
                    page_size);
    }
    const u64 start = stamp_ns();
    Result<RewindReport> report = region.rewind(snapshot);
    const u64 call = stamp_ns() - start;
    if (!report)
        return pass(report);
    load_byte(region.bytes(), region.pages() / 2);
    const u64 first = stamp_ns() - start;
    read_every_page(region.bytes());
    line.times.last_page_ns.push_back(static_cast<double>(stamp_ns() - start));
    line.times.call_ns.push_back(static_cast<double>(call));
    line.times.first_read_ns.push_back(static_cast<double>(first));
    line.ours_samples.push_back(static_cast<double>(call));
    line.more[0].samples.push_back(static_cast<double>(report->pages_restored));
    // A fast rewind to the wrong bytes is not a rewind.
    if (std::memcmp(region.bytes().data(), copy.page(0), region.size()) != 0) {
        return fail(ErrorKind::system, 0, "the rewound region differs from its snapshot");
    }
    return {};
}

}  // namespace

Result<Lines> rewind_back(const BenchOptions& options) {
    const u64 size_mib = size_near(options, 1024);
    Result<Region> region = populated_region(size_mib);
    if (!region)
        return pass(region);
    Result<Plain> plain = make_plain(size_mib);
    if (!plain)
        return pass(plain);
    std::memcpy(plain->copy.page(0), region->bytes().data(), region->size());
    Result<Snapshot> snapshot = region->snapshot();
    if (!snapshot)
        return pass(snapshot);

    Line line;
    line.row = "rewind";
    line.variant = "100 pages written";
    line.size_mib = size_mib;
    line.unit = "ns";
    line.rival = "memcpy of the whole region back";
    line.method =
        "100 scattered pages overwritten, then rewind(), the whole call; bytes compared with a "
        "copy "
        "afterwards. The rival copies as much from warm anonymous memory into a populated memfd "
        "mapping. First read and last page: loads in the rewound region, from the call's start.";
    line.target = {Basis::speedup, Bound::at_least, 100};
    line.restores = true;
    line.more = {{"pages restored", "", {}}};
    u64 seed = 0;
    const Result<void> done = in_turn(
        options.repeats, [&] { return rewind_ours(line, *region, *snapshot, plain->copy, ++seed); },
        [&]() -> Result<void> {
            const u64 start = stamp_ns();
            std::memcpy(plain->target.page(0), plain->copy.page(0), plain->copy.size());
            line.rival_samples.push_back(static_cast<double>(stamp_ns() - start));
            return {};
        });
    if (!done)
        return tl::unexpected<Error>(done.error());
    return Lines{std::move(line)};
}

}  // namespace verso::cli::bench
