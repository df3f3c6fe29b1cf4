// How much to release beyond the page that was written, where writing is dense: a fault costs its
// writer 9 to 20 µs, a captured page 2.
//
//   the fault itself   releases its page; its group of 16 once 4 pages of its word of 64 are open;
//                      the whole word where writing is sequential or a quarter of it is open
//   the reader thread  finishes such words in the time it would otherwise spin
//   the sweeper        finishes whole chunks of 512: those that took 16 faults (which cost a
//                      quarter of what sweeping costs), and up to eight that a sequential writer
//                      comes to next
//
// Scattered writers keep their single pages: with 1 % of all pages written at random, one word in
// two hundred is dense and one chunk in ten thousand hot; with 2 %, one chunk in twenty; from 4 %
// on nearly all. Memory grows by at most the neighbours of what was written anyway. What is
// released counts as written: `written()` and rewind look at it too.
#include <algorithm>
#include <bit>

#include "engine/region.h"

namespace verso::engine {

namespace {
constexpr u64 word_pages = BitmapView::bits_per_word;
constexpr std::size_t ahead_max = 256;
constexpr int dense_pages = 4;       // open pages that make a word of 64 dense
constexpr u64 chunks_ahead_max = 8;  // of a sequential writer: 16 MiB, 15 ms of work
constexpr unsigned knocks_max = 1000;
constexpr u16 hot_faults = 16;  // faults that make a chunk of 512 pages hot

/// How many pages to release together in a word of which `open` are already, behind one of which
/// `before` are: 16 take 40 µs, a whole word 130. A sequential writer is only as fast as we are.
u64 group_pages(int open, int before) {
    const bool sequential = before == static_cast<int>(word_pages);
    if (open >= static_cast<int>(word_pages / 4) || (sequential && open > 0)) {
        return word_pages;
    }
    return open >= dense_pages ? 16 : 1;
}

/// With mprotect every island of writable pages takes two VMAs of the 65,530 that a process may
/// have: keep to 8,192 islands, as far as a word allows (regions to 2 GiB).
u64 island_pages(u64 pages) {
    return std::clamp<u64>(std::bit_ceil(pages / 8192 + 1), 16, word_pages);
}
}  // namespace

Region::Window Region::window_held(u64 page) const {
    if (granule_ > 1) {
        return granule_of(page);
    }
    const u64 word_first = round_down(page, word_pages);
    const u64 word_end = std::min(word_first + word_pages, pages_);
    const int before = word_first > 0 ? std::popcount(open_->word_of(word_first - 1)) : 0;
    u64 size = group_pages(std::popcount(open_->word_of(page)), before);
    if (backend() == Backend::mprotect_segv) {
        size = std::max(size, island_pages(pages_));
    }
    const u64 low = std::max(round_down(page, size), word_first);
    const u64 high = std::min(low + size, word_end);
    u64 first = page;
    u64 end = page + 1;
    while (first > low && !open_->test(first - 1) && !exposed_->test(first - 1)) {
        --first;
    }
    while (end < high && !open_->test(end) && !exposed_->test(end)) {
        ++end;
    }
    return {first, end - first};
}

/// After a fault on `page`: remembers the word to finish, or the next one if this word is done, and
/// hands to the sweeper the chunks that are worth it.
void Region::look_ahead_held(u64 page) {
    const auto full = [&](u64 word) {
        return std::popcount(open_->word_of(word * word_pages)) == static_cast<int>(word_pages);
    };
    const u64 chunk = Stripes::chunk_of(page);
    if (chunk == made_writable_.load()) {
        return;  // perhaps the sweeper's own fault
    }
    if (heat_[chunk] < hot_faults && ++heat_[chunk] == hot_faults) {
        sweeper_.add(chunk);
    }
    const u64 word = page / word_pages;
    const bool begins = page % word_pages == 0 && word > 0 && full(word - 1);
    if (begins && word > 1 && full(word - 2)) {
        expect_sequential(chunk);
    }
    const int open = std::popcount(open_->word_of(page));
    if ((open >= dense_pages || begins) && ahead_.size() < ahead_max) {
        ahead_.push_back(word);
    }
}

/// A writer goes through `chunk` in order: the sweeper gets the next chunk, then the next two, and
/// so on up to eight, as long as the writer comes to them.
void Region::expect_sequential(u64 chunk) {
    const u64 end = sequential_end_.load();
    const bool followed = chunk < end && chunk + chunks_ahead_max >= end;
    sequential_depth_ = followed ? std::min(sequential_depth_ * 2, chunks_ahead_max) : 1;
    const u64 chunks = heat_.size();
    const u64 wanted = std::min(chunk + 1 + sequential_depth_, chunks);
    for (u64 next = followed ? end : chunk + 1; next < wanted; ++next) {
        sweeper_.add(next);
    }
    sequential_end_.store(wanted);
}

/// The first pages of [at, end) that are closed and not shared with children, `count_max` at most.
Region::Window Region::closed_held(u64 at, u64 end, u64 count_max) const {
    u64 first = open_->next_clear(at);
    while (first < end && exposed_->test(first)) {
        first = open_->next_clear(first + 1);
    }
    if (first >= end) {
        return {end, 0};
    }
    u64 last = first + 1;
    while (last < std::min(first + count_max, end) && !open_->test(last) && !exposed_->test(last)) {
        ++last;
    }
    return {first, last - first};
}

/// Captures and releases pages before anybody faults on them. Only a courtesy: if it fails, the
/// pages' own faults will say what is wrong.
bool Region::open_ahead_held(Window window) {
    prepare_for_write_held(window.first, window.count);
    open_->set_range(window.first, window.count);
    note_written_held(window.first, window.count);
    return guard_.release(window.first, window.count).ok();
}

/// The reader's share: one more group of a dense word. False: nothing to do.
bool Region::step_ahead() {
    while (!ahead_.empty()) {
        const u64 word_first = ahead_.back() * word_pages;
        const u64 word_end = std::min(word_first + word_pages, pages_);
        const Stripes::One held(stripes_, word_first);
        const int before = word_first > 0 ? std::popcount(open_->word_of(word_first - 1)) : 0;
        const u64 size = group_pages(std::popcount(open_->word_of(word_first)), before);
        const Window window = closed_held(word_first, word_end, size);
        if (window.count == 0) {
            ahead_.pop_back();
            continue;
        }
        if (!open_ahead_held(window)) {
            ahead_.pop_back();
        }
        return true;
    }
    return false;
}

/// The sweeper's share: captures one more word of a chunk, or releases all of it at once (each
/// release interrupts the writer's processor: 10 µs). Returns whether more is left.
bool Region::sweep(u64 chunk) {
    const Swept swept = sweep_word(chunk);
    if (swept == Swept::all && local_) {
        make_writable(chunk);
    }
    return swept == Swept::more;
}

/// A released page is writable to userfaultfd and still read-only to the processor: the kernel
/// leaves the write bit to a minor fault (uffd_wp_range, 6.18: the upgrade that it means to try
/// is not tried for shared memory). 0.7 µs a page that the writer need not pay.
///
/// Only for words that are open to the last page, and a word at a time: what is protected takes a
/// write fault here that no application raised. Pages that children have mapped stay protected
/// when their neighbours are released, and the whole region was once swept, chunk after chunk,
/// because such faults looked like a writer going through it in order. A snapshot may still
/// protect a word between the look and the call, which cannot hold the stripe (a page may be
/// absent, and who brings it takes the stripe); look_ahead_held() knows those faults by the chunk.
void Region::make_writable(u64 chunk) {
    const u64 first = chunk * Stripes::chunk_pages;
    const u64 end = std::min(first + Stripes::chunk_pages, pages_);
    made_writable_.store(chunk);
    for (u64 word = first; word < end; word += word_pages) {
        const u64 word_end = std::min(word + word_pages, end);
        bool open = false;
        {
            const Stripes::One held(stripes_, word);
            open = open_->next_clear(word) >= word_end;
        }
        if (open) {
            (void)kernel_.perform(kernel::Call::advise(
                base_ + to_bytes(word), to_bytes(word_end - word), kernel::Advice::make_writable));
        }
    }
    made_writable_.store(no_chunk);
}

/// A chunk that writers have opened themselves meanwhile is let be: after a region had been
/// rewritten at full speed the sweeper was seen to release such chunks for another 30 ms a GiB, on
/// a processor that somebody else waited for.
Region::Swept Region::sweep_word(u64 chunk) {
    for (unsigned tries = 0; wanted_chunk_.load() == chunk && tries < knocks_max; ++tries) {
        kernel_.relax();  // a mutex is not fair: let the fault go first
    }
    const u64 first = chunk * Stripes::chunk_pages;
    const u64 end = std::min(first + Stripes::chunk_pages, pages_);
    const Stripes::One held(stripes_, first);
    const auto uncaptured = [&](u64 page) {
        return !open_->test(page) && !exposed_->test(page) && frozen_.needed_by(page) != nullptr;
    };
    u64 page = open_->next_clear(first);
    if (page >= end) {
        return Swept::nothing;
    }
    while (page < end && !uncaptured(page)) {
        page = open_->next_clear(page + 1);
    }
    if (page < end) {
        const u64 word_end = std::min(round_down(page, word_pages) + word_pages, end);
        for (Window run = closed_held(page, word_end, word_pages); run.count > 0;
             run = closed_held(run.first + run.count, word_end, word_pages)) {
            prepare_for_write_held(run.first, run.count);
        }
        return Swept::more;
    }
    if (!exposed_->any(first, end - first)) {  // releasing what is open already changes nothing
        (void)open_ahead_held({first, end - first});
        return Swept::all;
    }
    for (Window run = closed_held(first, end, end - first); run.count > 0;
         run = closed_held(run.first + run.count, end, end - first)) {
        (void)open_ahead_held(run);
    }
    return Swept::all;
}

}  // namespace verso::engine
