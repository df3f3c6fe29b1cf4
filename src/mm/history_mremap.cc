// History: what mremap is to bring about. Pages are elsewhere afterwards, with all that was said of
// them; and a call that moves several mappings and fails has moved those before the one that could
// not (remap_move(), 6.17; seen on 6.18). Where its range has a hole, what is mapped at the new
// address there stays.
#include <algorithm>

#include "mm/history.h"
#include "mm/model.h"

namespace verso::mm {

void History::note_mappings(const State& state, const Call& call) {
    moving_.clear();
    if (call.op == Op::mremap && call.thread < state.threads.size() &&
        state.threads[call.thread].alive) {
        const u8 space = state.threads[call.thread].space;
        const u64 last = to_pages(round_up(call.address + call.length, page_size));
        const u64 first = std::min<u64>(to_pages(call.address), space_pages_);
        moving_ = vmas_between(state, space, static_cast<Vpn>(first),
                               static_cast<Vpn>(std::min<u64>(last, space_pages_)));
    }
}

/// remap_move(), 6.17: it moves every mapping of its range, be it one or many.
bool History::Step::moves_several() const {
    return rules.has_mremap_of_several && (call.flags & RemapFlags::fixed) != 0 &&
           round_up(call.length, page_size) == round_up(call.extra, page_size);
}

/// E-MR1, E-MR2, E-MR7, E-MR8: what was there is elsewhere now.
void History::expect_mremap(const Step& step) {
    const Call& call = step.call;
    const Vpn from = static_cast<Vpn>(to_pages(call.address));
    const u32 old_pages = static_cast<u32>(to_pages(round_up(call.length, page_size)));
    if (!step.done()) {
        expect_moved_in_part(step);
    } else if (step.moves_several()) {
        expect_parts_moved(step, false);
    } else if (static_cast<u64>(step.outcome.value) != call.address) {
        const Vpn to = static_cast<Vpn>(to_pages(static_cast<u64>(step.outcome.value)));
        expect_moved(step, from, to, old_pages);
        const u32 pages = static_cast<u32>(to_pages(round_up(call.extra, page_size)));
        for (u32 i = old_pages; i < std::min(pages, space_pages_ - to); ++i) {
            place(step.space, to + i) = Place{};
        }
    }
}

void History::expect_moved(const Step& step, Vpn from, Vpn to, u32 pages) {
    const bool stays = (step.call.flags & RemapFlags::dontunmap) != 0;
    const u32 kept = static_cast<u32>(to_pages(round_up(step.call.extra, page_size)));
    // A range of several mappings may reach past the end, where there are none.
    pages = std::min({pages, space_pages_ - from, space_pages_ - to});
    for (u32 i = 0; i < std::min(pages, kept); ++i) {
        place(step.space, to + i) = place(step.space, from + i);
    }
    for (u32 i = 0; i < pages; ++i) {
        Place& old = place(step.space, from + i);
        if (!stays) {
            old = Place{};
        } else if (!old.shared) {
            old.readable = false;  // a fault finds what is behind the mapping
            old.lazy = false;
            old.stored = false;
            old.armed = old.armed && old.file != nobody;
            old.changed = old.changed || old.own || old.file == nobody;
        }
    }
}

/// Mapping by mapping. `in_part`: one that is still at its old place did not move, and neither did
/// those behind it.
void History::expect_parts_moved(const Step& step, bool in_part) {
    const Call& call = step.call;
    const u64 end = to_pages(round_up(call.address + call.length, page_size));
    const Vpn start = static_cast<Vpn>(to_pages(call.address));
    const Vpn to = static_cast<Vpn>(to_pages(call.source));
    for (const Vma& part : moving_) {
        const Vpn first = std::max(part.start, start);
        const Vpn last = static_cast<Vpn>(std::min<u64>(part.end, end));
        if (in_part && step.state.find_vma(step.space, first) != nullptr) {
            return;
        }
        expect_moved(step, first, to + (first - start), last - first);
    }
}

void History::expect_moved_in_part(const Step& step) {
    const Call& call = step.call;
    const bool stays = (call.flags & RemapFlags::dontunmap) != 0;
    if (!step.moves_several() || moving_.size() < 2) {
        return;
    }
    const u64 end = to_pages(round_up(call.address + call.length, page_size));
    const Vpn start = static_cast<Vpn>(to_pages(call.address));
    const Vpn to = static_cast<Vpn>(to_pages(call.source));
    if (stays) {  // both are there afterwards, so nothing tells how far it came: begin anew
        begin_anew(step, start, static_cast<u32>(end - start));
        begin_anew(step, to, static_cast<u32>(end - start));
        return;
    }
    expect_parts_moved(step, true);
}

/// What is there is right, and nothing was asked of it.
void History::begin_anew(const Step& step, Vpn first, u32 count) {
    const History now(step.state, step.rules, Oracles::none());
    for (Vpn at = first; at < std::min<u64>(u64{first} + count, space_pages_); ++at) {
        Place& one = place(step.space, at);
        one = now.at(step.space, at);
        one.changed = one.armed = one.stored = false;
        one.lazy = one.own;  // MADV_FREE may have been asked of it, here or where it was
    }
}

}  // namespace verso::mm
