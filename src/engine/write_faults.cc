// What happens when a write meets a protected page: keep the old bytes if a snapshot needs them,
// take the page back from children that map it, then release it and wake the writer.
//
//   L[p] protected ──write──▶ capture: L[p] ─copy─▶ F[layer, p], then the captured bit
//                             exposed? punch L[p] (the kernel drops it from every mapping, the
// children's
//                                      too), put the bytes back; children refault and get the copy
// in F
//                             release p, wake
//
// Where writing is dense, more than the page that was asked for is released: see ahead.cc.
#include <algorithm>
#include <array>

#include "engine/region.h"

namespace verso::engine {

using kernel::Call;
using kernel::Outcome;
using kernel::Payload;
using kernel::Verdict;

std::span<const std::byte> Region::source(u64 first, u64 count) const {
    if (alias_.valid()) {
        return alias_.at(to_bytes(first), to_bytes(count));
    }
    const auto* at = reinterpret_cast<const std::byte*>(base_ + to_bytes(first));  // NOLINT
    return {at, to_bytes(count)};
}

/// Stores pages of our own memory. A child's go through a buffer one by one where the kernel could
/// not fetch them itself (faults served in user mode only), and singly so that zeroes stay a hole.
Outcome Region::store_own(Layer& layer, u64 first, u64 count) {
    Outcome outcome = Outcome::done();
    if (alias_.valid()) {
        outcome = frozen_.store(layer, first, source(first, count));
        wait_for_reader();
    } else if (count > 1 && !kernel_.abilities().user_mode_only) {
        outcome = frozen_.store(layer, first, source(first, count));
    } else {
        std::array<std::byte, page_size> bytes;
        for (u64 page = first; page < first + count && outcome.ok(); ++page) {
            outcome = read_own(page, bytes) ? frozen_.store_copy(layer, page, bytes)
                                            : Outcome{Verdict::no_page, 0, 0, 0};
        }
    }
    lose_what_went(layer, first, count);
    return outcome;
}

/// What was read there is perhaps not what was there.
void Region::lose_what_went(Layer& layer, u64 first, u64 count) {
    for (const PageRange& range : going(first, count)) {
        frozen_.lose(layer, range.first, range.count);
        lost_early_.fetch_add(range.count);
    }
}

/// Stores [first, first + count) in `layer`. What cannot be stored is lost to the snapshots, and
/// they say so; the live program goes on, because a snapshot must never cost its source more than
/// time.
void Region::capture_held(Layer& layer, u64 first, u64 count) {
    Outcome outcome;
    alignas(64) std::array<std::byte, page_size> page_copy;
    // A single page is read(2) out of L: the alias mapping may have no entry for it yet, and the
    // kernel would make sixteen (2.5 µs) where the extra copy costs 0.6. It also leaves a hole of
    // L a hole.
    if (count == 1 && alias_.valid() &&
        kernel_.perform(Call::file_read(live_.get(), to_bytes(first), page_size),
                        Payload{.out = page_copy})
                .value == static_cast<i64>(page_size)) {
        outcome = frozen_.store_copy(layer, first, page_copy);
        wait_for_reader();
        lose_what_went(layer, first, count);
    } else {
        outcome = store_own(layer, first, count);
    }
    if (outcome.ok()) {
        count_.captured.fetch_add(count, std::memory_order_relaxed);
        return;
    }
    if (count > 1) {  // one bad page must not take its neighbours along
        for (u64 page = first; page < first + count; ++page) {
            capture_held(layer, page, 1);
        }
        return;
    }
    frozen_.lose(layer, first, 1);
    Locked lock(*damage_mutex_);
    if (damage_.empty()) {
        damage_ = fmt::format(
            "region '{}': page {} was overwritten before its old bytes could be stored ({}); "
            "snapshots that "
            "need it refuse to show it. Release snapshots or free memory",
            name_, first, kernel::to_string(outcome));
    }
}

void Region::prepare_for_write_held(u64 first, u64 count) {
    u64 run_first = first;
    Layer* run_layer = nullptr;
    for (u64 page = first; page <= first + count; ++page) {
        Layer* layer = page < first + count ? frozen_.needed_by(page) : nullptr;
        if (layer == run_layer && page < first + count) {
            continue;
        }
        if (run_layer != nullptr) {
            capture_held(*run_layer, run_first, page - run_first);
        }
        run_first = page;
        run_layer = layer;
    }
    if (live_children_ > 0) {
        for (u64 page = first; page < first + count; ++page) {
            if (exposed_->test(page)) {
                revoke_held(page);
            }
        }
    }
}

/// Replaces the physical page behind L[page] by a new one with the same bytes. Everybody's entry
/// for the old page goes; the source's own threads meet a missing page, and wait for the stripe.
void Region::revoke_held(u64 page) {
    alignas(64) std::array<std::byte, page_size> bytes;
    std::ranges::copy(source(page, 1), bytes.begin());
    // A child still reads this page: the writer waits as long as it takes.
    for (unsigned tries = 0;; ++tries) {
        const Outcome punched =
            kernel_.perform(Call::file_punch(live_.get(), to_bytes(page), page_size));
        if (punched.ok()) {
            break;
        }
        VERSO_CHECK(tries < 10'000, "a shared page could not be taken back for ten seconds: {}",
                    kernel::to_string(punched));
        (void)kernel_.perform(Call::wait(1));
    }
    // From here the only copy of a live page is on this stack: it must go back, however long that
    // takes.
    for (unsigned tries = 0;; ++tries) {
        const Outcome written =
            kernel_.perform(Call::file_write(live_.get(), to_bytes(page), page_size),
                            Payload{.in = std::span<const std::byte>(bytes)});
        if (written.ok() && written.value == static_cast<i64>(page_size)) {
            break;
        }
        VERSO_CHECK(tries < 10'000, "no memory for a live page for ten seconds: {}",
                    kernel::to_string(written));
        (void)kernel_.perform(Call::wait(1));
    }
    exposed_->clear(page);
    count_.revoked.fetch_add(1, std::memory_order_relaxed);
}

/// Returns whether the writer was released.
bool Region::resolve_write_held(u64 page) {
    Window window = granule_of(page);
    if (!open_->test(page)) {
        window = window_held(page);
        prepare_for_write_held(window.first, window.count);
        open_->set_range(window.first, window.count);
        note_written_held(window.first, window.count);
    } else if (exposed_->test(page)) {  // open only for what the application did to its mapping
        prepare_for_write_held(page, 1);
    }
    // Also for a page that is open already: its waiter may have come after the last wake (H1).
    const Outcome outcome = guard_.release(window.first, window.count);
    switch (outcome.verdict) {
        case Verdict::done: return true;
        case Verdict::layout_changing:
        case Verdict::interrupted:
        case Verdict::would_block:
            // The fault will be raised again once the event before it is read (H2). The bits stay
            // `open`, which claims too much and so costs one call too many in the next pass, never
            // a page.
            count_.retried.fetch_add(1, std::memory_order_relaxed);
            (void)guard_.wake(page, 1);
            return false;
        case Verdict::target_gone:
            (void)guard_.wake(page, 1);  // if anybody is left there after all
            return false;
        case Verdict::no_memory:
        case Verdict::no_such_range:
        case Verdict::no_page:
        case Verdict::partial:
        case Verdict::exists:
        case Verdict::no_descriptors:
        case Verdict::invalid:
        case Verdict::denied:
        case Verdict::busy:
        case Verdict::unsupported:
        case Verdict::closed:
        case Verdict::timed_out:
        case Verdict::signal:
        case Verdict::other: {
            {
                Locked lock(*damage_mutex_);
                if (damage_.empty()) {
                    damage_ =
                        explain(outcome, fmt::format("region '{}': releasing page {}", name_, page))
                            .message;
                }
            }
            (void)guard_.wake(page, 1);
            return false;
        }
    }
    return false;
}

void Region::resolve_write(u64 page) {
    count_.write_faults.fetch_add(1, std::memory_order_relaxed);
    wanted_chunk_.store(Stripes::chunk_of(page));
    const Stripes::One held(stripes_, page);
    wanted_chunk_.store(no_chunk);
    if (resolve_write_held(page) && origin_ != Origin::child && granule_ == 1) {
        look_ahead_held(page);
    }
}

/// A page of L that has no physical page: never touched, or being replaced by revoke_held (which
/// holds the stripe, so here it is finished). Touching the alias gives it one; a run of first
/// touches gets more.
void Region::refill_missing(u64 page) {
    missing_run_ = page == missing_next_ ? std::min<u64>(missing_run_ * 2, 64) : 1;
    const u64 end = std::min(page + missing_run_, pages_);
    missing_next_ = end;
    for (u64 at = page; at < end; ++at) {
        const Stripes::One held(stripes_, at);
        std::byte first{};
        const Outcome touched =
            kernel_.perform(Call::memory_read(alias_.address() + to_bytes(at), 1),
                            Payload{.out = std::span(&first, 1)});
        (void)touched;  // out of memory raises SIGBUS in whoever touches, as for any memfd
    }
    (void)guard_.wake(page, end - page);
}

}  // namespace verso::engine
