// Same-page merging, section 8.7; mm/ksm.c. Two pages with the same bytes become one that nobody
// may write: the next store makes a copy again (FA-13). Merging changes no contents, so whether
// anybody is to hear of a store must come out as it went in: the bits u and sd survive (E-KS1,
// E-KS2, E-KS4).
//
//   P(a)  P(b), same bytes  ──merge──▶  P(a, w=0, ksm)  P(a, w=0)      b is free
//   unmerge: each has a copy of its own again
//
// As of 6.18; no release before it is known to differ.
#include <cerrno>

#include "mm/folio.h"

namespace verso::mm {
namespace {

Outcome not_now() { return {Verdict::disabled, 0, 0, 0}; }

/// The entry of a page that the scanner may take, after making it a small one; nothing if it may
/// not. try_to_merge_one_page(), write_protect_page().
const Entry* mergeable_entry(Machine& machine, u8 space, u64 address) {
    State& state = machine.state;
    const u64 at = to_pages(address);
    if (at >= state.shape.space_pages || !state.spaces[space].alive) {
        return nullptr;
    }
    const Vma* const vma = state.find_vma(space, static_cast<Vpn>(at));
    // vma_ksm_compatible()
    if (vma == nullptr || !vma->has(VmFlag::mergeable) || vma->shared() ||
        vma->has(VmFlag::droppable) || is_hugetlb(state, *vma)) {
        return nullptr;
    }
    const Entry entry = entry_at(state, space, static_cast<Vpn>(at));
    if (!entry.maps_page()) {
        return nullptr;
    }
    const Page& page = state.pages[entry.target];
    const PageId head = head_of(state, entry.target);
    if (page.use != PageUse::anonymous || page.hwpoison || folio_pinned(state, head) ||
        state.pages[head].locked || state.pages[head].writeback) {
        return nullptr;
    }
    if (pmd_of(state, space, static_cast<Vpn>(at)).kind == PmdKind::leaf || page.head ||
        page.tail) {
        split_folio(machine, head);
    }
    const Entry* const small = pte_of(state, space, static_cast<Vpn>(at));
    return small != nullptr && small->maps_page() ? small : nullptr;
}

/// write_protect_page(): from here on no store gets through to the page unseen. Dirty goes from the
/// entry to the page.
void write_protect_page(Machine& machine, u8 space, Vpn at) {
    Entry entry = entry_at(machine.state, space, at);
    Page& page = machine.state.pages[entry.target];
    page.anon_exclusive = false;
    page.dirty = page.dirty || entry.dirty;
    page.lazyfree = false;
    entry = pte_wrprotect(entry);
    entry.dirty = false;
    set_pte(machine, space, at, entry);
}

/// replace_page().
void put_page_there(Machine& machine, u8 space, Vpn at, PageId with, bool keeps_u) {
    Entry entry = entry_at(machine.state, space, at);
    entry.target = with;
    entry.uffd_wp = entry.uffd_wp && keeps_u;
    set_pte(machine, space, at, entry);
}

/// replace_page(): the rest of the entry stays (E-KS1, E-KS2); on 6.18 protection does not.
void replace_page(Machine& machine, u8 space, Vpn at, PageId with) {
    put_page_there(machine, space, at, with, machine.rules.merge_keeps_u);
}

/// E-KS3. replace_page() with use_zero_pages (6.6 counts them).
void replace_by_zero(Machine& machine, u8 space, Vpn at) {
    const Entry entry = entry_at(machine.state, space, at);
    Entry zero = mk_zero(*machine.state.find_vma(space, at));
    zero.soft_dirty = entry.soft_dirty;
    zero.uffd_wp = entry.uffd_wp && machine.rules.merge_keeps_u;
    set_pte(machine, space, at, zero);
}

}  // namespace

/// Merges the page at `address` with the one at `source`. `extra` says in whose address space that
/// is: 0 in the caller's, n in that of thread n − 1. flags bit 0: use_zero_pages, then a page of
/// zeroes needs no partner. A scanner that leaves pages unmerged is a step that is not taken.
/// try_to_merge_two_pages(), try_to_merge_one_page().
Outcome ksm_merge(Machine& machine, const Call& call) {
    State& state = machine.state;
    const u8 space = state.threads[call.thread].space;
    const Entry* one = mergeable_entry(machine, space, call.address);
    if (one == nullptr) {
        return not_now();
    }
    const Vpn at = static_cast<Vpn>(to_pages(call.address));
    if ((call.flags & 1) != 0 && state.pages[one->target].contents == zeroes) {
        replace_by_zero(machine, space, at);
        return Outcome::ok(1);
    }
    if (call.extra > state.threads.size()) {
        return not_now();
    }
    const u8 other = call.extra == 0 ? space : state.threads[call.extra - 1].space;
    const Entry* const two =
        other == nobody ? nullptr : mergeable_entry(machine, other, call.source);
    one = mergeable_entry(machine, space, call.address);
    if (two == nullptr || one == nullptr || one->target == two->target ||
        state.pages[one->target].contents != state.pages[two->target].contents) {
        return not_now();
    }
    const PageId kept = one->target;
    const Vpn second = static_cast<Vpn>(to_pages(call.source));
    write_protect_page(machine, space, at);
    state.pages[kept].ksm = true;
    write_protect_page(machine, other, second);
    state.pages[kept].dirty = true;  // a copy on swap, if any, is of one of the two only
    replace_page(machine, other, second, kept);
    return Outcome::ok(1);
}

/// E-KS7, break_ksm(): a fault that only un-shares, so sd and u stay (FA-18).
Outcome ksm_unmerge(Machine& machine, u8 space, u64 address) {
    State& state = machine.state;
    const u64 page = to_pages(address);
    if (page >= state.shape.space_pages) {
        return not_now();
    }
    const Vpn at = static_cast<Vpn>(page);
    const Entry entry = entry_at(state, space, at);
    if (!entry.maps_page() || !state.pages[entry.target].ksm || state.pages[entry.target].locked) {
        return not_now();
    }
    const PageId copy = alloc_page(machine, PageUse::anonymous, state.pages[entry.target].node);
    if (copy == no_page) {
        return Outcome::fail(ENOMEM);
    }
    state.pages[copy].contents = state.pages[entry.target].contents;
    state.pages[copy].dirty = true;
    state.pages[copy].anon_exclusive = true;
    put_page_there(machine, space, at, copy, true);
    return Outcome::ok();
}

}  // namespace verso::mm
