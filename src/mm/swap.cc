// Reclaim, swap-in, swapoff, and memory that is lost: section 8.3. mm/vmscan.c, mm/swapfile.c,
// mm/shmem.c, mm/memory-failure.c. Reclaim takes one page out of memory in one step:
//
//   anonymous    P ──▶ S(ex = ae, sd, u); the contents go to the slot; the page may stay in the
//   swap
//                      cache, where the next swap-in finds it (a choice)
//   lazyfree     P(d=0) ──▶ N: it was given up, and nothing was stored since (E-SW6)
//   page cache   P(u) ──▶ K(UFFD_WP) or N; shmem's contents go to a slot that the file keeps (K3),
//                      but what was only read, and so is zeroes, leaves a hole again
//
// As of 6.18. Before 6.12 a load never swapped in writable (swapin_w_on_load), before 5.13 swapoff
// did not find protected entries (swap_compare_ignores_u).
#include <algorithm>
#include <cerrno>
#include <optional>

#include "mm/folio.h"

namespace verso::mm {
namespace {

Outcome not_now() { return {Verdict::disabled, 0, 0, 0}; }

/// folio_alloc_swap().
u16 free_slot(const State& state) {
    for (u16 id = 0; id < state.slots.size(); ++id) {
        const Slot& slot = state.slots[id];
        if (slot.count == 0 && slot.cached == no_page && !slot.in_file_cache) {
            return id;
        }
    }
    return no_slot;
}

bool stored_to(const State& state, PageId page) {
    const Mappings mappings = rmap_walk(state, page);
    return state.pages[page].dirty || std::ranges::any_of(mappings, [&](const Mapping& one) {
               return mapping_entry(state, one).dirty;
           });
}

/// folio_free_swap().
void leave_swap_cache(Machine& machine, PageId page) {
    State& state = machine.state;
    const u16 slot = state.pages[page].slot;
    state.slots[slot].cached = no_page;
    state.pages[page].slot = no_slot;
    put_page(machine, page);
    swap_free(machine, slot);
}

/// try_to_unmap_one() for an anonymous page (E-SW1).
Entry swapped_out(const State& state, const Entry& entry, u16 slot) {
    Entry swapped = make_swap(slot);
    const Page& page = state.pages[entry.target];
    swapped.exclusive = page.anon_exclusive && !page.ksm;
    swapped.soft_dirty = entry.soft_dirty;
    swapped.uffd_wp = entry.uffd_wp;
    return swapped;
}

/// shrink_folio_list(), try_to_unmap_one().
void swap_out(Machine& machine, PageId id) {
    State& state = machine.state;
    const u16 slot = state.pages[id].slot != no_slot ? state.pages[id].slot : free_slot(state);
    state.slots[slot].contents = state.pages[id].contents;
    state.slots[slot].cached = id;
    state.pages[id].slot = slot;
    for (const Mapping& one : rmap_walk(state, id)) {
        set_mapping(machine, one, swapped_out(state, mapping_entry(state, one), slot));
    }
    state.pages[id].anon_exclusive = false;  // I3
    state.pages[id].dirty = false;
    if (machine.choice.choose(2) == 0) {
        leave_swap_cache(machine, id);
    }
}

/// E-SW6: as a zap. try_to_unmap_one(), folio_test_swapbacked().
void discard_lazyfree(Machine& machine, PageId id) {
    const State& state = machine.state;
    for (const Mapping& one : rmap_walk(state, id)) {
        set_mapping(
            machine, one,
            left_behind(machine, mapping_vma(state, one), mapping_entry(state, one), false));
    }
}

/// E-SW2, E-SW3. try_to_unmap_one(), pte_install_uffd_wp_if_needed().
void unmap_cache_page(Machine& machine, PageId id) {
    State& state = machine.state;
    for (const Mapping& one : rmap_walk(state, id)) {
        const Entry entry = mapping_entry(state, one);
        state.pages[id].dirty = state.pages[id].dirty || entry.dirty;
        set_mapping(machine, one, left_behind(machine, mapping_vma(state, one), entry, true));
    }
}

/// shmem_writeout(); __remove_mapping() for a file that is clean.
void evict_cache_page(Machine& machine, PageId id) {
    State& state = machine.state;
    unmap_cache_page(machine, id);
    const Page page = state.pages[id];
    remove_from_cache(machine, page.file, page.index);
    File& file = state.files[page.file];
    if (file.kind == FileKind::shmem && (page.dirty || page.contents != zeroes)) {
        const u16 slot = free_slot(state);
        state.slots[slot].contents = page.contents;
        state.slots[slot].in_file_cache = true;
        file.cache[page.index].slot = slot;
    } else if (page.dirty) {
        file.cache[page.index].disk = page.contents;
    }
}

/// E-SW10, E-SW12: unuse_pte().
void unuse_pte(Machine& machine, u8 space, Vpn at, const Vma& vma, PageId page) {
    State& state = machine.state;
    const Entry old = entry_at(state, space, at);
    if (page == no_page) {
        set_pte(machine, space, at, make_marker(Marker::poisoned));
        return;
    }
    Entry entry = mk_pte(page, vma);
    entry.soft_dirty = old.soft_dirty;
    if (old.uffd_wp) {
        entry = pte_mkuffd_wp(entry, machine.rules);
    }
    set_pte(machine, space, at, entry);
    state.pages[page].anon_exclusive = state.pages[page].anon_exclusive || old.exclusive;
}

/// Every entry of the slot. False: no memory. unuse_pte() (unuse_pte_range()).
bool unuse_entries(Machine& machine, u16 slot) {
    State& state = machine.state;
    PageId page = no_page;
    const bool lost = state.slots[slot].unreadable && state.slots[slot].cached == no_page;
    for (u8 space = 0; space < state.spaces.size(); ++space) {
        for (Vpn at = 0; at < state.spaces[space].entries.size(); ++at) {
            const Entry entry = entry_at(state, space, at);
            if (entry.kind != EntryKind::swap || entry.target != slot) {
                continue;
            }
            // E-SW14, FX-5: pte_same_as_swp() must not mind the bits that travel along.
            if (!machine.rules.swap_compare_ignores_u && entry.uffd_wp) {
                continue;
            }
            page = page == no_page && !lost ? swap_in(machine, slot) : page;
            if (page == no_page && !lost) {
                return false;
            }
            const Vma vma = *state.find_vma(space, at);
            unuse_pte(machine, space, at, vma, page);
        }
    }
    return true;
}

/// E-SW11: shmem_unuse(). The entries of mappings do not change.
bool unuse_files(Machine& machine) {
    State& state = machine.state;
    for (u8 file = 0; file < state.files.size(); ++file) {
        for (u32 index = 0; index < state.files[file].cache.size(); ++index) {
            if (state.files[file].cache[index].slot != no_slot &&
                cache_page(machine, file, index, false) == no_page) {
                return false;
            }
        }
    }
    return true;
}

/// memory_failure(): hardware lost the page. Everybody who maps it gets H, except that the bytes of
/// a clean file page can be read again from where they came.
Outcome memory_failure(Machine& machine, u8 space, Vpn at) {
    State& state = machine.state;
    const Entry entry = entry_at(state, space, at);
    if (!entry.maps_page()) {
        return not_now();
    }
    const PageId head = head_of(state, entry.target);
    const bool hugetlb = state.pages[head].hugetlb;
    if (!folio_isolated(state, head) || state.pages[head].use == PageUse::device) {
        return not_now();
    }
    if (folio_pages(state, head) > 1 && !hugetlb) {
        split_folio(machine, head);
        if (state.pages[entry.target].use == PageUse::free) {  // E-TH1: nobody has it any more
            return Outcome::ok();
        }
    }
    const PageId id = hugetlb ? head : entry.target;
    const bool on_disk = state.pages[id].file != nobody &&
                         state.files[state.pages[id].file].kind == FileKind::ordinary;
    if (on_disk && !stored_to(state, id)) {
        evict_cache_page(machine, id);
        return Outcome::ok();
    }
    state.pages[id].hwpoison = true;
    for (const Mapping& one : rmap_walk(state, id)) {
        Entry lost;
        lost.kind = EntryKind::hwpoison;
        lost.target = id;
        set_mapping(machine, one, lost);
        set_anon_exclusive(state, one, id, false);  // nobody reads or writes it again
    }
    return Outcome::ok();
}

}  // namespace

void swap_free(Machine& machine, u16 slot) {
    State& state = machine.state;
    if (state.slots[slot].count != 0 || state.slots[slot].in_file_cache) {
        return;
    }
    const PageId page = state.slots[slot].cached;
    state.slots[slot] = Slot{};
    if (page != no_page) {
        state.pages[page].slot = no_slot;
        put_page(machine, page);
    }
}

/// swapin_readahead(), read_swap_cache_async().
PageId swap_in(Machine& machine, u16 slot) {
    State& state = machine.state;
    if (state.slots[slot].cached != no_page) {
        return state.slots[slot].cached;
    }
    if (state.slots[slot].unreadable) {
        return no_page;
    }
    const PageId id = alloc_page(machine, PageUse::anonymous, 0);
    if (id != no_page) {
        state.pages[id].contents = state.slots[slot].contents;
        state.pages[id].slot = slot;
        state.slots[slot].cached = id;
    }
    return id;
}

/// shrink_folio_list(), reclaim_pages().
Outcome reclaim(Machine& machine, u8 space, u64 address) {
    State& state = machine.state;
    if (to_pages(address) >= state.shape.space_pages) {
        return not_now();
    }
    const Vpn at = static_cast<Vpn>(to_pages(address));
    const Entry entry = entry_at(state, space, at);
    if (entry.kind == EntryKind::swap) {  // the copy in the swap cache, if nobody maps it
        const PageId cached = state.slots[entry.target].cached;
        if (cached == no_page || state.pages[cached].maps != 0 || !folio_isolated(state, cached)) {
            return not_now();
        }
        leave_swap_cache(machine, cached);
        return Outcome::ok();
    }
    if (!entry.maps_page()) {  // E-SW8
        return not_now();
    }
    const PageId id = entry.target;
    const PageId head = head_of(state, id);
    if (state.pages[head].hugetlb || state.pages[id].use == PageUse::device ||  // E-SW13
        !folio_isolated(state, head)) {
        return not_now();
    }
    for (const Mapping& one : folio_mappings(state, head)) {
        if (mapping_vma(state, one).has(VmFlag::locked)) {
            return not_now();
        }
    }
    const bool anonymous = state.pages[id].use == PageUse::anonymous;
    const bool discard = anonymous && state.pages[id].lazyfree && !stored_to(state, id);
    const bool shmem = !anonymous && state.files[state.pages[id].file].kind == FileKind::shmem;
    const bool has_bytes = state.pages[id].contents != zeroes || stored_to(state, id);
    const bool needs_slot =
        anonymous ? !discard && state.pages[id].slot == no_slot : shmem && has_bytes;
    if (needs_slot && (!state.swap_on || free_slot(state) == no_slot)) {
        return not_now();
    }
    if (folio_pages(state, head) > 1) {
        split_folio(machine, head);
        if (state.pages[id].use == PageUse::free) {  // E-TH1: a part of zeroes needs no page
            return Outcome::ok();
        }
    }
    if (discard) {
        discard_lazyfree(machine, id);
    } else if (anonymous) {
        state.pages[id].lazyfree = false;  // E-SW7
        swap_out(machine, id);
    } else {
        evict_cache_page(machine, id);
    }
    return Outcome::ok();
}

/// try_to_unuse().
Outcome swapoff(Machine& machine) {
    State& state = machine.state;
    if (!state.swap_on) {
        return not_now();
    }
    for (u16 slot = 0; slot < state.slots.size(); ++slot) {
        if (state.slots[slot].count != 0 && !unuse_entries(machine, slot)) {
            return Outcome::fail(ENOMEM);
        }
    }
    if (!unuse_files(machine)) {
        return Outcome::fail(ENOMEM);
    }
    for (u16 slot = 0; slot < state.slots.size(); ++slot) {
        if (state.slots[slot].count != 0) {  // FX-5: it looks for them for ever
            return {Verdict::blocked, 0, 0, 0};
        }
        swap_free(machine, slot);
    }
    state.swap_on = false;
    return Outcome::ok();
}

/// memory_failure(), hwpoison_user_mappings().
Outcome memory_fails(Machine& machine, const Call& call) {
    State& state = machine.state;
    const u8 space = state.threads[call.thread].space;
    if (to_pages(call.address) >= state.shape.space_pages) {
        return not_now();
    }
    const Vpn at = static_cast<Vpn>(to_pages(call.address));
    if (call.op == Op::memory_failure) {
        return memory_failure(machine, space, at);
    }
    const Entry entry = entry_at(state, space, at);
    if (entry.kind != EntryKind::swap || state.slots[entry.target].cached != no_page ||
        state.slots[entry.target].unreadable) {
        return not_now();
    }
    state.slots[entry.target].unreadable = true;
    return Outcome::ok();
}

}  // namespace verso::mm
