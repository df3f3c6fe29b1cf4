// Faults on anonymous pages, section 6.2: first touch, swap-in, and the copy on write that private
// mappings of every kind end in. mm/memory.c.
//
// As of 6.18. A load may swap in writable since 6.12 (swapin_w_on_load).
#include "mm/fault.h"
#include "mm/folio.h"

namespace verso::mm {
namespace {

/// FA-12: the page is ours alone already.
Fault wp_page_reuse(Machine& machine, const VmFault& vmf, Entry entry) {
    entry.young = true;
    set_pte(machine, vmf.space, vmf.at, maybe_mkwrite(pte_mkdirty(entry), vmf.vma));
    return Fault::done;
}

/// FA-13, FA-14, FC-13, E-KS5; FA-18 when only un-sharing: then nothing is written, so the copy is
/// as soft-dirty and as protected as the original was.
Fault wp_page_copy(Machine& machine, const VmFault& vmf, const Entry& entry) {
    const PageId copy = alloc_page(machine, PageUse::anonymous, vmf.node);
    if (copy == no_page) {
        return Fault::no_memory;
    }
    Page& page = machine.state.pages[copy];
    page.contents = entry.zero ? zeroes : machine.state.pages[entry.target].contents;
    page.anon_exclusive = true;
    Entry fresh = mk_pte(copy, vmf.vma);
    fresh.young = true;
    if (vmf.unshare()) {
        fresh.soft_dirty = entry.soft_dirty;
        if (entry.uffd_wp) {
            fresh = pte_mkuffd_wp(fresh, machine.rules);
        }
    } else {
        fresh = maybe_mkwrite(pte_mkdirty(fresh), vmf.vma);
    }
    set_pte(machine, vmf.space, vmf.at, fresh);
    return Fault::done;
}

/// What the end of a swap-in may add to the entry (FA-9, VP13). do_swap_page().
bool swapin_may_write(const Machine& machine, const VmFault& vmf, const Entry& entry) {
    const bool tracked = soft_dirty_enabled(vmf.vma, machine.rules) && !entry.soft_dirty;
    if (!vmf.vma.has(VmFlag::write) || (vmf.vma.has(VmFlag::uffd_wp) && entry.uffd_wp)) {
        return false;
    }
    // Before 6.12 only a store, which marks the entry anyway.
    return machine.rules.swapin_w_on_load ? !tracked : vmf.write();
}

}  // namespace

/// wp_can_reuse_anon_folio().
bool can_reuse_anon(Machine& machine, PageId page, bool pmd) {
    State& state = machine.state;
    const PageId head = pmd ? head_of(state, page) : page;
    if (state.pages[head].ksm ||
        (pmd ? folio_mappings(state, head) : rmap_walk(state, page)).size() != 1) {
        return false;
    }
    const u16 slot = state.pages[page].slot;
    if (slot != no_slot) {
        if (state.slots[slot].count != 0) {
            return false;
        }
        state.slots[slot].cached = no_page;  // folio_free_swap()
        state.pages[page].slot = no_slot;
        swap_free(machine, slot);
    }
    return true;
}

Fault do_anonymous_page(Machine& machine, const VmFault& vmf, const Entry& orig) {
    if (vmf.vma.has(VmFlag::uffd_missing)) {  // FA-1, FA-4
        return missing_message(machine, vmf);
    }
    const bool armed = orig_pte_uffd_wp(machine, vmf.vma, orig);
    Entry entry;
    if (!vmf.write()) {  // FA-2, FA-5
        entry = mk_zero(vmf.vma);
    } else {
        const PageId page = alloc_page(machine, PageUse::anonymous, vmf.node);
        if (page == no_page) {
            return Fault::no_memory;
        }
        machine.state.pages[page].anon_exclusive = true;
        entry = pte_mkdirty(mk_pte(page, vmf.vma));
        if (!armed && adds_write(machine.rules, WriteSite::first_write)) {  // VP12
            entry = maybe_mkwrite(entry, vmf.vma);
        }
    }
    if (armed) {
        entry = mkuffd_wp_at(machine, entry, WpSite::refault);
    }
    set_pte(machine, vmf.space, vmf.at, entry);
    return Fault::done;
}

Fault do_swap_page(Machine& machine, const VmFault& vmf, const Entry& orig) {
    State& state = machine.state;
    const u16 slot = orig.target;
    if (state.slots[slot].unreadable && state.slots[slot].cached == no_page) {
        return Fault::sigbus;  // E-SW12
    }
    const PageId page = swap_in(machine, slot);
    if (page == no_page) {
        return Fault::no_memory;
    }
    if (state.pages[page].hwpoison) {
        return Fault::sigbus;
    }
    if (state.pages[head_of(state, page)].locked) {
        return Fault::migration;
    }
    Entry entry = mk_pte(page, vmf.vma);
    entry.soft_dirty = orig.soft_dirty;
    if (orig.uffd_wp) {
        entry = mkuffd_wp_at(machine, entry, WpSite::refault);
    }
    const bool only_user = state.slots[slot].count == 1 && state.pages[page].maps == 0;
    const bool exclusive = !state.pages[page].ksm && (orig.exclusive || only_user);
    if (exclusive && adds_write(machine.rules, WriteSite::swap_in) &&
        swapin_may_write(machine, vmf, entry)) {
        entry = pte_mkwrite(entry);
        if (vmf.write()) {
            entry = pte_mkdirty(entry);
        }
    }
    set_pte(machine, vmf.space, vmf.at, entry);
    if (exclusive) {
        state.pages[page].anon_exclusive = true;
    }
    // The store goes on in the same fault: FA-10, FA-12 or FA-13.
    return vmf.write() && !entry.write ? do_wp_page(machine, vmf, entry) : Fault::done;
}

Fault do_wp_page(Machine& machine, const VmFault& vmf, Entry entry) {
    State& state = machine.state;
    if (!vmf.unshare() && userfaultfd_pte_wp(machine, vmf.vma, entry)) {
        if (!is_async(state, vmf.vma)) {
            return wp_message(machine, vmf);  // FA-10, FC-10
        }
        entry = pte_clear_uffd_wp(entry);  // FA-11, FC-11, AS-1
        set_pte(machine, vmf.space, vmf.at, entry);
    }
    if (vmf.vma.shared()) {
        if (vmf.unshare()) {
            return Fault::done;
        }
        do_page_mkwrite(state, entry.target);  // FC-12
        return wp_page_reuse(machine, vmf, entry);
    }
    if (entry.maps_page() && state.pages[entry.target].use == PageUse::anonymous) {
        Page& page = state.pages[entry.target];
        if (page.anon_exclusive || can_reuse_anon(machine, entry.target, false)) {
            page.anon_exclusive = true;
            return vmf.unshare() ? Fault::done : wp_page_reuse(machine, vmf, entry);
        }
    }
    return wp_page_copy(machine, vmf, entry);
}

}  // namespace verso::mm
