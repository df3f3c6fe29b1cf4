// memory: what source and 8 children really occupy. Counted twice, by counters that know nothing of
// each other, because rivals had to withdraw figures that one counter had flattered (H5, H6):
//
//   by holder   pages in the region's memfds, once + each child's anonymous pages (smaps)
//   by system   growth of Shmem + AnonPages in /proc/meminfo over the whole experiment
#include <algorithm>
#include <vector>

#include "cli/bench/rivals/machine.h"
#include "cli/bench/rivals/memory.h"
#include "cli/bench/rows/child.h"
#include "cli/bench/rows/rows.h"

namespace verso::cli::bench {

namespace {

constexpr unsigned children_count = 8;

double to_mib(u64 bytes) { return static_cast<double>(bytes) / static_cast<double>(mib(1)); }
u64 system_bytes() { return meminfo_bytes("Shmem") + meminfo_bytes("AnonPages"); }
u64 above(u64 value, u64 base) { return value > base ? value - base : 0; }

struct Children {
    std::vector<RemoteChild> all;
    std::vector<u64> base_bytes;  // anonymous memory of each process before it had a region
    std::vector<u64> base_tables;
};

Result<Children> start_children() {
    Children children;
    for (unsigned i = 0; i < children_count; ++i) {
        Result<RemoteChild> child = RemoteChild::start("memory");
        if (!child)
            return pass(child);
        children.base_bytes.push_back(smaps_bytes(child->pid(), "Anonymous"));
        children.base_tables.push_back(page_table_bytes(child->pid()));
        children.all.push_back(std::move(*child));
    }
    return children;
}

Result<void> use_children(const Children& children, u64 written_each) {
    u64 seed = 100;
    for (const RemoteChild& child : children.all) {
        Result<u64> scan = child.read_every_page();
        if (!scan)
            return pass(scan);
        Result<void> done = child.write_pages(written_each, ++seed);
        if (!done)
            return done;
    }
    return {};
}

/// When the source rewrites every page, so that all of the snapshot has to be captured.
enum class Rewrite { never, before_forks, after_forks };

const char* name_of(Rewrite rewrite) {
    switch (rewrite) {
        case Rewrite::never: return "8 children, quiet source";
        case Rewrite::before_forks: return "8 children of a rewritten source";
        case Rewrite::after_forks: return "source rewritten under 8 children";
    }
    return "?";
}

Result<void> export_to(const Children& children, const Snapshot& snapshot) {
    for (const RemoteChild& child : children.all) {
        Result<ExportTimes> exported = child.receive_fork(snapshot);
        if (!exported)
            return pass(exported);
    }
    return {};
}

Result<void> weigh(Line& line, u64 size_mib, Rewrite rewrite) {
    Result<Children> children = start_children();
    if (!children)
        return pass(children);
    const u64 system_before = system_bytes();
    Result<Region> region = populated_region(size_mib);
    if (!region)
        return pass(region);
    Result<Snapshot> snapshot = region->snapshot();
    if (!snapshot)
        return pass(snapshot);
    if (rewrite == Rewrite::before_forks)
        populate(region->bytes());
    Result<void> exported = export_to(*children, *snapshot);
    if (!exported)
        return exported;
    if (rewrite == Rewrite::after_forks)
        populate(region->bytes());
    const u64 written_each = region->pages() / 100;
    Result<void> used = use_children(*children, written_each);
    if (!used)
        return used;

    const u64 system_after = system_bytes();
    Result<MemoryReport> report = region->memory();
    if (!report)
        return pass(report);
    u64 private_bytes = 0;
    u64 tables = 0;
    for (std::size_t i = 0; i < children->all.size(); ++i) {
        const pid_t pid = children->all[i].pid();
        private_bytes += above(smaps_bytes(pid, "Anonymous"), children->base_bytes[i]);
        tables += above(page_table_bytes(pid), children->base_tables[i]);
    }
    const u64 holders = report->live_bytes + report->frozen_bytes + private_bytes;
    const u64 needed = region->size() + children_count * to_bytes(written_each);
    line.ours_samples.push_back(to_mib(holders));
    line.rival_samples.push_back(to_mib(needed));
    const double figures[] = {to_mib(above(system_after, system_before)),
                              to_mib(report->live_bytes),
                              to_mib(report->frozen_bytes),
                              to_mib(private_bytes),
                              to_mib(report->metadata_bytes),
                              to_mib(tables)};
    for (std::size_t i = 0; i < std::size(figures); ++i)
        line.more[i].samples.push_back(figures[i]);
    return {};
}

}  // namespace

Result<Lines> memory(const BenchOptions& options) {
    // If nothing were shared, there would be the source, its old pages and eight copies: that much
    // has to fit, or a poor result would end in the out-of-memory killer instead of in the table.
    const u64 fits_mib = (meminfo_bytes("MemAvailable") >> 20) / (children_count + 3);
    const u64 size_mib = size_near(options, std::min<u64>(1024, fits_mib));
    if (size_mib > fits_mib) {
        return fail(ErrorKind::unsupported, 0,
                    "{} MiB would need up to {} MiB of free memory; give a smaller size too",
                    size_mib, size_mib * (children_count + 3));
    }
    Lines lines;
    for (const Rewrite rewrite : {Rewrite::never, Rewrite::before_forks, Rewrite::after_forks}) {
        Line line;
        line.row = "memory";
        line.variant = name_of(rewrite);
        line.size_mib = size_mib;
        line.unit = "MiB";
        line.rival = "source + what the children wrote";
        line.method =
            "8 processes import one snapshot, read every page and write 1 % of them each. Ours: "
            "the "
            "region's live and frozen memfd pages counted once, plus the growth of every child's "
            "anonymous memory (smaps_rollup, the whole process). The source's own rewriting is not "
            "counted as written. Beside it the system's own counters.";
        const double limit = rewrite == Rewrite::never ? 1.1 : 2.1;
        line.target = {Basis::ratio, Bound::at_most, limit};
        line.more = {{"system: growth of Shmem + AnonPages", "MiB", {}},
                     {"live pages", "MiB", {}},
                     {"frozen pages", "MiB", {}},
                     {"children, private", "MiB", {}},
                     {"metadata", "MiB", {}},
                     {"children, page tables", "MiB", {}}};
        // Bytes hardly scatter: two repeats show whether they do.
        for (unsigned i = 0; i < std::min(options.repeats, 2U); ++i) {
            const Result<void> done = weigh(line, size_mib, rewrite);
            if (!done)
                return tl::unexpected<Error>(done.error());
        }
        lines.push_back(std::move(line));
    }
    return lines;
}

}  // namespace verso::cli::bench
