// Transparent huge pages: making small entries of a leaf, and one leaf of small entries (section
// 8.6 of the specification; mm/huge_memory.c, mm/khugepaged.c).
//
//   split      leaf T, TM, TZ ──▶ a table of P, M, Z with the same bits; a file's T is only removed
//   collapse   copies small pages into a new folio, and maps that
//
// A collapse makes one fact of many, so it is refused wherever the small entries know something
// that one leaf could not say: protection, a marker, an address that userfaultfd wants to hear of.
//
// As of 6.18. MADV_COLLAPSE is of 6.1; the split of a huge zero page keeps protection since 6.3
// (FX-9).
#include <algorithm>
#include <cerrno>

#include "mm/folio.h"

namespace verso::mm {
namespace {

/// E-TH1, E-TH2: the same bits in every small entry. A part that holds only zeroes may come out as
/// the zero page (try_to_map_unused_to_zeropage(), 6.12), with that part's protection.
Entry split_part(Machine& machine, const Vma& vma, const Entry& leaf, u32 part) {
    Entry entry = leaf;
    entry.target = static_cast<u16>(leaf.target + part);
    const Page& page = machine.state.pages[entry.target];
    const bool unused = entry.present() && page.contents == zeroes && page.pins == 0 &&
                        page.slot == no_slot && !vma.has(VmFlag::locked) && !entry.protnone;
    if (!unused || !machine.choice.coin()) {
        return entry;
    }
    Entry zero = mk_zero(vma);
    zero.soft_dirty = entry.soft_dirty;
    return entry.uffd_wp ? pte_mkuffd_wp(zero, machine.rules) : zero;
}

/// E-TH3, FX-9 (42b2af2c9b7e, 6.3). __split_huge_zero_page_pmd().
Entry split_zero(const Machine& machine, const Vma& vma, const Entry& leaf) {
    Entry entry = mk_zero(vma);
    entry.young = leaf.young;
    entry.soft_dirty = leaf.soft_dirty;
    const bool keep = leaf.uffd_wp && machine.rules.huge_zero_split_keeps_u;
    return keep ? pte_mkuffd_wp(entry, machine.rules) : entry;
}

/// __split_huge_pmd_locked().
void fill_table(Machine& machine, u8 space, Vpn first, const Entry& entry) {
    for (u32 i = 0; !entry.none() && i < machine.state.shape.huge_pages; ++i) {
        set_pte(machine, space, first + i, entry);
    }
}

/// Why MADV_COLLAPSE cannot take this entry of kind A into a huge page: 0 or an errno
/// (hpage_collapse_scan_pmd(), madvise_collapse_errno()).
int anon_entry_error(const State& state, const Vma& vma, const Entry& entry) {
    if (entry.uffd_wp) {  // E-TH6
        return EINVAL;
    }
    switch (entry.kind) {
        case EntryKind::none: return vma.context != nobody ? EINVAL : 0;  // E-TH7
        case EntryKind::marker:
        case EntryKind::hwpoison: return EINVAL;  // E-TH6
        case EntryKind::migration: return EAGAIN;
        case EntryKind::swap: {
            const Slot& slot = state.slots[entry.target];
            return slot.unreadable && slot.cached == no_page ? EINVAL : 0;
        }
        case EntryKind::present: break;
    }
    if (entry.zero) {  // to khugepaged it is as good as nothing
        return vma.context != nobody ? EINVAL : 0;
    }
    const Page& page = state.pages[entry.target];
    const Page& head = state.pages[head_of(state, entry.target)];
    if (page.use != PageUse::anonymous || page.hwpoison) {
        return EINVAL;
    }
    return page.pins != 0 || head.locked || head.writeback ? EAGAIN : 0;
}

/// __collapse_huge_page_copy().
Contents contents_of(const State& state, const Entry& entry) {
    if (entry.maps_page()) {
        return state.pages[entry.target].contents;
    }
    if (entry.kind == EntryKind::swap) {
        const Slot& slot = state.slots[entry.target];
        return slot.cached != no_page ? state.pages[slot.cached].contents : slot.contents;
    }
    return zeroes;
}

/// collapse_huge_page().
Outcome collapse_anon(Machine& machine, u8 space, const Vma& vma, Vpn first) {
    State& state = machine.state;
    const u32 size = state.shape.huge_pages;
    if (pmd_of(state, space, first).kind == PmdKind::leaf) {
        return Outcome::ok();  // SCAN_PMD_MAPPED
    }
    if (pmd_of(state, space, first).kind == PmdKind::none) {
        return Outcome::fail(EINVAL);
    }
    for (u32 i = 0; i < size; ++i) {
        const Entry entry = entry_at(state, space, first + i);
        if (const int error = anon_entry_error(state, vma, entry); error != 0) {
            return Outcome::fail(error);
        }
    }
    const PageId head = alloc_huge(machine, PageUse::anonymous, 0, false);
    if (head == no_page) {
        return Outcome::fail(ENOMEM);
    }
    for (u32 i = 0; i < size; ++i) {
        Page& page = state.pages[head + i];
        page.contents = contents_of(state, entry_at(state, space, first + i));
        page.anon_exclusive = true;
        set_pte(machine, space, first + i, Entry{});
    }
    pmd_of(state, space, first).kind = PmdKind::none;
    set_leaf(machine, space, first, maybe_mkwrite(pte_mkdirty(mk_pte(head, vma)), vma));
    return Outcome::ok();
}

/// Does some mapping of these file pages want to hear of holes? Then collapse must not fill them
/// (collapse_file() looks for userfaultfd_missing()).
bool missing_armed(const State& state, u8 file, u32 first, u32 last) {
    for (const Space& space : state.spaces) {
        for (const Vma& vma : space.vmas) {
            if (vma.file == file && vma.has(VmFlag::uffd_missing) && vma.offset < last &&
                vma.offset + (vma.end - vma.start) > first) {
                return true;
            }
        }
    }
    return false;
}

/// collapse_file().
int cached_error(const State& state, u8 file, u32 index, bool armed) {
    const Cached& cached = state.files[file].cache[index];
    if (cached.page == no_page) {
        const bool lost = cached.slot != no_slot && state.slots[cached.slot].unreadable;
        return lost || (armed && cached.slot == no_slot) ? EINVAL : 0;
    }
    const Page& page = state.pages[cached.page];
    const PageId head = head_of(state, cached.page);
    if (page.hwpoison) {
        return EINVAL;
    }
    const bool busy = state.pages[head].locked || state.pages[head].writeback;
    return busy || page.pins != 0 ? EAGAIN : 0;
}

/// E-SW2, E-SW3 for every entry of a page that leaves the cache (try_to_unmap()).
void try_to_unmap(Machine& machine, PageId page) {
    State& state = machine.state;
    for (const Mapping& one : folio_mappings(state, page)) {
        const Entry entry = mapping_entry(state, one);
        state.pages[page].dirty = state.pages[page].dirty || entry.dirty;
        set_mapping(machine, one, left_behind(machine, mapping_vma(state, one), entry, true));
    }
}

/// collapse_file(): the pages of the cache become one folio; every entry goes, its protection
/// stays.
Outcome collapse_file(Machine& machine, u8 file, u32 first) {
    State& state = machine.state;
    const u32 size = state.shape.huge_pages;
    const bool armed = missing_armed(state, file, first, first + size);
    bool empty = true;
    for (u32 i = 0; i < size; ++i) {
        const Cached& cached = state.files[file].cache[first + i];
        empty = empty && cached.page == no_page && cached.slot == no_slot;
    }
    if (empty) {
        return Outcome::fail(EINVAL);  // SCAN_TRUNCATED: there is nothing, or no longer
    }
    for (u32 i = 0; i < size; ++i) {
        if (const int error = cached_error(state, file, first + i, armed); error != 0) {
            return Outcome::fail(error);
        }
    }
    const PageId present = state.files[file].cache[first].page;
    if (present != no_page && state.pages[present].head) {
        return Outcome::ok();  // SCAN_PTE_MAPPED_HUGEPAGE
    }
    const PageId head = alloc_huge(machine, PageUse::cache, 0, false);
    if (head == no_page) {
        return Outcome::fail(ENOMEM);
    }
    for (u32 i = 0; i < size; ++i) {
        Cached& cached = state.files[file].cache[first + i];
        Page& page = state.pages[head + i];
        if (cached.page != no_page) {
            try_to_unmap(machine, cached.page);
            page.contents = state.pages[cached.page].contents;
        } else if (cached.slot != no_slot) {
            page.contents = state.slots[cached.slot].contents;
        }
        page.dirty = true;  // whatever the small ones were: is_shmem there
        remove_from_cache(machine, file, first + i);
        page.file = file;
        page.index = first + i;
        cached.page = static_cast<PageId>(head + i);
    }
    return Outcome::ok();
}

/// collapse_pte_mapped_thp(): the leaf over a page table that says nothing of its own.
Outcome install_pmd(Machine& machine, u8 space, const Vma& vma, Vpn first) {
    State& state = machine.state;
    const u32 size = state.shape.huge_pages;
    if (vma.has(VmFlag::uffd_wp)) {  // E-TH8, SCAN_PTE_UFFD_WP
        return Outcome::fail(EINVAL);
    }
    if (pmd_of(state, space, first).kind == PmdKind::leaf) {
        return Outcome::ok();
    }
    const PageId head = state.files[vma.file].cache[vma.index(first)].page;
    for (u32 i = 0; i < size; ++i) {
        const Entry entry = entry_at(state, space, first + i);
        const bool same = entry.maps_page() && entry.target == head + i;
        if (!entry.none() && !same) {
            return Outcome::fail(EINVAL);  // a private copy, a marker
        }
    }
    for (u32 i = 0; i < size; ++i) {
        const Entry entry = entry_at(state, space, first + i);
        Page& page = state.pages[head + i];
        page.dirty = page.dirty || entry.dirty;
        if (!entry.none()) {
            set_pte(machine, space, first + i, Entry{});
        }
    }
    pmd_of(state, space, first).kind = PmdKind::none;
    set_leaf(machine, space, first, mk_pte(head, vma));
    return Outcome::ok();
}

}  // namespace

void split_huge_pmd(Machine& machine, u8 space, const Vma& vma, Vpn at) {
    State& state = machine.state;
    const Vpn first = state.pmd_start(at);
    Pmd& pmd = pmd_of(state, space, first);
    if (pmd.kind != PmdKind::leaf) {
        return;
    }
    VERSO_CHECK(!is_hugetlb(state, vma), "hugetlb entries are not split");
    const Entry leaf = pmd.leaf;
    if (leaf.zero) {
        set_leaf(machine, space, first, Entry{});
        pmd.kind = PmdKind::table;
        fill_table(machine, space, first, split_zero(machine, vma, leaf));
        return;
    }
    Page& head = state.pages[leaf.target];
    if (head.use == PageUse::cache) {  // E-TH4, E-TH5
        for (u32 i = 0; leaf.dirty && i < state.shape.huge_pages; ++i) {
            state.pages[leaf.target + i].dirty = true;
        }
        // 6.18 removes the leaf, and its bit with it.
        const Entry after =
            machine.rules.huge_shmem_keeps_u ? left_behind(machine, vma, leaf, true) : Entry{};
        set_leaf(machine, space, first, Entry{});
        fill_table(machine, space, first, after);
        return;
    }
    const bool exclusive = head.anon_exclusive;
    const bool was_locked = head.locked;
    head.locked = true;  // keeps it between the leaf's going and the entries' coming
    set_leaf(machine, space, first, Entry{});
    for (u32 i = 0; i < state.shape.huge_pages; ++i) {
        state.pages[leaf.target + i].anon_exclusive = exclusive;
        set_pte(machine, space, first + i, split_part(machine, vma, leaf, i));
    }
    head.locked = was_locked;
    put_page(machine, leaf.target);
}

/// madvise_collapse() (6.1), hpage_collapse_scan_pmd().
Outcome collapse(Machine& machine, u8 space, u64 address) {
    State& state = machine.state;
    const u64 page = to_pages(address);
    if (page >= state.shape.space_pages) {
        return Outcome::fail(EINVAL);
    }
    const Vpn first = state.pmd_start(static_cast<Vpn>(page));
    const u32 size = state.shape.huge_pages;
    const Vma* const found = state.find_vma(space, first);
    if (found == nullptr || found->end < first + size || is_hugetlb(state, *found) ||
        found->has(VmFlag::nohugepage)) {
        return Outcome::fail(EINVAL);
    }
    const Vma vma = *found;
    if (vma.anonymous()) {
        return collapse_anon(machine, space, vma, first);
    }
    const File& file = state.files[vma.file];
    const u32 index = vma.index(first);
    if (file.kind != FileKind::shmem || index % size != 0 || index + size > file.size) {
        return Outcome::fail(EINVAL);
    }
    const Outcome done = collapse_file(machine, vma.file, index);
    return done.verdict == Verdict::done ? install_pmd(machine, space, vma, first) : done;
}

}  // namespace verso::mm
