// Rewind and discard: writes that the engine makes itself. Each page is prepared exactly as for a
// writer (old bytes captured for whoever needs them, taken back from children), then overwritten.
//
// The pages to restore are those that were released to writers since the snapshot, less those that
// a rewind has settled since (settle.cc). (What a layer holds is more: pages that a child asked for
// are captured too.)
//
// Half of it done would be worse than none, so what can be refused comes first, for all pages, and
// what cannot comes last:
//
//   with an alias    prepare ──▶ overwrite through the file (or the alias, which needs nobody)
//   a child          prepare ──▶ release ──▶ make it the child's own ──▶ ═══ ──▶ store
//   discard          prepare ──▶ one punch of the whole range           nothing is
//                                                                       refused from here
//
// A page that was prepared and released in vain is a page too many in the next answer of
// written(), and nothing else.
#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>

#include "engine/region.h"

namespace verso::engine {

using kernel::Call;
using kernel::Outcome;
using kernel::Payload;

namespace {
/// A layout event is unread: let its reader have the stripe, then do the chunk over again (H2). As
/// in arm(), the event's cause may need this processor before the event is over.
template <class Step>
Result<void> repeated(kernel::Kernel& kernel, Step step) {
    constexpr unsigned tries_max = 10'000;
    constexpr unsigned spins_max = 100;
    for (unsigned tries = 1;; ++tries) {
        Result<void> done = step();
        const bool transient =
            !done && (done.error().os_error == EAGAIN || done.error().os_error == EINTR);
        if (!transient || tries == tries_max) {
            return done;
        }
        if (tries < spins_max) {
            kernel.relax();
        } else {
            (void)kernel.perform(Call::wait(1));
        }
    }
}

/// Calls `step` with the parts of `range` that lie in one chunk each, until one fails.
template <class Step>
Result<void> by_chunk(PageRange range, Step step) {
    const u64 end = range.first + range.count;
    for (u64 first = range.first; first < end;) {
        const u64 chunk_end = round_down(first, Stripes::chunk_pages) + Stripes::chunk_pages;
        const u64 count = std::min(end, chunk_end) - first;
        Result<void> done = step(first, count);
        if (!done) {
            return done;
        }
        first += count;
    }
    return {};
}
}  // namespace

/// Releases pages of a child, which has no alias: they are stored to where they are, and not under
/// the stripe, which the thread needs that serves a fault meanwhile. Nobody can protect them in
/// between: arm_mutex_ is held.
Result<void> Region::release_held(u64 first, u64 count) {
    open_->set_range(first, count);
    const Outcome released = guard_.release(first, count);
    if (!released.ok()) {
        return refuse(released, fmt::format("overwriting pages of region '{}'", name_));
    }
    return {};
}

/// Makes released pages the child's own by storing a byte that is there: from then on its source
/// can neither take them back nor lose them.
Result<void> Region::own(u64 first, u64 count) {
    alignas(64) std::array<std::byte, page_size> bytes;
    for (u64 page = first; page < first + count; ++page) {
        // Read, it may still go before it is stored to: its source's program may have dropped it.
        if (!read_own(page, bytes) || !write_own(page, std::span(bytes).first(1)).ok()) {
            return fail(ErrorKind::damaged, 0,
                        "page {} of region '{}' was lost by its source and cannot be overwritten; "
                        "nothing was changed",
                        page, name_);
        }
    }
    return {};
}

Outcome Region::write_own(u64 page, std::span<const std::byte> bytes) {
    return kernel_.perform(Call::memory_write(base_ + to_bytes(page), bytes.size()),
                           Payload{.in = bytes});
}

/// To memory that is the child's own: there is nobody who could refuse it.
void Region::store(u64 page, std::span<const std::byte> bytes) {
    const Outcome written = write_own(page, bytes);
    VERSO_CHECK(written.ok(), "storing to one's own memory: {}", kernel::to_string(written));
}

/// The runs of pages that were released to writers since the layer was opened, each with the layer
/// that holds what it was.
std::vector<Region::PastRun> Region::past_runs_held(const Layer& layer, u64 first,
                                                    u64 count) const {
    // By chunk, a run is found without asking every layer for every page.
    std::array<Word, BitmapView::words_for(Stripes::chunk_pages)> words{};
    BitmapView written(words.data(), Stripes::chunk_pages);
    for (u64 at = 0; at < count; at += BitmapView::bits_per_word) {
        written.set_word(at, frozen_.written_since(layer, first + at));
    }
    std::vector<PastRun> runs;
    for (u64 at = written.next_set(0); at < count; at = written.next_set(at)) {
        const u64 page = first + at;
        const Layer* holder = frozen_.holder(layer, page);
        const bool again = rewound_->test(page);
        u64 run = 1;
        while (at + run < count && written.test(at + run) &&
               frozen_.holder(layer, page + run) == holder && rewound_->test(page + run) == again) {
            ++run;
        }
        if (holder != nullptr) {
            runs.push_back({page, run, holder});
        }
        at += run;
        if (at >= count) {
            break;
        }
    }
    return runs;
}

/// What a chunk of a region with an alias was, in one go: of its steps none can be refused.
Result<u64> Region::rewind_chunk(Rewinding& work, u64 first, u64 count) {
    const Stripes::One held(stripes_, first);
    if (const Result<void> lent = still_lent(); !lent) {
        return tl::unexpected<Error>(lent.error());
    }
    u64 restored = 0;
    for (const PastRun& run : past_runs_held(*work.layer, first, count)) {
        restore_held(work, run);
        restored += run.count;
    }
    heat_[Stripes::chunk_of(first)] = 0;  // faults on what was settled say nothing of density
    return restored;
}

/// A child's first pass: all that can be refused. Stores nothing new.
Result<u64> Region::open_past(const Layer& layer, u64 first, u64 count) {
    std::vector<PastRun> runs;
    {
        const Stripes::One held(stripes_, first);
        runs = past_runs_held(layer, first, count);
        for (const PastRun& run : runs) {
            prepare_for_write_held(run.first, run.count);
            note_written_held(run.first, run.count);
            if (const Result<void> released = release_held(run.first, run.count); !released) {
                return tl::unexpected<Error>(released.error());
            }
        }
    }
    u64 opened = 0;
    for (const PastRun& run : runs) {
        if (const Result<void> owned = own(run.first, run.count); !owned) {
            return tl::unexpected<Error>(owned.error());
        }
        opened += run.count;
    }
    return opened;
}

/// A child's second pass. The old bytes are copied first: a release of another snapshot may give
/// them back as soon as the stripe is let go, if they have been stored a second time meanwhile.
void Region::store_past(const Layer& layer, u64 first, u64 count) {
    std::vector<PastRun> runs;
    std::vector<std::byte> bytes;
    {
        const Stripes::One held(stripes_, first);
        runs = past_runs_held(layer, first, count);
        for (const PastRun& run : runs) {
            const std::span<const std::byte> old = frozen_.bytes(*run.holder, run.first, run.count);
            bytes.insert(bytes.end(), old.begin(), old.end());
        }
    }
    std::span<const std::byte> rest(bytes);
    for (const PastRun& run : runs) {
        store(run.first, rest.first(to_bytes(run.count)));
        rest = rest.subspan(to_bytes(run.count));
    }
}

/// The first page at or after `from` that was released to writers since `layer` was opened: 4 µs a
/// GiB and layer. Under a stripe, because layers that nobody reads any more may be going.
u64 Region::first_written(const Layer& layer, u64 from) {
    const Stripes::One held(stripes_, from);
    u64 first = pages_;
    for (const std::unique_ptr<Layer>& each : frozen_.layers()) {
        if (each->seq >= layer.seq) {
            first = std::min(first, each->written->next_set(from));
        }
    }
    return first;
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
    wait_for_layout();  // what the application removed before is to be put back, or refused
    const u64 begin = kernel_.now_ns();
    const Layer& layer = snapshot.layer();
    Rewinding work;
    {
        const Stripes::All held(stripes_);
        work = rewinding_held(layer);
        for (const std::unique_ptr<Layer>& each : frozen_.layers()) {
            const bool whole = each->seq < layer.seq || each->pages_lost.load() == 0;
            const u64 lost = whole ? pages_ : each->lost.next_set(0);
            if (lost < pages_) {
                return fail(
                    ErrorKind::damaged, 0,
                    "page {} of the snapshot could not be saved in time; nothing was rewound",
                    lost);
            }
        }
    }
    RewindReport report;
    std::vector<PageRange> opened;
    for (u64 at = first_written(layer, 0); at < pages_;) {
        const u64 first = round_down(at, Stripes::chunk_pages);
        const u64 count = std::min(Stripes::chunk_pages, pages_ - first);
        const Result<void> done = repeated(kernel_, [&]() -> Result<void> {
            const Result<u64> pages =
                alias_.valid() ? rewind_chunk(work, first, count) : open_past(layer, first, count);
            if (!pages) {
                return tl::unexpected<Error>(pages.error());
            }
            report.pages_restored += *pages;
            opened.push_back({first, count});
            return {};
        });
        if (!done) {
            return tl::unexpected<Error>(done.error());
        }
        at = first + count < pages_ ? first_written(layer, first + count) : pages_;
    }
    if (!alias_.valid()) {
        for (const PageRange& chunk : opened) {
            store_past(layer, chunk.first, chunk.count);
        }
    }
    report.ns = kernel_.now_ns() - begin;
    return report;
}

Result<void> Region::open_for_discard(u64 first, u64 count) {
    {
        const Stripes::One held(stripes_, first);
        if (Result<void> lent = still_lent(); !lent) {
            return lent;
        }
        prepare_for_write_held(first, count);
        note_written_held(first, count);
        if (alias_.valid()) {
            return {};
        }
        if (Result<void> released = release_held(first, count); !released) {
            return released;
        }
    }
    return own(first, count);
}

/// Gives prepared pages back in one call: it is refused whole or not at all. Whatever needs their
/// old bytes has them, so writers need not be held up, but a loan must not end meanwhile, and a
/// page that a copying child has not filled yet must not be filled.
Result<void> Region::punch(PageRange range) {
    std::optional<Stripes::All> held;
    if (origin_ == Origin::attached || filled_->size() > 0) {
        held.emplace(stripes_);
    }
    if (Result<void> lent = still_lent(); !lent) {
        return lent;
    }
    const Outcome outcome = kernel_.perform(
        Call::file_punch(live_.get(), to_bytes(range.first), to_bytes(range.count)));
    if (!outcome.ok()) {
        return refuse(outcome, fmt::format("discarding pages of region '{}'", name_));
    }
    if (filled_->size() > 0) {
        filled_->set_range(range.first, range.count);  // or a touch would copy the parent's bytes
    }
    return {};
}

Result<void> Region::discard(PageRange range) {
    if (range.first > pages_ || range.count > pages_ - range.first) {
        return fail(ErrorKind::invalid_argument, 0,
                    "pages [{}, {}) are not all within the region's {}", range.first,
                    range.first + range.count, pages_);
    }
    if (range.count == 0) {
        return {};
    }
    Locked one_pass(*arm_mutex_);
    // A child releases its pages and then writes them: no move may come between.
    if (Result<void> ended = end_moves(); !ended) {
        return ended;
    }
    Result<void> opened = by_chunk(range, [&](u64 first, u64 count) {
        return repeated(kernel_, [&] { return open_for_discard(first, count); });
    });
    if (!opened) {
        return opened;
    }
    if (alias_.valid()) {
        return repeated(kernel_, [&] { return punch(range); });
    }
    // A child's page is its parent's until written: zeroes must be written.
    static constexpr std::array<std::byte, page_size> zeroes{};
    for (u64 page = range.first; page < range.first + range.count; ++page) {
        store(page, zeroes);
    }
    return {};
}

}  // namespace verso::engine
