// clear_refs 4, section 8.10; fs/proc/task_mmu.c. Every page becomes clean and read-only, so that
// the next store makes a fault that says so; the VMA no longer counts as new, and its default
// protection follows (VP5; since 3.18, FX-12). As of 6.18.
#include <algorithm>

#include "mm/folio.h"

namespace verso::mm {
namespace {

/// pte_is_pinned(): somebody may store to a writable private page without a fault, so it cannot be
/// called clean. Nobody asks this of shared memory, nor of a huge page (clear_soft_dirty_pmd()).
bool maybe_pinned(const State& state, const Vma& vma, const Entry& entry) {
    const bool cow = !vma.shared() && vma.has(VmFlag::may_write);
    return cow && entry.write && entry.maps_page() && state.pages[entry.target].pins != 0;
}

/// E-SD3, E-SD4; the userfaultfd bit is somebody else's.
Entry clear_soft_dirty(Entry entry, bool pinned) {
    if (entry.present() && !pinned) {
        entry = pte_wrprotect(entry);
        entry.soft_dirty = false;
    } else if (entry.kind == EntryKind::swap || entry.kind == EntryKind::migration) {
        entry.soft_dirty = false;
    }
    return entry;
}

/// clear_refs_pte_range().
void clear_range(Machine& machine, u8 space, const Vma& vma) {
    State& state = machine.state;
    const u32 size = state.shape.huge_pages;
    for (Vpn at = vma.start; at < vma.end;) {
        const Vpn first = state.pmd_start(at);
        const Vpn next = std::min(vma.end, first + size);
        const Pmd& pmd = pmd_of(state, space, first);
        if (pmd.kind == PmdKind::leaf) {
            set_leaf(machine, space, first, clear_soft_dirty(pmd.leaf, false));
        } else if (pmd.kind == PmdKind::table) {
            for (Vpn page = at; page < next; ++page) {
                const Entry entry = entry_at(state, space, page);
                const bool pinned = maybe_pinned(state, vma, entry);
                set_pte(machine, space, page, clear_soft_dirty(entry, pinned));
            }
        }
        at = next;
    }
}

}  // namespace

/// clear_refs_write().
Outcome clear_refs(Machine& machine, u8 space) {
    State& state = machine.state;
    if (!machine.rules.softdirty_configured) {
        return Outcome::ok();  // accepted, and means nothing
    }
    for (Vma& vma : state.spaces[space].vmas) {  // E-SD2
        vma.flags &= ~VmFlag::soft_dirty;
        vma_set_page_prot(machine, vma);
    }
    const Vmas vmas = state.spaces[space].vmas;
    for (const Vma& vma : vmas) {
        if (!is_hugetlb(state, vma)) {  // E-SD7
            clear_range(machine, space, vma);
        }
    }
    return Outcome::ok();
}

}  // namespace verso::mm
