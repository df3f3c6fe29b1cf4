// written(): which pages since when. A region that keeps contents asks its own generations, with
// one protection pass per call; a region that keeps pages only lets the kernel scan and re-arm in
// one atomic step.
#include <algorithm>

#include "engine/region.h"

namespace verso::engine {

using kernel::Call;
using kernel::Outcome;
using kernel::Payload;
using kernel::Run;
using kernel::ScanFlag;

Result<Written> Region::written(Mark since) {
    Locked one_pass(*arm_mutex_);
    if (const Result<void> tracked = still_tracked(); !tracked) {
        return tl::unexpected<Error>(tracked.error());
    }
    if (since > marks_.latest()) {
        return fail(ErrorKind::invalid_argument, 0,
                    "mark {} is not of region '{}', whose latest is {}", since.generation, name_,
                    marks_.latest().generation);
    }
    if (!marks_.kept()) {
        const Stripes::All held(stripes_);
        marks_.keep();
    }
    if (tracking_ == Tracking::pages && backend() == Backend::userfaultfd) {
        return written_async(since);
    }
    const Result<void> ready = become_a_source();
    if (!ready) {
        return tl::unexpected<Error>(ready.error());
    }
    Mark now;
    const Result<ArmCost> cost = arm([&] { now = marks_.advance(); });
    if (!cost) {
        return tl::unexpected<Error>(cost.error());
    }
    return marks_.since(since, now);
}

/// Scans until the end of the region, however many rounds the result buffer takes (H22). WRITTEN
/// covers pages that were swapped out meanwhile (H21): it looks at the protection bit, which swap
/// entries keep. A scan passes over unmapped parts in silence, as if nothing had been written
/// there (H9); so it is followed by a look at the mappings. (After it: what is unmapped later is
/// the next call's to find.) What was mapped there instead, the scan itself refuses.
Result<Written> Region::written_async(Mark since) {
    scan_runs_.resize(4096);
    const Mark before = marks_.latest();
    const u64 end = base_ + to_bytes(pages_);
    Written fresh;
    fresh.ranges.reserve(scanned_last_ + scanned_last_ / 8);
    for (u64 at = base_; at < end;) {
        const Outcome outcome =
            kernel_.perform(Call::pagemap_scan(at, end - at, ScanFlag::written | ScanFlag::arm),
                            Payload{.runs = scan_runs_});
        if (outcome.verdict == kernel::Verdict::interrupted) {
            continue;
        }
        if (!outcome.ok()) {
            // Rounds before this one re-armed pages, and so may this one have: a scan that comes to
            // a mapping that is not tracked fails with EPERM and names none of the pages that it
            // armed on its way there (seen on 6.18). What nobody named counts as written, and the
            // next call must look at the marks.
            marks_.note(to_pages(at - base_), to_pages(end - at));
            (void)marks_.advance();
            return refuse(
                outcome, fmt::format("scanning region '{}' (was it unmapped or replaced?)", name_));
        }
        for (const Run& run :
             std::span(scan_runs_).first(static_cast<std::size_t>(outcome.value))) {
            const u64 first = to_pages(run.start - base_);
            const u64 count = to_pages(run.end - run.start);
            marks_.note_later(first, count);
            fresh.pages += count;
            if (!fresh.ranges.empty() &&
                fresh.ranges.back().first + fresh.ranges.back().count == first) {
                fresh.ranges.back().count += count;
            } else {
                fresh.ranges.push_back({first, count});
            }
        }
        VERSO_CHECK(outcome.walk_end > at, "a scan at {:#x} did not advance", at);
        at = outcome.walk_end;
    }
    const Outcome mapped = kernel_.perform(Call::check_mapped(base_, to_bytes(pages_)));
    fresh.mark = marks_.advance();
    if (mapped.verdict == kernel::Verdict::no_memory) {
        Locked lock(*damage_mutex_);
        damage_ = fmt::format(
            "region '{}': the application unmapped or moved pages behind the engine's back, so "
            "nobody knows what was written there. Keep the mapping in place",
            name_);
        return fail(ErrorKind::damaged, mapped.error, "{}", damage_);
    }
    if (!mapped.ok()) {
        return refuse(mapped, fmt::format("looking whether region '{}' is still mapped", name_));
    }
    scanned_last_ = fresh.ranges.size();
    // What the engine itself changed is in the marks alone: a page that discard() punches out keeps
    // its protection, and no scan finds it. It holds arm_mutex_ as we do, so nothing is noted now.
    const bool noted = marks_.take_noted();
    const bool fresh_is_all = since == before && since != Mark{} && !noted;
    if (!fresh_is_all || marks_.should_fold()) {
        const Stripes::All held(stripes_);
        marks_.fold();
    }
    if (fresh_is_all) {
        return fresh;
    }
    return marks_.since(since, fresh.mark);
}

}  // namespace verso::engine
