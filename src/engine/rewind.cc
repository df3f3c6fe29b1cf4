// Rewind and discard: writes that the engine makes itself. Each page is prepared exactly as for a
// writer (old bytes captured for whoever needs them, taken back from children), then overwritten.
//
// The pages to restore are those that were released to writers since the snapshot. (What a layer
// holds is more: pages that a child asked for are captured too.)
#include <algorithm>
#include <cerrno>

#include "engine/region.h"

namespace verso::engine {

using kernel::Call;
using kernel::Outcome;
using kernel::Payload;

namespace {
/// A layout event is unread: let its reader have the stripe, then do the chunk over again (H2).
template <class Step>
Result<void> repeated(Step step) {
    constexpr unsigned tries_max = 10'000;
    for (unsigned tries = 1;; ++tries) {
        Result<void> done = step();
        const bool transient =
            !done && (done.error().os_error == EAGAIN || done.error().os_error == EINTR);
        if (!transient || tries == tries_max) {
            return done;
        }
    }
}
}  // namespace

/// Puts bytes into pages that are prepared. Through the alias protection is not in the way; a
/// child has only its own mapping, where pages are released now and stored to by finish(), once
/// the stripe is let go: a page that the parent took back meanwhile is missing again and arrives
/// protected, and the thread that would release it needs this stripe. Nobody can protect in
/// between: arm_mutex_ is held.
Result<void> Region::overwrite_held(u64 first, std::span<const std::byte> bytes,
                                    std::vector<Overwrite>& later) {
    if (alias_.valid()) {
        // Written as a file: the alias may have no entries for these pages, at 2 µs each.
        const Outcome written = kernel_.perform(
            Call::file_write(live_.get(), to_bytes(first), bytes.size()), Payload{.in = bytes});
        if (!written.ok() || static_cast<u64>(written.value) != bytes.size()) {
            // Half a rewind is no answer; the slower way cannot be refused.
            std::ranges::copy(bytes, alias_.at(to_bytes(first), bytes.size()).begin());
        }
        return {};
    }
    const u64 count = to_pages(bytes.size());
    open_->set_range(first, count);
    const Outcome released = guard_.release(first, count);
    if (!released.ok()) {
        return refuse(released, fmt::format("overwriting pages of region '{}'", name_));
    }
    later.push_back({first, std::vector<std::byte>(bytes.begin(), bytes.end())});
    return {};
}

Result<void> Region::finish(const std::vector<Overwrite>& overwrites) {
    for (const Overwrite& each : overwrites) {
        const Outcome written =
            kernel_.perform(Call::memory_write(base_ + to_bytes(each.first), each.bytes.size()),
                            Payload{.in = each.bytes});
        if (!written.ok()) {
            return refuse(written, fmt::format("overwriting pages of region '{}'", name_));
        }
    }
    return {};
}

Result<u64> Region::rewind_chunk(const Layer& layer, u64 first, u64 count,
                                 std::vector<Overwrite>& later) {
    const Stripes::One held(stripes_, first);
    if (const Result<void> lent = still_lent(); !lent) {
        return tl::unexpected<Error>(lent.error());
    }
    const auto written = [&](u64 at) {
        return ((frozen_.written_since(layer, at) >> (at % BitmapView::bits_per_word)) & 1) != 0;
    };
    u64 restored = 0;
    u64 page = first;
    while (page < first + count) {
        if (page % BitmapView::bits_per_word == 0 && frozen_.written_since(layer, page) == 0) {
            page += BitmapView::bits_per_word;  // a word of untouched pages: most are
            continue;
        }
        const Layer* holder = written(page) ? frozen_.holder(layer, page) : nullptr;
        if (holder == nullptr) {
            ++page;
            continue;
        }
        u64 end = page + 1;
        while (end < first + count && written(end) && frozen_.holder(layer, end) == holder) {
            ++end;
        }
        prepare_for_write_held(page, end - page);
        note_written_held(page, end - page);
        const Result<void> done =
            overwrite_held(page, frozen_.bytes(*holder, page, end - page), later);
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
    if (const Result<void> lent = still_lent(); !lent) {
        return tl::unexpected<Error>(lent.error());
    }
    const u64 begin = kernel_.now_ns();
    const Layer& layer = snapshot.layer();
    {
        const Stripes::All held(stripes_);
        for (const std::unique_ptr<Layer>& each : frozen_.layers()) {
            const u64 lost = each->seq >= layer.seq ? each->lost.next_set(0) : pages_;
            if (lost < pages_) {
                return fail(
                    ErrorKind::damaged, 0,
                    "page {} of the snapshot could not be saved in time; nothing was rewound",
                    lost);
            }
        }
    }
    // Which chunks hold anything is read word by word: an untouched region costs a microsecond a
    // layer.
    RewindReport report;
    for (u64 first = 0; first < pages_; first += Stripes::chunk_pages) {
        const u64 count = std::min(Stripes::chunk_pages, pages_ - first);
        bool touched = false;
        for (const std::unique_ptr<Layer>& each : frozen_.layers()) {
            touched = touched || (each->seq >= layer.seq && each->written->any(first, count));
        }
        if (!touched) {
            continue;
        }
        Result<u64> restored;
        const Result<void> finished = repeated([&]() -> Result<void> {
            std::vector<Overwrite> later;
            restored = rewind_chunk(layer, first, count, later);
            Result<void> stored = finish(later);
            return restored ? stored : tl::unexpected<Error>(restored.error());
        });
        if (!finished) {
            return tl::unexpected<Error>(finished.error());
        }
        report.pages_restored += *restored;
    }
    report.ns = kernel_.now_ns() - begin;
    return report;
}

Result<void> Region::discard_chunk(u64 first, u64 count, std::vector<Overwrite>& later) {
    const Stripes::One held(stripes_, first);
    if (const Result<void> lent = still_lent(); !lent) {
        return lent;
    }
    prepare_for_write_held(first, count);
    note_written_held(first, count);
    if (!alias_.valid()) {  // a child's page is its parent's until written: zeroes must be written
        return overwrite_held(first, std::vector<std::byte>(to_bytes(count)), later);
    }
    if (filled_->size() > 0) {
        filled_->set_range(first, count);  // or the next touch would copy the parent's bytes
    }
    const Outcome outcome =
        kernel_.perform(Call::file_punch(live_.get(), to_bytes(first), to_bytes(count)));
    if (!outcome.ok()) {
        return refuse(outcome, fmt::format("discarding pages of region '{}'", name_));
    }
    return {};
}

Result<void> Region::discard(PageRange range) {
    if (range.first > pages_ || range.count > pages_ - range.first) {
        return fail(ErrorKind::invalid_argument, 0,
                    "pages [{}, {}) are not all within the region's {}", range.first,
                    range.first + range.count, pages_);
    }
    Locked one_pass(*arm_mutex_);
    // A child releases its pages and then writes them: no move may come between.
    if (const Result<void> ended = end_moves(); !ended) {
        return ended;
    }
    const u64 end = range.first + range.count;
    for (u64 first = range.first; first < end;) {
        const u64 chunk_end = round_down(first, Stripes::chunk_pages) + Stripes::chunk_pages;
        const u64 count = std::min(end, chunk_end) - first;
        Result<void> done = repeated([&] {
            std::vector<Overwrite> later;
            Result<void> prepared = discard_chunk(first, count, later);
            return prepared ? finish(later) : prepared;
        });
        if (!done) {
            return done;
        }
        first += count;
    }
    return {};
}

}  // namespace verso::engine
