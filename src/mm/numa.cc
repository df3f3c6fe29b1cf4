// NUMA hints: section 8.5. The scan takes access away from a page (not from the VMA), so that the
// next access tells on which node it is used. The walk is change_protection() with
// MM_CP_PROT_NUMA; the end of the hint is do_numa_page() in fault.cc. As of 6.18; what 6.2 changed
// (vm_page_prot of a protected VMA, FX-1b) is at that end.
#include <algorithm>

#include "mm/model.h"

namespace verso::mm {
namespace {

Outcome not_now() { return {Verdict::disabled, 0, 0, 0}; }

/// E-NU5: the only thread of a process learns nothing about memory that lies on its own node.
/// change_pte_range() of a prot_numa change, its target_node.
bool on_own_node(const State& state, u8 space, const Vma& vma, const Page& page) {
    if (vma.shared()) {
        return false;
    }
    const auto here = [&](const Thread& one) { return one.alive && one.space == space; };
    if (std::ranges::count_if(state.threads, here) != 1) {
        return false;
    }
    return std::ranges::find_if(state.threads, here)->node == page.node;
}

}  // namespace

// E-NU1: the userfaultfd bit and all that the entry knows stay; what goes is access, write
// included. task_numa_work(), change_prot_numa().
Outcome numa_scan(Machine& machine, u8 space, u64 address) {
    State& state = machine.state;
    if (to_pages(address) >= state.shape.space_pages) {
        return not_now();
    }
    const Vpn at = static_cast<Vpn>(to_pages(address));
    const Vma* const vma = state.find_vma(space, at);
    if (vma == nullptr || is_hugetlb(state, *vma) || !vma->prot_access) {
        return not_now();
    }
    const Entry before = entry_at(state, space, at);
    if (!before.maps_page() || on_own_node(state, space, *vma, state.pages[before.target])) {
        return not_now();
    }
    const bool huge = pmd_of(state, space, at).kind == PmdKind::leaf;
    const Vpn start = huge ? state.pmd_start(at) : at;
    const Vpn end = huge ? start + state.shape.huge_pages : at + 1;
    const Vma copy = *vma;
    change_protection(machine, space, copy, start, end, ChangeFlags::prot_numa);  // E-NU2
    return entry_at(state, space, at) == before ? not_now() : Outcome::ok();
}

}  // namespace verso::mm
