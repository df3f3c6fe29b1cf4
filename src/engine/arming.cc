// The protection pass: making every page that was released since the last pass read-only again,
// and the cut, the moment a snapshot is a snapshot of.
//
//   writers   ──w──w──fault,release──w──fault,release──fault······waits······released──w──▶
//   pass        [ ahead: chunk by chunk, faults are served ][ the cut: all stripes held ]
//                                                            ▲ protects what was reopened
//                                                              meanwhile, then opens the layer
//
// Why the cut is a point in time: no write fault is released while it lasts (a release needs a
// stripe). Let store X happen before store Y. If Y met its page still unprotected, then X, which
// came earlier, did too: else X would have waited until after the cut. So whoever has Y has X. The
// field's usual way, protecting in one long pass while faults wait, is right as well but stalls a
// writer for the whole pass (15 ms per GiB on the project's machine); protecting ahead leaves the
// cut only what was written in those 15 ms.
#include <algorithm>

#include "engine/region.h"

namespace verso::engine {

using kernel::Outcome;
using kernel::Verdict;

namespace {
// Pages protected under one hold of their stripes: about 120 µs, the longest a writer waits for a
// pass.
constexpr u64 group_pages = 4 * Stripes::chunk_pages;
// The cut may have this much left to do (about 1 ms at one call a page); more is protected ahead
// first.
constexpr u64 cut_pages_max = 512;
constexpr unsigned ahead_rounds_max = 3;
constexpr u64 interrupt_ns = 3'000;  // calls that take longer interrupt another processor
constexpr u64 idle_gap = 4;          // pages worth joining across otherwise
constexpr u64 timed_every = 8;       // of single pages' calls: two looks at the clock are 0.1 µs
constexpr unsigned layout_retries_max = 10'000;  // ten seconds
constexpr unsigned layout_spins_max = 100;

/// Holds the stripes of pages [first, first + count), ascending.
class Group {
public:
    Group(Stripes& stripes, u64 first, u64 count) {
        for (u64 page = first; page < first + count; page += Stripes::chunk_pages) {
            locks_[used_++].emplace(stripes, page);
        }
    }

private:
    std::array<std::optional<Stripes::One>, group_pages / Stripes::chunk_pages> locks_;
    std::size_t used_ = 0;
};
static_assert(Stripes::count % (group_pages / Stripes::chunk_pages) == 0,
              "a group's stripes ascend: groups must not wrap around");
}  // namespace

Outcome Region::protect_run(u64 first, u64 count, ArmCost& cost) {
    const bool timed = count > 1 || cost.calls % timed_every == 0;
    const u64 begin = timed ? kernel_.now_ns() : 0;
    const Outcome outcome = guard_.protect(first, count);
    const u64 ns = timed ? kernel_.now_ns() - begin : call_ns_.load();
    cost.protect_ns += ns;
    if (!outcome.ok()) {
        return outcome;
    }
    open_->clear_range(first, count);
    ++cost.calls;
    cost.pages += count;
    // Keep both estimates current: a call costs 1 µs when no other thread runs and 10 µs when one
    // does (the other processor's TLB must be flushed), a page costs 25 to 70 ns.
    // Single pages tell what a call costs, and so does any call that was cheaper (or a high
    // estimate would never be mended where all runs are joined); long runs tell what a page does.
    if (!timed) {
        return outcome;
    }
    if (count == 1 || ns < call_ns_.load()) {
        // One call that was preempted says nothing of the next.
        const u64 before = call_ns_.load();
        call_ns_.store((before * 7 + std::clamp<u64>(ns, 300, 2 * before)) / 8);
    } else if (count >= Stripes::chunk_pages) {
        page_ns_.store(std::max<u64>(1, (page_ns_.load() * 7 + ns / count) / 8));
    }
    return outcome;
}

/// Protects the open pages within [first, first + count), joining runs where the gap between them
/// is cheaper than another call. Protecting a protected page again changes nothing.
///
/// In a short run a page costs three times what it does in a long one, 170 ns against 56: up to 33
/// pages are flushed from the TLB one by one. So gaps of four are worth joining at 0.9 µs a call
/// (4 GiB with 1 % scattered: 9.1 ms; joined up to 64 pages: 17), and those of 100 and more where
/// another processor must be interrupted for each call, and flushes everything.
Outcome Region::protect_open(u64 first, u64 count, ArmCost& cost) {
    const bool interrupts = call_ns_.load() > interrupt_ns;
    const u64 gap_max = backend() == Backend::mprotect_segv ? pages_
                        : interrupts ? std::clamp<u64>(call_ns_.load() / page_ns_.load(), 4, 256)
                                     : idle_gap;
    Outcome outcome = Outcome::done();
    u64 run_first = 0;
    u64 run_count = 0;
    open_->for_each_run(first, count, [&](u64 at, u64 pages) {
        if (run_count > 0 && at - (run_first + run_count) <= gap_max) {
            run_count = at + pages - run_first;
            return;
        }
        if (run_count > 0 && outcome.ok()) {
            outcome = protect_run(run_first, run_count, cost);
        }
        run_first = at;
        run_count = pages;
    });
    if (run_count > 0 && outcome.ok()) {
        outcome = protect_run(run_first, run_count, cost);
    }
    return outcome;
}

/// One round over everything that is open, while faults are being served.
Outcome Region::protect_ahead(ArmCost& cost) {
    for (u64 first = 0; first < pages_; first += group_pages) {
        const u64 count = std::min(group_pages, pages_ - first);
        if (open_->next_set(first) >= first + count) {
            continue;
        }
        const Group held(stripes_, first, count);
        const Outcome outcome = protect_open(first, count, cost);
        if (!outcome.ok()) {
            return outcome;
        }
    }
    return Outcome::done();
}

Result<Region::ArmCost> Region::arm(const std::function<void()>& at_the_cut) {
    ArmCost cost;
    const u64 begin = kernel_.now_ns();
    unsigned layout_retries = 0;
    unsigned rounds = 0;
    u64 open_before = ~u64{0};
    while (true) {
        const u64 open = open_->count();
        // mprotect joins everything into one call; going ahead would only split it.
        const bool ahead = backend() == Backend::userfaultfd && open > cut_pages_max &&
                           rounds < ahead_rounds_max && open < open_before / 2;
        Outcome outcome = Outcome::done();
        if (ahead) {
            ++rounds;
            open_before = open;
            outcome = protect_ahead(cost);
        } else {
            const Stripes::All held(stripes_);
            const u64 cut = kernel_.now_ns();
            outcome = protect_open(0, pages_, cost);
            if (outcome.ok()) {
                at_the_cut();
                std::ranges::fill(heat_, u16{0});
                sequential_end_.store(0);
                const u64 end = kernel_.now_ns();
                cost.cut_ns = end - cut;
                cost.arm_ns = end - begin;
                return cost;
            }
        }
        // A layout event is unread, and its reader may be waiting for a stripe: let go, then try
        // again (H2).
        if (outcome.verdict == Verdict::layout_changing && ++layout_retries < layout_retries_max) {
            count_.retried.fetch_add(1, std::memory_order_relaxed);
            // The event is over only when the thread that caused it has run again. It may need this
            // processor: spinning alone would use up all retries within one time slice.
            if (layout_retries < layout_spins_max) {
                kernel_.relax();
            } else {
                (void)kernel_.perform(kernel::Call::wait(1));
            }
        } else if (!outcome.ok() && outcome.verdict != Verdict::interrupted) {
            return refuse(outcome, fmt::format("protecting region '{}'", name_));
        }
    }
}

/// A child needs no protection until it is a source itself. From here on its pages arrive
/// protected.
Result<void> Region::become_a_source() {
    if (armed_once_ || origin_ != Origin::child) {
        armed_once_ = true;
        return {};
    }
    if (backend() == Backend::mprotect_segv) {
        Result<void> filled = fill_all_by_copy();
        if (!filled) {
            return filled;
        }
    } else {
        Result<void> ended = end_moves();
        if (!ended) {
            return ended;
        }
        open_->set_range(0, pages_);
        target_.protect.store(true);
        // A fill that began unprotected must not land after the pass.
        if (!filler_->settle(target_)) {
            return fail(ErrorKind::peer, 0,
                        "the connection of region '{}' to its source was closed while a page of it "
                        "may have been on the way; it can be snapshotted once the source's process "
                        "has ended",
                        name_);
        }
    }
    armed_once_ = true;
    return {};
}

Result<std::shared_ptr<Snapshot>> Region::snapshot() {
    if (tracking_ == Tracking::pages) {
        return fail(ErrorKind::invalid_argument, 0,
                    "region '{}' tracks pages only; create it with Tracking::contents to take "
                    "snapshots",
                    name_);
    }
    Locked one_pass(*arm_mutex_);
    if (const Result<void> tracked = still_tracked(); !tracked) {
        return tl::unexpected<Error>(tracked.error());
    }
    const Result<void> ready = become_a_source();
    if (!ready) {
        return tl::unexpected<Error>(ready.error());
    }
    Result<std::unique_ptr<Layer>> layer = frozen_.prepare();
    if (!layer) {
        return pass(layer);
    }
    Layer* opened = nullptr;
    Result<ArmCost> cost = arm([&] {
        opened = &frozen_.push(std::move(*layer));
        if (marks_.kept()) {
            marks_.advance();
        }
    });
    if (!cost) {
        return pass(cost);
    }
    opened->cost = SnapshotReport{cost->arm_ns, cost->cut_ns, cost->calls, cost->pages, 0};
    auto taken = std::make_shared<Snapshot>(shared_from_this(), *opened);
    if (const Result<void> lent = still_lent(); !lent) {  // it ended while we were at it
        return tl::unexpected<Error>(lent.error());
    }
    if (const Result<void> kept = keep_snapshot(*opened); !kept) {
        return tl::unexpected<Error>(kept.error());
    }
    return taken;
}

}  // namespace verso::engine
