// Faults on pages of files, section 6.3: shmem and, under asynchronous protection, ordinary files.
// mm/memory.c do_fault(), mm/shmem.c, mm/filemap.c. The cache decides first (FC-7): only a page
// that is there can be mapped protected.
//
// As of 6.18. Markers since 5.19, asynchronous protection since 6.7, poison since 6.6.
#include "mm/fault.h"
#include "mm/folio.h"

namespace verso::mm {
namespace {

/// hugetlb: the whole huge page at once. hugetlb_no_page(), hugetlb_add_to_page_cache().
PageId hugetlb_cache_page(Machine& machine, u8 file, u32 index) {
    State& state = machine.state;
    const u32 size = state.shape.huge_pages;
    const u32 first = index / size * size;
    if (first + size > state.files[file].size) {
        return no_page;
    }
    const PageId head = alloc_huge(machine, PageUse::cache, 0, true);
    if (head == no_page) {
        return no_page;
    }
    for (u32 i = 0; i < size; ++i) {
        state.pages[head + i].file = file;
        state.pages[head + i].index = first + i;
        state.files[file].cache[first + i].page = static_cast<PageId>(head + i);
    }
    return static_cast<PageId>(head + (index - first));
}

/// FC-5, FC-9: a store to a private mapping makes its copy at once.
Fault do_cow_fault(Machine& machine, const VmFault& vmf, PageId cached, bool armed) {
    const PageId copy = alloc_page(machine, PageUse::anonymous, vmf.node);
    if (copy == no_page) {
        return Fault::no_memory;
    }
    Page& page = machine.state.pages[copy];
    page.contents = machine.state.pages[cached].contents;
    page.anon_exclusive = true;
    Entry entry = pte_mkdirty(mk_pte(copy, vmf.vma));
    if (armed) {
        entry = mkuffd_wp_at(machine, entry, WpSite::refault);
    } else if (adds_write(machine.rules, WriteSite::file_fault)) {
        entry = maybe_mkwrite(entry, vmf.vma);  // VP14
    }
    set_pte(machine, vmf.space, vmf.at, entry);
    return Fault::done;
}

/// do_set_pmd(): a large page is mapped as one where there is no page table yet and the mapping has
/// room for all of it. Protection is no obstacle: there is no marker without a table. False: small.
bool do_set_pmd(Machine& machine, const VmFault& vmf, PageId page) {
    State& state = machine.state;
    const PageId head = head_of(state, page);
    const u32 size = state.shape.huge_pages;
    const Vpn first = state.pmd_start(vmf.at);
    const bool fits = first >= vmf.vma.start && first + size <= vmf.vma.end &&
                      page - head == static_cast<PageId>(vmf.at - first);
    if (pmd_of(state, vmf.space, vmf.at).kind != PmdKind::none || !fits ||
        folio_pages(state, head) != size || vmf.vma.has(VmFlag::nohugepage)) {
        return false;
    }
    for (u32 i = 0; i < size; ++i) {
        if (state.pages[head + i].hwpoison) {
            return false;
        }
    }
    Entry entry = mk_pte(head, vmf.vma);
    if (vmf.write()) {
        do_page_mkwrite(state, page);
        entry = pte_mkdirty(entry);
        if (adds_write(machine.rules, WriteSite::file_fault)) {  // VP14
            entry = maybe_mkwrite(entry, vmf.vma);
        }
    }
    set_leaf(machine, vmf.space, first, entry);
    return true;
}

}  // namespace

void do_page_mkwrite(State& state, PageId page) {
    // Whether or not the file asked, its page is dirty from now on: fault_dirty_shared_page().
    state.pages[page].dirty = true;
}

/// filemap_fault(), shmem_fault(): the page of the file.
PageId cache_page(Machine& machine, u8 file, u32 index, bool create) {
    State& state = machine.state;
    File& backing = state.files[file];
    if (index >= backing.size) {
        return no_page;
    }
    Cached& cached = backing.cache[index];
    if (cached.page != no_page) {
        return cached.page;
    }
    const bool swapped = cached.slot != no_slot;
    if ((!swapped && !create) || (swapped && state.slots[cached.slot].unreadable)) {
        return no_page;
    }
    if (backing.kind == FileKind::hugetlb) {
        return hugetlb_cache_page(machine, file, index);
    }
    const PageId id = alloc_page(machine, PageUse::cache, 0);
    if (id == no_page) {
        return no_page;
    }
    Page& page = state.pages[id];
    page.contents = swapped ? state.slots[cached.slot].contents : cached.disk;
    page.dirty = swapped;
    if (swapped) {
        remove_from_cache(machine, file, index);  // FC-6: back from swap, and the slot is free
    }
    page.file = file;
    page.index = index;
    cached.page = id;
    return id;
}

Fault do_fault(Machine& machine, const VmFault& vmf, const Entry& orig) {
    State& state = machine.state;
    const u8 file = vmf.vma.file;
    const u32 index = vmf.vma.index(vmf.at);
    if (index >= state.files[file].size) {  // FC-1
        return Fault::sigbus;
    }
    const Cached cached = state.files[file].cache[index];
    const bool in_cache = cached.page != no_page || cached.slot != no_slot;
    // filemap_fault_recheck_pte_none(): a locked page whose entry is not empty must have been
    // brought in meanwhile; 6.18 takes a marker for that, and faults for ever.
    const bool ordinary = state.files[file].kind == FileKind::ordinary;
    if (ordinary && !in_cache && !orig.none() && vmf.vma.has(VmFlag::locked) &&
        !machine.rules.locked_marker_fault_ends) {
        return Fault::for_ever;
    }
    if (in_cache && vmf.vma.has(VmFlag::uffd_minor)) {  // FC-3
        const u8 write = vmf.write() ? FaultFlag::write : u8{0};
        return handle_userfault(machine, vmf.thread, vmf.vma, vmf.access, FaultFlag::minor | write);
    }
    if (!in_cache && vmf.vma.has(VmFlag::uffd_missing)) {  // FC-2
        return missing_message(machine, vmf);
    }
    if (cached.slot != no_slot && state.slots[cached.slot].unreadable) {
        return Fault::sigbus;
    }
    const PageId page = cache_page(machine, file, index, true);
    if (page == no_page) {
        return Fault::no_memory;
    }
    if (state.pages[page].hwpoison) {
        return Fault::sigbus;
    }
    if (state.pages[head_of(state, page)].locked) {
        return Fault::migration;  // somebody else's mapping of it is migrating
    }
    const bool armed = orig_pte_uffd_wp(machine, vmf.vma, orig);
    if (vmf.write() && !vmf.vma.shared()) {
        return do_cow_fault(machine, vmf, page, armed);
    }
    if (!armed && !vmf.unshare() && do_set_pmd(machine, vmf, page)) {
        return Fault::done;
    }
    Entry entry = mk_pte(page, vmf.vma);  // FC-4, FC-5
    if (vmf.write()) {
        do_page_mkwrite(state, page);
        entry = pte_mkdirty(entry);
        if (!armed && adds_write(machine.rules, WriteSite::file_fault)) {  // VP14
            entry = maybe_mkwrite(entry, vmf.vma);
        }
    }
    if (armed) {  // FC-8, FC-9
        entry = mkuffd_wp_at(machine, entry, WpSite::refault);
    }
    set_pte(machine, vmf.space, vmf.at, entry);
    return Fault::done;
}

}  // namespace verso::mm
