// clear_refs 4, section 8.10; fs/proc/task_mmu.c. Every page becomes clean and read-only, so that
// the next store makes a fault that says so; the VMA no longer counts as new, and its default
// protection follows (VP5).
#include <algorithm>

#include "mm/folio.h"

namespace verso::mm {
namespace {

/// pte_is_pinned(): somebody may store to it without a fault, so it cannot be called clean.
bool maybe_pinned(const State& state, const Entry& entry, u32 pages) {
    for (u32 i = 0; entry.maps_page() && i < pages; ++i) {
        if (state.pages[entry.target + i].pins != 0) {
            return true;
        }
    }
    return false;
}

/// E-SD3, E-SD4; the userfaultfd bit is somebody else's.
Entry clear_soft_dirty(const State& state, Entry entry, u32 pages) {
    if (entry.present() && !maybe_pinned(state, entry, pages)) {
        entry = pte_wrprotect(entry);
        entry.soft_dirty = false;
    } else if (entry.kind == EntryKind::swap || entry.kind == EntryKind::migration) {
        entry.soft_dirty = false;
    }
    return entry;
}

void clear_range(Machine& machine, u8 space, const Vma& vma) {
    State& state = machine.state;
    const u32 size = state.shape.huge_pages;
    for (Vpn at = vma.start; at < vma.end;) {
        const Vpn first = state.pmd_start(at);
        const Vpn next = std::min(vma.end, first + size);
        const Pmd& pmd = pmd_of(state, space, first);
        if (pmd.kind == PmdKind::leaf) {
            set_leaf(machine, space, first, clear_soft_dirty(state, pmd.leaf, size));
        } else if (pmd.kind == PmdKind::table) {
            for (Vpn page = at; page < next; ++page) {
                const Entry entry = entry_at(state, space, page);
                set_pte(machine, space, page, clear_soft_dirty(state, entry, 1));
            }
        }
        at = next;
    }
}

}  // namespace

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
        if (!vma.has(VmFlag::pfnmap) && !is_hugetlb(state, vma)) {  // E-SD7
            clear_range(machine, space, vma);
        }
    }
    return Outcome::ok();
}

}  // namespace verso::mm
