// Serving a child's first touches, from its source's side. All under the stripe of the page, so
// that a writer of the source cannot come between looking a page up and handing it out.
//
//                 unchanged since the snapshot        captured in layer j
//   base = live   mark exposed, CONTINUE: no copy     COPY from F[j], private to the child
//   base = frozen capture into F[k], then CONTINUE    CONTINUE from F[k], shared by k's children
//                                                     (copied there first if j ≠ k)
//
// Where much of a chunk is captured, a child whose base is live moves the chunk to F[k]: move.cc.
//
// CONTINUE maps up to a whole chunk (512 pages) a fault: 145 ns a page against 4,900 for one at a
// time, and it takes no memory. Whatever takes memory (a copy, a capture) stays within 16 pages of
// the one that is wanted.
#include <algorithm>

#include "abi/abi.h"
#include "engine/place.h"
#include "engine/region.h"

namespace verso::engine {

using kernel::Outcome;

namespace {
constexpr u64 copy_window = 16;
constexpr u64 chunks_ahead_max = 8;  // 0.5 ms of work, chunk by chunk: faults come first

/// The chunk of `page`, as far as the window goes.
PageRange within(u64 page, PageRange window) {
    const u64 chunk_first = round_down(page, Stripes::chunk_pages);
    const u64 first = std::max(chunk_first, window.first);
    const u64 end = std::min(chunk_first + Stripes::chunk_pages, window.first + window.count);
    return {first, end - first};
}
}  // namespace

void Region::serve(FillTarget& target, Layer& layer, u64 page, PageRange window, bool own) {
    const u64 window_end = window.first + window.count;
    if (page >= pages_ || window_end > pages_ || page < window.first || page >= window_end) {
        return;
    }
    count_.fills.fetch_add(1, std::memory_order_relaxed);
    target.counts->faults.fetch_add(1, std::memory_order_relaxed);
    list_child(target);
    if (target.base_file == BaseFile::live && origin_ == Origin::child) {
        serve_through(target, layer, page, window);
        return;
    }
    if (target.is_moving(page)) {
        return;  // the child wakes whoever waits there
    }
    {
        const Stripes::One held(stripes_, page);
        if (target.base_of(page) == BaseFile::frozen) {
            serve_frozen_held(target, layer, page);
            return;
        }
        if (!own || !worth_moving_held(target, layer, page)) {
            serve_live_held(target, layer, page, window);
            return;
        }
    }
    if (!ask_to_move(target, layer, Stripes::chunk_of(page))) {
        const Stripes::One held(stripes_, page);
        serve_live_held(target, layer, page, window);
    }
}

void Region::serve_live_held(FillTarget& target, Layer& layer, u64 page, PageRange window) {
    if (frozen_.holder(layer, page) != nullptr) {
        copy_captured_held(target, layer, page, window);
        return;
    }
    const PageRange chunk = within(page, window);
    const u64 chunk_first = chunk.first;
    const u64 chunk_end = chunk.first + chunk.count;
    u64 word_at = pages_;  // of what was looked up last
    u64 taken = 0;
    const auto shareable = [&](u64 at) {
        if (const u64 first = round_down(at, BitmapView::bits_per_word); first != word_at) {
            word_at = first;
            taken = target.served->word_of(at) | frozen_.captured_since(layer, at);
        }
        return ((taken >> (at - word_at)) & 1) == 0;
    };
    expect_order(target, page);
    // One call from the wanted page to the first that is not shareable, one for those before it.
    u64 end = page + 1;
    while (end < chunk_end && shareable(end)) {
        ++end;
    }
    u64 first = page;
    while (first > chunk_first && shareable(first - 1)) {
        --first;
    }
    exposed_->set_range(first, end - first);
    map_base_held(target, page, end - page, page, layer);
    if (first < page) {
        map_base_held(target, first, page - first, page, layer);
    }
}

void Region::copy_captured_held(FillTarget& target, Layer& layer, u64 page, PageRange window) {
    const Layer* holder = frozen_.holder(layer, page);
    if (holder->lost.test(page)) {
        place::poison(kernel_, target, page);
        return;
    }
    const u64 limit =
        std::min(round_down(page, copy_window) + copy_window, window.first + window.count);
    u64 end = page + 1;
    while (end < limit && !target.served->test(end) && frozen_.holder(layer, end) == holder &&
           !holder->lost.test(end)) {
        ++end;
    }
    // Read rather than looked at through the mapping, which would make pages of the file's holes.
    std::array<std::byte, copy_window * page_size> buffer;
    const std::span<std::byte> bytes = std::span(buffer).first(to_bytes(end - page));
    const Outcome read = kernel_.perform(
        kernel::Call::file_read(frozen_.fd(), frozen_.area_offset(holder->slot) + to_bytes(page),
                                bytes.size()),
        kernel::Payload{.out = bytes});
    if (!read.ok() || static_cast<u64>(read.value) != bytes.size()) {
        place::wake(kernel_, target, page, 1);  // it will ask again
        return;
    }
    count_.copied.fetch_add(place::contents(kernel_, target, page, bytes),
                            std::memory_order_relaxed);
}

/// Poison in a page's place: nobody has its bytes any more. Asked of a page that cannot be read,
/// which one in swap can; and protection alone says that it is protection.
bool Region::given_up(u64 page) {
    u64 entry = 0;
    const Outcome read =
        kernel_.perform(kernel::Call::pagemap_read(base_ + to_bytes(page), page_size),
                        kernel::Payload{.out = std::as_writable_bytes(std::span(&entry, 1))});
    return read.ok() && (entry & abi::PagemapBit::swapped) != 0 &&
           (entry & abi::PagemapBit::uffd_wp) == 0;
}

/// A page of our own memory. A child's may have to arrive first, and where faults are served in
/// user mode only, reading it does not fetch it. False: it is lost.
bool Region::read_own(u64 page, std::span<std::byte> out) {
    // It may be taken back at once, or not be put there because the mapping is changing. A lost one
    // never comes, and those above us may have to try as often for each of our tries: so it is
    // asked for once, and the poison that comes instead is looked for.
    const unsigned tries_max = kernel_.abilities().poison ? 64 : 4;
    const u64 base = alias_.valid() ? alias_.address() : base_;
    for (unsigned tries = 0;; ++tries) {
        const Outcome read =
            kernel_.perform(kernel::Call::memory_read(base + to_bytes(page), page_size),
                            kernel::Payload{.out = out});
        if (read.ok()) {
            return true;
        }
        if (tries == tries_max || filler_ == nullptr || !kernel_.abilities().user_mode_only ||
            given_up(page)) {
            return false;
        }
        filler_->fill(target_, page);
        (void)filler_->settle(target_);
        kernel_.relax();
    }
}

/// Copies a page of our own memory that is not captured.
void Region::give_own_held(FillTarget& target, u64 page) {
    std::array<std::byte, page_size> bytes;
    if (read_own(page, bytes) && !lose_going_held(page, 1)) {
        count_.copied.fetch_add(place::contents(kernel_, target, page, bytes),
                                std::memory_order_relaxed);
    } else {
        place::poison(kernel_, target, page);
    }
}

/// A child of ours shares our base file. What we captured or own it gets as a copy; what we have
/// ourselves only inherited it gets from whom we have it, mapped and not copied. A page that is
/// not captured has not changed since the layer was opened, and cannot while the stripe is held,
/// so the page map's word on whether it is ours stands; and what is inherited never changes at
/// all, so the stripe can go before we pass on.
void Region::serve_through(FillTarget& target, Layer& layer, u64 page, PageRange window) {
    const PageRange chunk = within(page, window);
    u64 first = page;
    u64 end = page + 1;
    {
        const Stripes::One held(stripes_, page);
        if (frozen_.holder(layer, page) != nullptr) {
            copy_captured_held(target, layer, page, window);
            return;
        }
        std::array<u64, Stripes::chunk_pages> entries;
        const std::span<u64> used = std::span(entries).first(chunk.count);
        const Outcome read = kernel_.perform(
            kernel::Call::pagemap_read(base_ + to_bytes(chunk.first), to_bytes(chunk.count)),
            kernel::Payload{.out = std::as_writable_bytes(used)});
        wait_for_reader();  // a page may look inherited because it was discarded just now
        if (lose_going_held(chunk.first, chunk.count) && frozen_.holder(layer, page) != nullptr) {
            copy_captured_held(target, layer, page, window);
            return;
        }
        const bool whole = read.ok() && static_cast<u64>(read.value) == used.size_bytes();
        const auto inherited = [&](u64 at) {
            return whole && !abi::is_private_copy(entries[at - chunk.first]) &&
                   frozen_.holder(layer, at) == nullptr;
        };
        if (!inherited(page)) {
            give_own_held(target, page);
            return;
        }
        while (end < chunk.first + chunk.count && inherited(end)) {
            ++end;
        }
        while (first > chunk.first && inherited(first - 1)) {
            --first;
        }
    }
    filler_->fill_for(target, page, {first, end - first});
}

/// Makes layer's own area hold pages [first, …), wherever they are now. False: some are lost, or
/// there is no room.
bool Region::bring_to_layer_held(Layer& layer, u64 first, u64 count) {
    bool all = true;
    for (u64 page = first; page < first + count; ++page) {
        const Layer* holder = frozen_.holder(layer, page);
        if (holder == nullptr) {
            u64 run = 1;
            while (page + run < first + count && frozen_.holder(layer, page + run) == nullptr) {
                ++run;
            }
            // No writer is waiting: what cannot be stored now is still where it was, and is copied.
            const Outcome stored = store_own(layer, page, run);
            if (!stored.ok()) {
                if (run == 1 && stored.verdict == kernel::Verdict::no_page) {
                    frozen_.lose(layer, page, 1);  // this region is a child that was told the same
                }
                return false;
            }
            count_.captured.fetch_add(run, std::memory_order_relaxed);
            page += run - 1;
        } else if (holder != &layer && !holder->lost.test(page)) {
            const Outcome stored = frozen_.store(layer, page, frozen_.bytes(*holder, page, 1));
            all = all && stored.ok();
        }
    }
    for (u64 page = first; page < first + count; ++page) {
        all = all && layer.captured.test(page) && !layer.lost.test(page);
    }
    return all;
}

/// A child that comes to the chunk after those it has asked for reads in order: one chunk may be
/// mapped ahead, then two, and so on up to eight, so that mapping goes on beside the reading. Of
/// live pages one: each that is mapped and never read costs the source 7 µs when it writes it, and
/// one is enough for mapping and reading to go on at once (docs/performance.md, `child_scan`).
void Region::expect_order(FillTarget& target, u64 page) const {
    const u64 next = target.ahead_next;
    const u64 depth_max = target.base_of(page) == BaseFile::live ? 1 : chunks_ahead_max;
    if (next > 0 && page == next) {
        target.ahead_depth = std::clamp<u64>(target.ahead_depth * 2, 1, depth_max);
        target.ahead_left = target.ahead_depth.load();
    } else if (page < next && page + chunks_ahead_max * Stripes::chunk_pages >= next) {
        return;  // asked for while it was being mapped
    } else {
        target.ahead_depth = 0;
        target.ahead_left = 0;
    }
    target.ahead_next = round_down(page, Stripes::chunk_pages) + Stripes::chunk_pages;
}

/// Whether a chunk can be mapped into the child without a copy, all of it.
bool Region::maps_whole_held(const FillTarget& target, const Layer& layer, PageRange chunk) const {
    const u64 end = chunk.first + chunk.count;
    if (target.is_moving(chunk.first) || target.served->any(chunk.first, chunk.count)) {
        return false;
    }
    if (target.base_of(chunk.first) == BaseFile::frozen) {
        return layer.captured.next_clear(chunk.first) >= end &&
               !layer.lost.any(chunk.first, chunk.count);
    }
    bool live = origin_ != Origin::child;  // a child's own pages are in no file
    for (u64 at = chunk.first; at < end && live; at += BitmapView::bits_per_word) {
        live = frozen_.captured_since(layer, at) == 0;
    }
    return live;
}

bool Region::serve_ahead(FillTarget& target, Layer& layer) {
    const u64 first = target.ahead_next;
    if (target.ahead_left == 0 || first >= pages_) {
        return false;
    }
    const PageRange chunk = target.chunk(Stripes::chunk_of(first));
    target.ahead_next = first + Stripes::chunk_pages;
    --target.ahead_left;
    const Stripes::One held(stripes_, first);
    if (!maps_whole_held(target, layer, chunk)) {
        target.ahead_left = 0;
        return false;
    }
    if (target.base_of(first) == BaseFile::live) {
        exposed_->set_range(first, chunk.count);
    }
    const place::Mapped mapped =
        place::base_pages(kernel_, target, first, chunk.count, chunk.first);
    count_.mapped.fetch_add(mapped.pages, std::memory_order_relaxed);
    if (mapped.pages < chunk.count) {  // a hole of L, or the child is there already
        target.ahead_left = 0;
    }
    return true;
}

void Region::serve_frozen_held(FillTarget& target, Layer& layer, u64 page) {
    const u64 chunk_first = round_down(page, Stripes::chunk_pages);
    const u64 chunk_end = std::min(chunk_first + Stripes::chunk_pages, pages_);
    // Reading in order, a child gets four times as much at once; no writer waits longer than 130
    // µs.
    const bool in_order = page == target.next_wanted;
    const u64 window = in_order ? 4 * copy_window : copy_window;
    const u64 window_first = round_down(page, window);
    const u64 window_end = std::min(window_first + window, pages_);
    target.next_wanted = window_end;
    expect_order(target, page);
    if (!bring_to_layer_held(layer, window_first, window_end - window_first)) {
        if (!bring_to_layer_held(layer, page, 1)) {
            if (frozen_.holder(layer, page) != nullptr) {
                copy_captured_held(target, layer, page, {0, pages_});  // or poisons it
            } else {
                give_own_held(target, page);
            }
            return;
        }
    }
    const auto shareable = [&](u64 at) {
        return !target.served->test(at) && layer.captured.test(at) && !layer.lost.test(at);
    };
    u64 end = page + 1;
    while (end < chunk_end && shareable(end)) {
        ++end;
    }
    u64 first = page;
    while (first > chunk_first && shareable(first - 1)) {
        --first;
    }
    map_base_held(target, page, end - page, page, layer);
    if (first < page) {
        map_base_held(target, first, page - first, page, layer);
    }
}

/// Whether the application has removed some of these pages, and it is not noted yet: a hole may be
/// one that it made. Asked after looking.
bool Region::just_went(u64 first, u64 count) const {
    wait_for_reader();
    return !going(first, count).empty();
}

/// The rest of a hole of L, up to `end`: a child that reads a sparse region should not fault on
/// each page of nothing. Under the stripe a hole stays one: from the first live child on, first
/// touches come to us.
void Region::fill_hole_held(FillTarget& target, u64 first, u64 end) {
    if (first >= end) {
        return;
    }
    const Outcome next =
        kernel_.perform(kernel::Call::file_next_data(live_.get(), to_bytes(first)));
    if (!next.ok()) {
        return;
    }
    const u64 hole_end = std::min(to_pages(static_cast<u64>(next.value)), end);
    if (hole_end > first && !just_went(first, hole_end - first)) {
        (void)place::zero_pages(kernel_, target, first, hole_end - first);
        exposed_->clear_range(first, hole_end - first);  // nobody has a page of L there
    }
}

/// Maps pages of the child's base file into it; where the kernel cannot, the wanted page is copied.
void Region::map_base_held(FillTarget& target, u64 first, u64 count, u64 wanted,
                           const Layer& layer) {
    const place::Mapped mapped = place::base_pages(kernel_, target, first, count, wanted);
    count_.mapped.fetch_add(mapped.pages, std::memory_order_relaxed);
    if (mapped.not_found) {
        std::array<std::byte, page_size> bytes;
        const bool live = target.base_of(wanted) == BaseFile::live;
        const u64 offset = (live ? 0 : frozen_.area_offset(layer.slot)) + to_bytes(wanted);
        const Outcome read = kernel_.perform(
            kernel::Call::file_read(live ? live_.get() : frozen_.fd(), offset, page_size),
            kernel::Payload{.out = bytes});
        if (live && just_went(first, count)) {
            place::wake(kernel_, target, wanted, 1);  // it will ask again, and hear that it is lost
        } else if (read.ok() && read.value == static_cast<i64>(page_size)) {
            (void)place::contents(kernel_, target, wanted, bytes);
            if (live) {
                fill_hole_held(target, wanted + 1, first + count);
            }
        } else {
            place::wake(kernel_, target, wanted, 1);  // it will ask again
        }
    }
    if (mapped.cannot_protect) {
        const std::span<const std::byte> bytes = target.base_of(wanted) == BaseFile::live
                                                     ? source(wanted, 1)
                                                     : frozen_.bytes(layer, wanted, 1);
        count_.copied.fetch_add(place::copies(kernel_, target, wanted, bytes),
                                std::memory_order_relaxed);
    }
}

}  // namespace verso::engine
