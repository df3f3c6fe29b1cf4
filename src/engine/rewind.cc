// Rewind and discard: writes that the engine makes itself. Each page is prepared exactly as for a writer
// (old bytes captured for whoever needs them, taken back from children), then overwritten.
//
// The pages to restore are those that some layer at or after the snapshot holds: just what was written since.
#include <algorithm>

#include "engine/region.h"

namespace verso::engine {

using kernel::Call;
using kernel::Outcome;
using kernel::Payload;

/// Copies pages from a layer into the live region. Through the alias protection is not in the way; a child has only
/// its own mapping, where pages must be released first.
Result<void> Region::overwrite_held(const Layer& holder, u64 first, u64 count) {
    if (alias_.valid()) {
        std::ranges::copy(frozen_.bytes(holder, first, count),
                          alias_.at(to_bytes(first), to_bytes(count)).begin());
        return {};
    }
    open_->set_range(first, count);
    const Outcome released = guard_.release(first, count);
    if (!released.ok()) {
        return refuse(released, fmt::format("rewinding region '{}'", name_));
    }
    const Outcome written =
        kernel_.perform(Call::memory_write(base_ + to_bytes(first), to_bytes(count)),
                        Payload{.in = frozen_.bytes(holder, first, count)});
    if (!written.ok()) {
        return refuse(written, fmt::format("rewinding region '{}'", name_));
    }
    return {};
}

Result<u64> Region::rewind_chunk(const Layer& layer, u64 first, u64 count) {
    const Stripes::One held(stripes_, first);
    u64 restored = 0;
    u64 page = first;
    while (page < first + count) {
        const Layer* holder = frozen_.holder(layer, page);
        if (holder == nullptr) {
            ++page;
            continue;
        }
        u64 end = page + 1;
        while (end < first + count && frozen_.holder(layer, end) == holder) {
            ++end;
        }
        prepare_for_write_held(page, end - page);
        marks_.note(page, end - page);
        const Result<void> done = overwrite_held(*holder, page, end - page);
        if (!done) {
            return tl::unexpected<Error>(done.error());
        }
        restored += end - page;
        page = end;
    }
    return restored;
}

Result<RewindReport> Region::rewind(const Snapshot& snapshot) {
    if (&snapshot.region() != this) {
        return fail(ErrorKind::invalid_argument, 0,
                    "the snapshot is of region '{}', not of '{}'; rewind only to one's own past",
                    snapshot.region().name(), name_);
    }
    Locked one_pass(*arm_mutex_);
    const u64 begin = kernel_.now_ns();
    const Layer& layer = snapshot.layer();
    {
        const Stripes::All held(stripes_);
        for (const std::unique_ptr<Layer>& each : frozen_.layers()) {
            const u64 lost = each->seq >= layer.seq ? each->lost.next_set(0) : pages_;
            if (lost < pages_) {
                return fail(ErrorKind::damaged, 0,
                            "page {} of the snapshot could not be saved in time; nothing was rewound",
                            lost);
            }
        }
    }
    // Which chunks hold anything is read word by word: an untouched region costs a microsecond a layer.
    RewindReport report;
    for (u64 first = 0; first < pages_; first += Stripes::chunk_pages) {
        const u64 count = std::min(Stripes::chunk_pages, pages_ - first);
        bool touched = false;
        for (const std::unique_ptr<Layer>& each : frozen_.layers()) {
            touched = touched || (each->seq >= layer.seq && each->captured.any(first, count));
        }
        if (!touched) {
            continue;
        }
        const Result<u64> restored = rewind_chunk(layer, first, count);
        if (!restored) {
            return tl::unexpected<Error>(restored.error());
        }
        report.pages_restored += *restored;
    }
    report.ns = kernel_.now_ns() - begin;
    return report;
}

Result<void> Region::discard(PageRange range) {
    if (range.first > pages_ || range.count > pages_ - range.first) {
        return fail(ErrorKind::invalid_argument, 0, "pages [{}, {}) are not all within the region's {}",
                    range.first, range.first + range.count, pages_);
    }
    Locked one_pass(*arm_mutex_);
    const u64 end = range.first + range.count;
    for (u64 first = range.first; first < end;) {
        const u64 chunk_end = round_down(first, Stripes::chunk_pages) + Stripes::chunk_pages;
        const u64 count = std::min(end, chunk_end) - first;
        const Stripes::One held(stripes_, first);
        prepare_for_write_held(first, count);
        marks_.note(first, count);
        Outcome outcome = Outcome::done();
        if (alias_.valid()) {
            outcome = kernel_.perform(
                Call::file_punch(live_.get(), to_bytes(first), to_bytes(count)));
        } else {  // a child's page is its parent's until written: zeroes must be written
            const std::vector<std::byte> zeroes(to_bytes(count));
            open_->set_range(first, count);
            outcome = guard_.release(first, count);
            if (outcome.ok()) {
                outcome = kernel_.perform(
                    Call::memory_write(base_ + to_bytes(first), to_bytes(count)),
                    Payload{.in = zeroes});
            }
        }
        if (!outcome.ok()) {
            return refuse(outcome, fmt::format("discarding pages of region '{}'", name_));
        }
        first += count;
    }
    return {};
}

}  // namespace verso::engine
