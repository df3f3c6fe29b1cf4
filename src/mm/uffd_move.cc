// UFFDIO_MOVE (6.8): pages change their address, not their place (section 5.6 of the specification;
// mm/userfaultfd.c move_pages()).
//
//   source   P, S, Z, T ──────▶ N       destination   N ──▶ the same, unprotected, soft-dirty
//
// Only what belongs to nobody else can move, so that no other mapping ever sees the page twice.
// As of 6.18; the call is of 6.8. A page in swap brings its protection along, which a present one
// does not (moved_swap_loses_u).
#include <algorithm>
#include <cerrno>

#include "abi/abi.h"
#include "mm/folio.h"

namespace verso::mm {
namespace {

constexpr u32 mode_dont_wake = 1;
constexpr u32 mode_allow_src_holes = 2;

/// The call, past its checks.
struct Move {
    u8 space;
    Vma target_vma;
    Vma source_vma;
    bool allow_holes;
};

/// What one step of the walk came to. `waits`: a migration entry is in the way (MV-21).
struct Moved {
    u32 pages = 0;
    int error = 0;
    bool waits = false;
};

/// validate_range().
bool within(const Vma& vma, u64 start, u64 length) {
    return start >= to_bytes(vma.start) && start + length <= to_bytes(vma.end);
}

/// validate_move_areas(): MV-7 to MV-10. 0 or an errno.
int area_error(const State& state, const Vma& target, const Vma& source, const Call& call) {
    constexpr u32 access_flags = VmFlag::read | VmFlag::write;
    const u32 differ = target.flags ^ source.flags;
    const bool special = is_hugetlb(state, target) || is_hugetlb(state, source);
    const bool refused = target.shared() || source.shared() ||               // MV-7
                         !within(target, call.address, call.length) ||       //
                         !within(source, call.source, call.length) ||        //
                         (differ & (access_flags | VmFlag::locked)) != 0 ||  // MV-8
                         target.prot_write != source.prot_write ||           //
                         !source.has(VmFlag::write) || special ||            // MV-9
                         target.context != call.fd ||                        // MV-10
                         !target.anonymous() || !source.anonymous();
    return refused ? EINVAL : 0;
}

/// MV-16, MV-19: soft-dirty, so that a tracker notices; dirty as before; never protected (MV-22).
/// move_present_ptes(), move_swap_pte().
Entry arrived(const Machine& machine, const Move& move, const Entry& source) {
    Entry entry = mk_pte(source.target, move.target_vma);
    entry.dirty = source.dirty;
    entry.soft_dirty = true;
    return adds_write(machine.rules, WriteSite::move) ? maybe_mkwrite(entry, move.target_vma)
                                                      : entry;
}

/// move_pages_ptes(), folio_test_large() and PageAnonExclusive().
bool movable_page(const State& state, PageId id) {
    const Page& page = state.pages[id];
    return page.use == PageUse::anonymous && page.anon_exclusive && !page.ksm &&
           !folio_pinned(state, head_of(state, id));
}

/// The source is empty now and reads as zeroes: where empty means protected (S3), it must say so.
Entry vacated(const Machine& machine, const Move& move) {
    const NonePolicy policy = none_policy(machine, move.source_vma);
    const bool speaks = policy == NonePolicy::protected_ || policy == NonePolicy::protected_one;
    return make_marker(speaks ? Marker::written : u8{0});
}

/// The new owner first, so that the page is never without one.
/// move_present_ptes(), move_zeropage_pte(), move_swap_pte().
void move_entry(Machine& machine, const Move& move, Vpn target, Vpn source, const Entry& entry) {
    set_pte(machine, move.space, target, entry);
    set_pte(machine, move.space, source, vacated(machine, move));
}

/// move_present_ptes(), move_zeropage_pte(): MV-13, MV-16, MV-18, MV-20.
Moved move_present(Machine& machine, const Move& move, Vpn target, Vpn source) {
    State& state = machine.state;
    const Entry entry = *pte_of(state, move.space, source);
    if (entry.zero) {
        move_entry(machine, move, target, source, mk_zero(move.target_vma));
        return {1};
    }
    const PageId head = head_of(state, entry.target);
    if (!movable_page(state, entry.target)) {
        return {0, EBUSY};
    }
    if (state.pages[head].locked) {
        return {0, 0, true};  // MV-15
    }
    if (state.pages[head].head) {
        split_folio(machine, head);
    }
    move_entry(machine, move, target, source, arrived(machine, move, entry));
    return {1};
}

/// move_swap_pte(): MV-13, MV-17.
Moved move_swap(Machine& machine, const Move& move, Vpn target, Vpn source) {
    Entry entry = *pte_of(machine.state, move.space, source);
    if (!entry.exclusive) {
        return {0, EBUSY};
    }
    entry.soft_dirty = true;
    entry.uffd_wp = entry.uffd_wp && !machine.rules.moved_swap_loses_u;
    move_entry(machine, move, target, source, entry);
    return {1};
}

/// move_pages_ptes(), one page: MV-11, MV-12, MV-14 and what the source holds.
Moved move_one(Machine& machine, const Move& move, Vpn target, Vpn source) {
    State& state = machine.state;
    if (!entry_at(state, move.space, target).none()) {
        return {0, EEXIST};
    }
    switch (entry_at(state, move.space, source).kind) {
        case EntryKind::none: return move.allow_holes ? Moved{1} : Moved{0, ENOENT};
        case EntryKind::present: return move_present(machine, move, target, source);
        case EntryKind::swap: return move_swap(machine, move, target, source);
        case EntryKind::migration: return {0, 0, true};  // MV-21
        case EntryKind::marker:
        case EntryKind::hwpoison: return {0, EFAULT};
    }
    return {};
}

/// move_pages_huge_pmd(): MV-19.
Moved move_huge(Machine& machine, const Move& move, Vpn target, Vpn source) {
    State& state = machine.state;
    const u32 size = state.shape.huge_pages;
    const Entry entry = pmd_of(state, move.space, source).leaf;
    if (!entry.zero && !movable_page(state, entry.target)) {
        return {0, EBUSY};
    }
    if (!entry.zero && state.pages[entry.target].locked) {
        return {0, 0, true};
    }
    set_leaf(machine, move.space, target,
             entry.zero ? mk_zero(move.target_vma) : arrived(machine, move, entry));
    set_leaf(machine, move.space, source, Entry{});
    const Entry behind = vacated(machine, move);
    for (u32 i = 0; !behind.none() && i < size; ++i) {
        set_pte(machine, move.space, source + i, behind);
    }
    return {size};
}

/// One turn of the loop in move_pages(): `left` pages are still to go.
Moved move_next(Machine& machine, const Move& move, Vpn target, Vpn source, u32 left) {
    State& state = machine.state;
    if (pmd_of(state, move.space, target).kind == PmdKind::leaf) {
        return {0, EEXIST};
    }
    const Pmd& from = pmd_of(state, move.space, source);
    if (from.kind == PmdKind::leaf) {
        if (from.leaf.kind == EntryKind::migration) {
            return {0, 0, true};
        }
        const u32 size = state.shape.huge_pages;
        const bool whole = source % size == 0 && target % size == 0 && left >= size &&
                           pmd_of(state, move.space, target).kind == PmdKind::none;
        if (whole) {
            return move_huge(machine, move, target, source);
        }
        split_huge_pmd(machine, move.space, move.source_vma, state.pmd_start(source));  // MV-20
    }
    return move_one(machine, move, target, source);
}

/// MV-1 to MV-6: 0 or an errno. userfaultfd_move(), validate_move_areas().
int call_error(const State& state, const Call& call) {
    const Context& context = state.contexts[call.fd];
    if (context.mmap_changing != 0) {
        return EAGAIN;
    }
    if (context.space != state.threads[call.thread].space) {  // MV-3
        return EINVAL;
    }
    if (validate_range(state, call.address, call.length) != 0 ||  // MV-4
        validate_range(state, call.source, call.length) != 0 ||
        (call.flags & ~(mode_dont_wake | mode_allow_src_holes)) != 0) {
        return EINVAL;
    }
    return state.spaces[context.space].alive ? 0 : ESRCH;
}

}  // namespace

/// A call that meets a page on its way elsewhere waits for it: here it is no step yet, and whatever
/// was done before that page is done again when it is. userfaultfd_move(), move_pages() (6.8).
Outcome uffd_move(Machine& machine, const Call& call) {
    State& state = machine.state;
    if (const int error = call_error(state, call); error != 0) {
        return error == EAGAIN ? partly_done(0, call.length, error) : Outcome::fail(error);
    }
    const u8 space = state.contexts[call.fd].space;
    const Vpn target = static_cast<Vpn>(to_pages(call.address));
    const Vpn source = static_cast<Vpn>(to_pages(call.source));
    const Vma* const target_vma = state.find_vma(space, target);
    const Vma* const source_vma = state.find_vma(space, source);
    if (target_vma == nullptr || source_vma == nullptr) {  // MV-6
        return partly_done(0, call.length, ENOENT);
    }
    if (const int error = area_error(state, *target_vma, *source_vma, call); error != 0) {
        return partly_done(0, call.length, error);
    }
    const Move move{space, *target_vma, *source_vma, (call.flags & mode_allow_src_holes) != 0};
    const State before = state;
    const u32 pages = static_cast<u32>(to_pages(call.length));
    u32 done = 0;
    int error = 0;
    while (done < pages && error == 0) {
        const Moved moved = move_next(machine, move, target + done, source + done, pages - done);
        if (moved.waits) {
            state = before;
            return {Verdict::disabled, 0, 0, 0};
        }
        done += moved.pages;
        error = moved.error;
    }
    if (done != 0 && (call.flags & mode_dont_wake) == 0) {  // MV-23
        wake_range(machine, call.fd, call.address, call.address + to_bytes(done));
    }
    return partly_done(to_bytes(done), call.length, error);
}

}  // namespace verso::mm
