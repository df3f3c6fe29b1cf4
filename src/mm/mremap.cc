// mremap, section 8.9; mm/mremap.c. Entries move as they are: the page, its bits, a swap slot, a
// marker.
//
//   old  ─P(u)──S──K─┐                     EVENT_REMAP: the context comes along, and REMAP tells it
//                    └─▶ new ─P(u)──S──K   without: no context, no u, no marker (0cef0bb836e3)
//
// With DONTUNMAP the old VMA stays, and its entries are left as a zap would leave them (E-MR7,
// E-MR8).
//
// As of 6.18. Files' memory has DONTUNMAP since 5.13, hugetlb moves since 5.16, without EVENT_REMAP
// the bits go since 6.13 (mremap_clears_u), one call moves several mappings since 6.17.
#include <algorithm>
#include <cerrno>

#include "abi/abi.h"
#include "mm/folio.h"

namespace verso::mm {
namespace {

struct Remap {
    u8 thread;
    u8 space;
    Vpn from;
    u32 old_pages;
    Vpn to;
    u32 new_pages;
    bool dontunmap;
    bool clear_uffd_wp;  ///< vma_has_uffd_without_event_remap()
    Vma vma;             ///< the old one
};

bool has_event_remap(const State& state, u8 context) {
    return context != nobody && (state.contexts[context].features & abi::Feature::event_remap) != 0;
}

/// E-MR2, E-MR3. Nothing: there is nothing to put at the new address. move_soft_dirty_pte().
Entry moved(const Remap& remap, Entry entry) {
    const bool carries =
        entry.present() || entry.kind == EntryKind::swap || entry.kind == EntryKind::migration;
    entry.soft_dirty = entry.soft_dirty || carries;
    if (remap.clear_uffd_wp) {
        entry = pte_clear_uffd_wp(entry);
        if (entry.kind == EntryKind::marker) {
            constexpr u8 protection = Marker::uffd_wp | Marker::written;
            entry = make_marker(static_cast<u8>(entry.markers & ~protection));
        }
    }
    return entry;
}

/// What stays at the old address: nothing, as it goes as well; or what a zap would leave. On 6.18
/// nothing either way. move_ptes().
Entry left_at_old(const Machine& machine, const Remap& remap, const Entry& entry) {
    if (!remap.dontunmap || !machine.rules.dontunmap_keeps_u) {
        return {};
    }
    const bool marker = entry.kind == EntryKind::marker && !remap.vma.anonymous();
    return left_behind(machine, remap.vma, entry, marker || is_files_own(machine.state, entry));
}

/// move_ptes(), one entry.
void move_pte(Machine& machine, const Remap& remap, u32 page) {
    State& state = machine.state;
    const Entry entry = entry_at(state, remap.space, remap.from + page);
    if (entry.none()) {
        return;
    }
    const Entry after = moved(remap, entry);
    if (!after.none()) {
        set_pte(machine, remap.space, remap.to + page, after);
    }
    set_pte(machine, remap.space, remap.from + page, left_at_old(machine, remap, entry));
}

/// move_huge_pmd(), move_hugetlb_page_tables(). False: it has to go entry by entry.
bool move_leaf(Machine& machine, const Remap& remap, u32 page) {
    State& state = machine.state;
    const u32 size = state.shape.huge_pages;
    const Vpn from = remap.from + page;
    const Vpn to = remap.to + page;
    const bool hugetlb = is_hugetlb(state, remap.vma);
    const Pmd& there = pmd_of(state, remap.space, to);
    const bool free = there.kind == PmdKind::none;
    const bool whole = from % size == 0 && to % size == 0 && page + size <= remap.old_pages;
    // E-MR4. A THP that fits moves as one also where its bit has to go: clear_uffd_wp_pmd(), as
    // seen on 6.18; not entry by entry.
    if (!whole || (!hugetlb && !free)) {
        return false;
    }
    const Entry entry = pmd_of(state, remap.space, from).leaf;
    Entry after = moved(remap, entry);
    after.soft_dirty = after.soft_dirty && !hugetlb;  // E-SD7
    const Entry left = left_at_old(machine, remap, entry);
    if (!after.none()) {
        set_leaf(machine, remap.space, to, after);
    }
    if (hugetlb) {
        set_leaf(machine, remap.space, from, left);
        return true;
    }
    set_leaf(machine, remap.space, from, Entry{});
    for (u32 i = 0; !left.none() && i < size; ++i) {
        set_pte(machine, remap.space, from + i, left);
    }
    return true;
}

void move_page_tables(Machine& machine, const Remap& remap) {
    State& state = machine.state;
    const u32 size = state.shape.huge_pages;
    for (u32 page = 0; page < remap.old_pages;) {
        const Vpn from = remap.from + page;
        const u32 next = std::min(remap.old_pages, page + size - from % size);
        if (pmd_of(state, remap.space, from).kind == PmdKind::leaf) {
            if (move_leaf(machine, remap, page)) {
                page = next;
                continue;
            }
            const Vma vma = remap.vma;
            split_huge_pmd(machine, remap.space, vma, state.pmd_start(from));  // E-TH9
        }
        for (; page < next; ++page) {
            move_pte(machine, remap, page);
        }
    }
}

void insert_vma(State& state, u8 space, const Vma& vma) {
    Vmas& vmas = state.spaces[space].vmas;
    vmas.insert(std::ranges::upper_bound(vmas, vma.start, {}, &Vma::start), vma);
}

/// userfaultfd_reset_ctx().
void leave_context(const Machine& machine, Vma& vma) {
    vma.context = nobody;
    vma.flags &= ~VmFlag::uffd;
    vma_set_page_prot(machine, vma);
}

/// On 6.18 the new mapping becomes one with neighbours that agree with it while it still has the
/// context, and what is then taken from it is taken from all of that.
/// vma_merge_new_range() in copy_vma().
void neighbours_leave_context(const Machine& machine, const Remap& remap, const Vma& fresh) {
    for (Vma& vma : machine.state.spaces[remap.space].vmas) {
        const bool itself = vma.start == remap.vma.start;
        if (!itself && (can_merge(vma, fresh) || can_merge(fresh, vma))) {
            leave_context(machine, vma);
        }
    }
}

/// copy_vma(), then mremap_userfaultfd_prep(): E-MR1, E-MR2.
Vma copy_vma(const Machine& machine, const Remap& remap) {
    Vma fresh = remap.vma;
    fresh.offset = remap.vma.anonymous() ? 0 : remap.vma.index(remap.from);
    fresh.start = remap.to;
    fresh.end = remap.to + remap.new_pages;
    if (!has_event_remap(machine.state, fresh.context)) {
        if (fresh.context != nobody && !machine.rules.mremap_leaves_neighbour) {
            neighbours_leave_context(machine, remap, fresh);
        }
        leave_context(machine, fresh);
    }
    vma_set_page_prot(machine, fresh);
    return fresh;
}

Outcome move_vma(Machine& machine, const Remap& remap) {
    State& state = machine.state;
    const Vma fresh = copy_vma(machine, remap);
    insert_vma(state, remap.space, fresh);
    move_page_tables(machine, remap);
    const u8 context = fresh.context;
    if (context != nobody) {
        Message event;
        event.kind = MessageKind::remap;
        event.thread = remap.thread;
        event.address = static_cast<u32>(to_bytes(remap.from));
        event.end = static_cast<u32>(to_bytes(remap.to));
        event.length = static_cast<u32>(to_bytes(remap.old_pages));
        announce(machine, context, event);
    }
    if (remap.dontunmap) {
        for (Vma& vma : state.spaces[remap.space].vmas) {
            vma.flags &= vma.start == remap.vma.start ? ~VmFlag::locked : ~u32{0};
        }
    } else {
        do_munmap(machine, remap.thread, to_bytes(remap.from), to_bytes(remap.old_pages));
    }
    merge_vmas(machine, remap.space);
    return Outcome::ok(static_cast<i64>(to_bytes(remap.to)));
}

bool is_free(const State& state, u8 space, Vpn start, Vpn end) {
    return end <= state.shape.space_pages && vmas_between(state, space, start, end).empty();
}

/// get_unmapped_area(): the lowest hole; space_pages: there is none.
Vpn unmapped_area(const State& state, u8 space, u32 pages, u32 unit) {
    for (Vpn at = 0; at + pages <= state.shape.space_pages; at += unit) {
        if (is_free(state, space, at, at + pages)) {
            return at;
        }
    }
    return state.shape.space_pages;
}

/// check_mremap_params(): 0 or an errno.
int params_error(const State& state, const Call& call) {
    using Flags = RemapFlags;
    const bool may_move = (call.flags & Flags::may_move) != 0;
    const bool fixed = (call.flags & Flags::fixed) != 0;
    const bool dontunmap = (call.flags & Flags::dontunmap) != 0;
    const u64 limit = to_bytes(state.shape.space_pages);
    const u64 old_length = round_up(call.length, page_size);
    const u64 new_length = round_up(call.extra, page_size);
    if ((call.flags & ~(Flags::may_move | Flags::fixed | Flags::dontunmap)) != 0 ||
        !is_page_aligned(call.address) || new_length == 0 || new_length > limit) {
        return EINVAL;
    }
    if ((fixed || dontunmap) && !may_move) {
        return EINVAL;
    }
    if (dontunmap && old_length != new_length) {
        return EINVAL;
    }
    if (!fixed) {
        return 0;
    }
    const bool overlap =
        call.source < call.address + old_length && call.address < call.source + new_length;
    const bool outside = call.source > limit - new_length;
    return !is_page_aligned(call.source) || outside || overlap ? EINVAL : 0;
}

/// check_prep_vma(): 0 or an errno.
int vma_error(const Machine& machine, const Call& call, const Vma* vma, u64 old_pages,
              u64 new_pages) {
    const State& state = machine.state;
    if (vma == nullptr) {
        return EFAULT;
    }
    if (is_hugetlb(state, *vma) && !machine.rules.has_hugetlb_mremap) {  // until 5.16
        return EINVAL;
    }
    const bool dontunmap = (call.flags & RemapFlags::dontunmap) != 0;
    const u64 unit = is_hugetlb(state, *vma) ? state.shape.huge_pages : 1;
    const bool fixed = (call.flags & RemapFlags::fixed) != 0;
    const u64 at = to_pages(call.address);
    if (at % unit != 0 || old_pages % unit != 0 || new_pages % unit != 0 ||
        (fixed && to_pages(call.source) % unit != 0)) {
        return EINVAL;
    }
    // Length 0 duplicates a shared mapping on Linux; here it is refused like that of a private one.
    const bool fixed_kind =
        is_hugetlb(state, *vma) || (!vma->anonymous() && !machine.rules.has_file_dontunmap);
    if (old_pages == 0 || (dontunmap && fixed_kind)) {
        return EINVAL;
    }
    if (old_pages > vma->end - at) {
        return EFAULT;
    }
    return 0;
}

/// In place: E-MR5, E-MR6. Nothing: it has to move.
/// mremap_at(), shrink_vma(), expand_vma_in_place().
std::optional<Outcome> resize_in_place(Machine& machine, const Remap& remap) {
    State& state = machine.state;
    const Outcome here = Outcome::ok(static_cast<i64>(to_bytes(remap.from)));
    if (remap.new_pages == remap.old_pages) {
        return here;
    }
    const Vpn old_end = remap.from + remap.old_pages;
    const Vpn new_end = remap.from + remap.new_pages;
    if (new_end < old_end) {
        const Outcome cut =
            do_munmap(machine, remap.thread, to_bytes(new_end), to_bytes(old_end - new_end));
        return cut.verdict == Verdict::done ? here : cut;
    }
    if (old_end != remap.vma.end || !is_free(state, remap.space, old_end, new_end)) {
        return std::nullopt;
    }
    state.find_vma(remap.space, remap.from)->end = new_end;
    merge_vmas(machine, remap.space);
    return here;
}

/// One mapping, or a part of one. mremap_at(), mremap_to().
Outcome remap_one(Machine& machine, const Call& call) {
    State& state = machine.state;
    const u64 old_pages = to_pages(round_up(call.length, page_size));
    const u64 new_pages = to_pages(round_up(call.extra, page_size));
    const u8 space = state.threads[call.thread].space;
    const u64 at = to_pages(call.address);
    const Vma* const vma =
        at < state.shape.space_pages ? state.find_vma(space, static_cast<Vpn>(at)) : nullptr;
    if (const int error = vma_error(machine, call, vma, old_pages, new_pages); error != 0) {
        return Outcome::fail(error);
    }
    Remap remap{};
    remap.thread = call.thread;
    remap.space = space;
    remap.from = static_cast<Vpn>(at);
    remap.old_pages = static_cast<u32>(old_pages);
    remap.new_pages = static_cast<u32>(new_pages);
    remap.dontunmap = (call.flags & RemapFlags::dontunmap) != 0;
    remap.vma = *vma;
    remap.clear_uffd_wp = machine.rules.mremap_clears_u && vma->context != nobody &&
                          !has_event_remap(state, vma->context);
    const bool fixed = (call.flags & RemapFlags::fixed) != 0;
    if (!fixed && !remap.dontunmap) {
        if (const std::optional<Outcome> done = resize_in_place(machine, remap)) {
            return *done;
        }
        if ((call.flags & RemapFlags::may_move) == 0) {
            return Outcome::fail(ENOMEM);
        }
    }
    const u32 unit = is_hugetlb(state, *vma) ? state.shape.huge_pages : 1;
    remap.to = fixed ? static_cast<Vpn>(to_pages(call.source))
                     : unmapped_area(state, space, remap.new_pages, unit);
    if (remap.to == state.shape.space_pages) {
        return Outcome::fail(ENOMEM);
    }
    if (fixed) {
        const Outcome cleared =
            do_munmap(machine, call.thread, call.source, to_bytes(remap.new_pages));
        if (cleared.verdict != Verdict::done) {
            return cleared;
        }
        if (remap.new_pages < remap.old_pages) {
            do_munmap(machine, call.thread, to_bytes(remap.from + remap.new_pages),
                      to_bytes(remap.old_pages - remap.new_pages));
            remap.old_pages = remap.new_pages;
        }
        remap.vma = *state.find_vma(space, remap.from);
    }
    return move_vma(machine, remap);
}

/// vma_multi_allowed(): a REMAP event cannot be waited for in between.
bool may_be_one_of_several(const Vma& vma) { return vma.context == nobody; }

/// remap_move(), 6.17: every mapping of the range moves, and the holes between them come along. One
/// that cannot move ends it; what moved before it stays moved.
Outcome move_several(Machine& machine, const Call& call) {
    const State& state = machine.state;
    const u8 space = state.threads[call.thread].space;
    const u64 limit = state.shape.space_pages;
    const Vpn start = static_cast<Vpn>(std::min(to_pages(call.address), limit));
    const u64 last = to_pages(round_up(call.address + call.length, page_size));
    const Vpn end = static_cast<Vpn>(std::min(last, limit));
    Outcome moved = Outcome::fail(EFAULT);
    const Vmas parts = vmas_between(state, space, start, end);
    for (const Vma& vma : parts) {
        const bool first = &vma == &parts.front();
        const bool alone = first && vma.end >= end;
        if ((first && vma.start > start) || (!alone && !may_be_one_of_several(vma))) {
            return Outcome::fail(EFAULT);
        }
        Call one = call;
        const Vpn from = std::max(start, vma.start);
        one.address = to_bytes(from);
        one.length = one.extra = to_bytes(std::min(end, vma.end) - from);
        one.source = call.source + to_bytes(from - start);
        const Outcome outcome = remap_one(machine, one);
        if (outcome.verdict != Verdict::done) {
            return outcome;
        }
        moved = first ? outcome : moved;
    }
    return moved;
}

}  // namespace

/// address, length: the old range; extra: the new length; source: the new address (fixed).
Outcome do_mremap(Machine& machine, const Call& call) {
    if (const int error = params_error(machine.state, call); error != 0) {
        return Outcome::fail(error);
    }
    const bool only_moves = (call.flags & RemapFlags::fixed) != 0 && call.length != 0 &&
                            round_up(call.length, page_size) == round_up(call.extra, page_size);
    return only_moves && machine.rules.has_mremap_of_several ? move_several(machine, call)
                                                             : remap_one(machine, call);
}

}  // namespace verso::mm
