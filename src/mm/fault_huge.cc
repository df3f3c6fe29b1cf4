// Faults on huge pages: hugetlb (section 6.4, mm/hugetlb.c) and transparent ones (section 6.5,
// mm/huge_memory.c). One entry stands for the whole range; a store that concerns one page of a THP
// splits it, one that concerns a hugetlb page takes all of it.
//
// As of 6.18. hugetlb can be protected since 5.19 (has_wp_shmem).
#include "mm/fault.h"
#include "mm/folio.h"

namespace verso::mm {
namespace {

VmFault huge_fault(const State& state, u8 thread, const Access& access, const Vma& vma) {
    const Thread& self = state.threads[thread];
    return {thread, self.space, self.node, static_cast<Vpn>(to_pages(access.address)), access, vma};
}

Entry leaf_at(State& state, const VmFault& vmf) {
    const Pmd& pmd = pmd_of(state, vmf.space, vmf.at);
    return pmd.kind == PmdKind::leaf ? pmd.leaf : Entry{};
}

void put_leaf(Machine& machine, const VmFault& vmf, const Entry& entry) {
    set_leaf(machine, vmf.space, machine.state.pmd_start(vmf.at), entry);
}

/// A new anonymous huge page, of zeroes or of `from`'s contents; no_page: no memory.
/// __do_huge_pmd_anonymous_page().
PageId new_huge(Machine& machine, const VmFault& vmf, PageId from, bool hugetlb) {
    const PageId head = alloc_huge(machine, PageUse::anonymous, vmf.node, hugetlb);
    if (head != no_page) {
        for (u32 i = 0; i < machine.state.shape.huge_pages; ++i) {
            Page& page = machine.state.pages[head + i];
            page.contents = from == no_page ? zeroes : machine.state.pages[from + i].contents;
            page.anon_exclusive = true;
        }
    }
    return head;
}

/// FH-9: reuse or copy, for a private mapping.
Fault hugetlb_wp(Machine& machine, const VmFault& vmf, Entry entry) {
    State& state = machine.state;
    Page& page = state.pages[entry.target];
    const Mapping here{vmf.space, state.pmd_start(vmf.at), true};
    if (page.use == PageUse::anonymous &&
        (page.anon_exclusive || can_reuse_anon(machine, entry.target, true))) {
        set_anon_exclusive(state, here, entry.target, true);
        if (vmf.unshare()) {
            return Fault::done;
        }
    } else {
        const PageId copy = new_huge(machine, vmf, entry.target, true);
        if (copy == no_page) {
            return Fault::sigbus;  // the pool of huge pages is empty
        }
        const bool armed = entry.uffd_wp;
        entry = mk_pte(copy, vmf.vma);
        if (vmf.unshare() && armed) {  // FA-18
            entry = pte_mkuffd_wp(entry, machine.rules);
        }
    }
    entry.young = true;
    put_leaf(machine, vmf, vmf.unshare() ? entry : maybe_mkwrite(pte_mkdirty(entry), vmf.vma));
    return Fault::done;
}

/// The page that an empty hugetlb entry gets; or a message, or SIGBUS.
struct Found {
    PageId head;
    Fault instead;
};
/// hugetlb_no_page().
Found hugetlb_find(Machine& machine, const VmFault& vmf) {
    State& state = machine.state;
    const File& file = state.files[vmf.vma.file];
    const u32 index = vmf.vma.index(state.pmd_start(vmf.at));
    if (index >= file.size) {
        return {no_page, Fault::sigbus};
    }
    PageId head = file.cache[index].page;
    if (head != no_page && vmf.vma.has(VmFlag::uffd_minor)) {  // FH-2
        const u8 write = vmf.write() ? FaultFlag::write : u8{0};
        return {no_page, handle_userfault(machine, vmf.thread, vmf.vma, vmf.access,
                                          FaultFlag::minor | write)};
    }
    if (head == no_page && vmf.vma.has(VmFlag::uffd_missing)) {  // FH-1
        return {no_page, missing_message(machine, vmf)};
    }
    if (head == no_page) {  // FH-3, FH-4
        head = vmf.vma.shared() ? cache_page(machine, vmf.vma.file, index, true)
                                : new_huge(machine, vmf, no_page, true);
    }
    if (head == no_page || state.pages[head].hwpoison) {
        return {no_page, Fault::sigbus};  // the pool of huge pages is empty
    }
    if (state.pages[head].locked) {
        return {no_page, Fault::migration};
    }
    return {head, Fault::done};
}

Fault hugetlb_no_page(Machine& machine, const VmFault& vmf, const Entry& orig) {
    State& state = machine.state;
    const Found found = hugetlb_find(machine, vmf);
    if (found.head == no_page) {
        return found.instead;
    }
    // Of a marker that is left over (I4), too: hugetlb_no_page() does not ask whose it is.
    const bool armed = orig.is_marker(Marker::uffd_wp) || orig_pte_uffd_wp(machine, vmf.vma, orig);
    Entry entry = mk_pte(found.head, vmf.vma);
    if (vmf.vma.shared() && !armed &&
        adds_write(machine.rules, WriteSite::file_fault)) {  // FH-3: hugetlb has nobody to notify
        entry = maybe_mkwrite(vmf.write() ? pte_mkdirty(entry) : entry, vmf.vma);
    }
    if (armed) {  // FH-6
        entry = mkuffd_wp_at(machine, entry, WpSite::refault);
    }
    put_leaf(machine, vmf, entry);
    if (vmf.write() && !vmf.vma.shared() && !armed) {  // FH-4, FH-5
        return hugetlb_wp(machine, vmf, leaf_at(state, vmf));
    }
    return Fault::done;
}

/// A store to a transparent huge page of an anonymous VMA.
Fault do_huge_pmd_wp_page(Machine& machine, const VmFault& vmf, Entry entry) {
    State& state = machine.state;
    const Vpn start = state.pmd_start(vmf.at);
    if (entry.zero) {  // FT-7, do_huge_zero_wp_pmd() (6.13)
        const PageId head = new_huge(machine, vmf, no_page, false);
        if (head == no_page) {
            split_huge_pmd(machine, vmf.space, vmf.vma, start);
            return Fault::retry;
        }
        entry = mk_pte(head, vmf.vma);
    } else {  // FT-1
        const bool alone =
            state.pages[entry.target].anon_exclusive || can_reuse_anon(machine, entry.target, true);
        if (!alone) {
            split_huge_pmd(machine, vmf.space, vmf.vma, start);
            return Fault::retry;
        }
        set_anon_exclusive(state, {vmf.space, start, true}, entry.target, true);
        if (vmf.unshare()) {
            return Fault::done;
        }
    }
    entry.young = true;
    put_leaf(machine, vmf, maybe_mkwrite(pte_mkdirty(entry), vmf.vma));
    return Fault::done;
}

/// What 6.18 makes of a store to a file's huge page that it may not write: the leaf goes, and the
/// fault begins anew with nothing in the page table. finish_fault() then maps all of it, writable,
/// unless somebody registered for minor faults.
Fault fault_anew(Machine& machine, const VmFault& vmf, const Entry& leaf) {
    State& state = machine.state;
    const Vpn start = state.pmd_start(vmf.at);
    split_huge_pmd(machine, vmf.space, vmf.vma, start);
    if (pmd_of(state, vmf.space, start).kind != PmdKind::none || !vmf.vma.shared() ||
        vmf.vma.has(VmFlag::uffd_minor | VmFlag::nohugepage)) {
        return Fault::retry;
    }
    do_page_mkwrite(state, static_cast<PageId>(leaf.target + (vmf.at - start)));
    Entry entry = pte_mkdirty(mk_pte(leaf.target, vmf.vma));
    entry.young = true;
    put_leaf(machine, vmf, maybe_mkwrite(entry, vmf.vma));
    return Fault::done;
}

Fault wp_huge_pmd(Machine& machine, const VmFault& vmf, Entry entry) {
    State& state = machine.state;
    const bool anonymous = entry.zero || state.pages[entry.target].use == PageUse::anonymous;
    if (!vmf.unshare() && userfaultfd_pte_wp(machine, vmf.vma, entry)) {
        if (!is_async(state, vmf.vma)) {
            return wp_message(machine, vmf);  // FT-2, FT-4
        }
        if (anonymous) {  // FT-3
            split_huge_pmd(machine, vmf.space, vmf.vma, state.pmd_start(vmf.at));
            return Fault::retry;
        }
        return fault_anew(machine, vmf, entry);  // FT-5
    }
    if (anonymous && !(entry.zero && vmf.unshare())) {
        return do_huge_pmd_wp_page(machine, vmf, entry);
    }
    if (anonymous || !vmf.vma.shared()) {  // a private copy is made of one page, not of all
        split_huge_pmd(machine, vmf.space, vmf.vma, state.pmd_start(vmf.at));
        return Fault::retry;
    }
    if (vmf.unshare()) {
        return Fault::done;
    }
    if (!machine.rules.huge_shmem_stays_mapped) {
        return fault_anew(machine, vmf, entry);
    }
    do_page_mkwrite(state, entry.target);  // FT-6
    entry.young = true;
    put_leaf(machine, vmf, maybe_mkwrite(pte_mkdirty(entry), vmf.vma));
    return Fault::done;
}

/// do_huge_pmd_numa_page()
Fault huge_numa_page(Machine& machine, const VmFault& vmf, const Entry& entry) {
    const bool misplaced = entry.maps_page() && machine.state.pages[entry.target].node != vmf.node;
    if (misplaced && machine.choice.coin() &&
        migrate_misplaced(machine, entry.target, vmf.node)) {  // E-NU3
        return Fault::done;
    }
    put_leaf(machine, vmf, after_hint(machine, vmf.vma, entry));
    return Fault::done;
}

}  // namespace

std::optional<Fault> create_huge_pmd(Machine& machine, const VmFault& vmf) {
    State& state = machine.state;
    const Vpn start = state.pmd_start(vmf.at);
    const bool wanted = state.thp_enabled || vmf.vma.has(VmFlag::hugepage);
    const bool fits = start >= vmf.vma.start && start + state.shape.huge_pages <= vmf.vma.end;
    if (!vmf.vma.anonymous() || !wanted || vmf.vma.has(VmFlag::nohugepage) || !fits) {
        return std::nullopt;
    }
    if (vmf.vma.has(VmFlag::uffd_missing)) {  // FA-1
        return missing_message(machine, vmf);
    }
    Entry entry = mk_zero(vmf.vma);
    if (vmf.write()) {
        const PageId head = new_huge(machine, vmf, no_page, false);
        if (head == no_page) {
            return std::nullopt;
        }
        entry = pte_mkdirty(mk_pte(head, vmf.vma));
    }
    if (orig_pte_uffd_wp(machine, vmf.vma, Entry{})) {
        entry = mkuffd_wp_at(machine, entry, WpSite::refault);
    } else if (vmf.write() && adds_write(machine.rules, WriteSite::first_write)) {
        entry = maybe_mkwrite(entry, vmf.vma);
    }
    put_leaf(machine, vmf, entry);
    return Fault::done;
}

/// __handle_mm_fault(), its half for a PMD.
Fault handle_huge_fault(Machine& machine, u8 thread, const Access& access, const Vma& vma) {
    const VmFault vmf = huge_fault(machine.state, thread, access, vma);
    Entry entry = leaf_at(machine.state, vmf);
    if (entry.kind == EntryKind::migration) {
        return Fault::migration;  // FT-8
    }
    VERSO_CHECK(entry.present(), "a transparent leaf that is neither present nor migrating");
    if (entry.protnone && vma.prot_access) {
        return huge_numa_page(machine, vmf, entry);
    }
    if (vmf.unshare() || (vmf.write() && !entry.write)) {
        return wp_huge_pmd(machine, vmf, entry);
    }
    entry.young = true;
    put_leaf(machine, vmf, vmf.write() ? pte_mkdirty(entry) : entry);
    return Fault::done;
}

/// hugetlb_fault().
Fault handle_hugetlb_fault(Machine& machine, u8 thread, const Access& access, const Vma& vma) {
    State& state = machine.state;
    const VmFault vmf = huge_fault(state, thread, access, vma);
    Entry entry = leaf_at(state, vmf);
    if (entry.kind == EntryKind::migration) {
        return Fault::migration;  // FH-10
    }
    if (entry.kind == EntryKind::hwpoison || entry.is_marker(Marker::poisoned)) {
        return Fault::sigbus;
    }
    if (!entry.present()) {
        return hugetlb_no_page(machine, vmf, entry);
    }
    entry.young = true;
    if (!vmf.unshare() && (!vmf.write() || entry.write)) {
        put_leaf(machine, vmf, vmf.write() ? pte_mkdirty(entry) : entry);
        return Fault::done;
    }
    if (!vmf.unshare() && userfaultfd_pte_wp(machine, vma, entry)) {
        if (!is_async(state, vma)) {
            return wp_message(machine, vmf);  // FH-7
        }
        entry = pte_clear_uffd_wp(entry);  // FH-8
        put_leaf(machine, vmf, entry);
    }
    if (!vmf.unshare() && entry.uffd_wp && !vma.has(VmFlag::uffd_wp)) {
        return Fault::for_ever;  // left over (I4): hugetlb_wp() leaves it to a userfaultfd
    }
    if (!vma.shared()) {
        return hugetlb_wp(machine, vmf, entry);
    }
    if (!vmf.unshare()) {  // FH-9
        do_page_mkwrite(state, entry.target);
        put_leaf(machine, vmf, maybe_mkwrite(pte_mkdirty(entry), vma));
    }
    return Fault::done;
}

}  // namespace verso::mm
