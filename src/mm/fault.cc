// handle_mm_fault(): section 6.1 of the specification, mm/memory.c. One turn looks at what the
// address holds and makes one thing of it; the access is then made again and may come back for the
// next turn.
//
//   empty    do_pte_missing ──▶ do_anonymous_page (fault_anon.cc), do_fault (fault_file.cc)
//   marker   handle_pte_marker ──▶ the same, if the marker is about protection
//   swapped  do_swap_page (fault_anon.cc)
//   present  do_numa_page, do_wp_page; a huge page: fault_huge.cc
//
// Anybody who protects gets to hear of a store before anything is copied: do_wp_page() asks for the
// userfaultfd bit first (FO-5).
//
// As of 6.18. The end of a NUMA hint asks vm_page_prot and O9 as it does since 6.2 (FX-1b).
#include "mm/fault.h"

#include "mm/folio.h"

namespace verso::mm {
namespace {

/// FO-1, access_error() and check_vma_flags(): permissions come before everything else.
bool vma_permits(const Vma& vma, const Access& access) {
    if (is_write_access(access)) {
        // FOLL_FORCE may write where the process may not, into a copy of its own only.
        const bool cow_mapping = !vma.shared() && vma.has(VmFlag::may_write);
        return vma.has(VmFlag::write) || (access.forced && cow_mapping);
    }
    return access.forced || vma.has(VmFlag::read | VmFlag::write);
}

Fault do_pte_missing(Machine& machine, const VmFault& vmf, const Entry& orig) {
    return vmf.vma.anonymous() ? do_anonymous_page(machine, vmf, orig)
                               : do_fault(machine, vmf, orig);
}

Fault handle_pte_marker(Machine& machine, const VmFault& vmf, const Entry& entry) {
    if (entry.is_marker(Marker::poisoned)) {  // FA-7
        return Fault::sigbus;
    }
    if (entry.is_marker(Marker::guard)) {  // FA-8, E-GR5
        return Fault::sigsegv;
    }
    if (!vmf.vma.has(VmFlag::uffd_wp)) {  // FA-6, FC-15: left over, pte_marker_clear()
        set_pte(machine, vmf.space, vmf.at, Entry{});
        return Fault::retry;
    }
    return do_pte_missing(machine, vmf, entry);
}

/// FA-16.
Fault do_numa_page(Machine& machine, const VmFault& vmf, const Entry& entry) {
    const bool misplaced = entry.maps_page() && machine.state.pages[entry.target].node != vmf.node;
    if (misplaced && machine.choice.coin() &&
        migrate_misplaced(machine, entry.target, vmf.node)) {  // E-NU3
        return Fault::done;
    }
    set_pte(machine, vmf.space, vmf.at, after_hint(machine, vmf.vma, entry));
    return Fault::done;
}

Fault handle_pte_fault(Machine& machine, const VmFault& vmf) {
    const Entry entry = entry_at(machine.state, vmf.space, vmf.at);
    switch (entry.kind) {
        case EntryKind::none: return do_pte_missing(machine, vmf, entry);
        case EntryKind::marker: return handle_pte_marker(machine, vmf, entry);
        case EntryKind::swap: return do_swap_page(machine, vmf, entry);
        case EntryKind::migration: return Fault::migration;  // FA-15
        case EntryKind::hwpoison: return Fault::sigbus;      // FA-17
        case EntryKind::present: break;
    }
    if (entry.protnone && vmf.vma.prot_access) {  // FO-4
        return do_numa_page(machine, vmf, entry);
    }
    if (vmf.unshare() || (vmf.write() && !entry.write)) {
        return do_wp_page(machine, vmf, entry);  // FO-5
    }
    Entry touched = entry;  // FO-6
    touched.young = true;
    set_pte(machine, vmf.space, vmf.at, vmf.write() ? pte_mkdirty(touched) : touched);
    return Fault::done;
}

}  // namespace

bool userfaultfd_pte_wp(const Machine& machine, const Vma& vma, const Entry& entry) {
    // FX-14: without the bit, every missing write permission of a registered VMA is taken for it.
    // Not so asynchronously, where the fault clears the bit and goes on: there is nothing to clear.
    const bool by_write = !machine.rules.u_bit_exists && !is_async(machine.state, vma);
    return vma.has(VmFlag::uffd_wp) && (entry.uffd_wp || by_write);
}

/// vmf_orig_pte_uffd_wp().
bool orig_pte_uffd_wp(const Machine& machine, const Vma& vma, const Entry& entry) {
    if (!vma.has(VmFlag::uffd_wp)) {
        return false;
    }
    if (!entry.none()) {
        return entry.is_marker(Marker::uffd_wp);  // S3-07
    }
    switch (none_policy(machine, vma)) {
        case NonePolicy::unprotected:
        case NonePolicy::marker: return false;
        case NonePolicy::fault_path:                  // S4-03
        case NonePolicy::protected_:                  // S3-08
        case NonePolicy::protected_one: return true;  // S3-09
    }
    return false;
}

/// vmf_orig_pte_uffd_wp(), pte_mkuffd_wp(): what was protected while empty is so when it is full.
Entry mkuffd_wp_at(const Machine& machine, Entry entry, u8 site) {
    entry = pte_mkuffd_wp(entry, machine.rules);
    return (machine.rules.wp_site_removal & site) != 0 ? pte_wrprotect(entry) : entry;
}

/// do_numa_page(), do_huge_pmd_numa_page(): write access comes back where it was deferred (6.1).
Entry after_hint(const Machine& machine, const Vma& vma, const Entry& entry) {
    const Rules& rules = machine.rules;
    Entry restored = pte_modify(entry, vma);
    if (restored.uffd_wp && (rules.wp_site_removal & WpSite::numa_hint) != 0) {
        restored = pte_wrprotect(restored);
    }
    const bool asks = rules.numa_asks_o9 && !restored.write;
    const bool saved = !rules.numa_asks_o9 && entry.write;  // pte_savedwrite()
    const bool may =
        saved || (asks && can_change_pte_writable(machine.state, vma, restored, rules));
    if (may && adds_write(rules, WriteSite::numa_hint)) {
        restored = pte_mkwrite(restored);
    }
    restored.young = true;
    return restored;
}

/// handle_userfault(), VM_UFFD_MISSING.
Fault missing_message(Machine& machine, const VmFault& vmf) {
    const u8 flags = vmf.write() ? FaultFlag::write : u8{0};
    return handle_userfault(machine, vmf.thread, vmf.vma, vmf.access, flags);
}

/// handle_userfault(), VM_UFFD_WP; asynchronously wp_fault resolves itself (6.7).
Fault wp_message(Machine& machine, const VmFault& vmf) {
    return handle_userfault(machine, vmf.thread, vmf.vma, vmf.access,
                            FaultFlag::wp | FaultFlag::write);
}

Fault handle_mm_fault(Machine& machine, u8 thread, const Access& access) {
    State& state = machine.state;
    const Thread& self = state.threads[thread];
    const u64 page = to_pages(access.address);
    const Vma* const vma = page < state.shape.space_pages
                               ? state.find_vma(self.space, static_cast<Vpn>(page))
                               : nullptr;
    if (vma == nullptr || !vma_permits(*vma, access)) {
        return Fault::sigsegv;
    }
    const VmFault vmf{thread, self.space, self.node, static_cast<Vpn>(page), access, *vma};
    if (is_hugetlb(state, *vma)) {
        return handle_hugetlb_fault(machine, thread, access, vmf.vma);
    }
    const PmdKind level = pmd_of(state, vmf.space, vmf.at).kind;
    if (level == PmdKind::leaf) {  // FO-2
        return handle_huge_fault(machine, thread, access, vmf.vma);
    }
    if (level == PmdKind::none) {
        if (const std::optional<Fault> huge = create_huge_pmd(machine, vmf)) {
            return *huge;
        }
    }
    return handle_pte_fault(machine, vmf);
}

}  // namespace verso::mm
