// Folios: see the header. As of 6.18; mm/rmap.c, mm/filemap.c.
#include "mm/folio.h"

namespace verso::mm {

u32 folio_pages(const State& state, PageId head) {
    u32 pages = 1;
    while (head + pages < state.pages.size() && state.pages[head + pages].tail) {
        ++pages;
    }
    return pages;
}

/// rmap_walk().
Mappings folio_mappings(const State& state, PageId head) {
    const u32 pages = folio_pages(state, head);
    if (pages == 1) {
        return rmap_walk(state, head);
    }
    Mappings found;
    for (u32 i = 0; i < pages; ++i) {
        for (const Mapping& one : rmap_walk(state, static_cast<PageId>(head + i))) {
            if (!one.pmd || i == 0) {
                found.push_back(one);
            }
        }
    }
    return found;
}

Entry mapping_entry(const State& state, const Mapping& mapping) {
    const Space& space = state.spaces[mapping.space];
    return mapping.pmd ? space.pmds[state.pmd_index(mapping.at)].leaf : space.entries[mapping.at];
}

void set_mapping(Machine& machine, const Mapping& mapping, const Entry& entry) {
    if (mapping.pmd) {
        set_leaf(machine, mapping.space, machine.state.pmd_start(mapping.at), entry);
    } else {
        set_pte(machine, mapping.space, mapping.at, entry);
    }
}

Vma mapping_vma(const State& state, const Mapping& mapping) {
    const Vma* const vma = state.find_vma(mapping.space, mapping.at);
    VERSO_CHECK(vma != nullptr, "an entry at page {} outside every VMA", mapping.at);
    return *vma;
}

/// folio_maybe_dma_pinned().
bool folio_pinned(const State& state, PageId head) {
    const u32 pages = folio_pages(state, head);
    for (u32 i = 0; i < pages; ++i) {
        if (state.pages[head + i].pins != 0) {
            return true;
        }
    }
    return false;
}

/// folio_isolate_lru().
bool folio_isolated(const State& state, PageId head) {
    const Page& page = state.pages[head];
    if (page.locked || page.writeback || page.hwpoison || folio_pinned(state, head)) {
        return false;
    }
    for (const Mapping& one : folio_mappings(state, head)) {
        if (!mapping_entry(state, one).present()) {
            return false;
        }
    }
    return true;
}

/// __folio_split().
void split_folio(Machine& machine, PageId head) {
    State& state = machine.state;
    for (const Mapping& one : folio_mappings(state, head)) {
        if (one.pmd) {
            const Vma vma = mapping_vma(state, one);
            split_huge_pmd(machine, one.space, vma, state.pmd_start(one.at));
        }
    }
    const u32 pages = folio_pages(state, head);
    for (u32 i = 0; i < pages; ++i) {
        state.pages[head + i].head = false;
        state.pages[head + i].tail = false;
    }
    for (u32 i = 0; i < pages; ++i) {
        put_page(machine, static_cast<PageId>(head + i));
    }
}

/// SetPageAnonExclusive().
void set_anon_exclusive(State& state, const Mapping& mapping, PageId target, bool exclusive) {
    const u32 pages = mapping.pmd ? folio_pages(state, target) : 1;
    for (u32 i = 0; i < pages; ++i) {
        state.pages[target + i].anon_exclusive = exclusive;
    }
}

/// folio_test_anon(), the other way round.
bool is_files_own(const State& state, const Entry& entry) {
    const bool has_page = entry.maps_page() || entry.kind == EntryKind::migration;
    return has_page && state.pages[entry.target].use == PageUse::cache;
}

// Rows E-ZP1 to E-ZP6, E-SW2, E-SW3; S3-05, S3-06 for the proposals of section 14.5.
// zap_install_uffd_wp_if_needed(), pte_install_uffd_wp_if_needed() (5.19).
Entry left_behind(const Machine& machine, const Vma& vma, const Entry& entry, bool survives) {
    const Rules& rules = machine.rules;
    if (entry.none() || !vma.has(VmFlag::uffd_wp)) {
        return {};
    }
    const bool was_protected = entry.uffd_wp || entry.is_marker(Marker::uffd_wp);
    const bool modified = !survives && rules.zap_is_write && is_async(machine.state, vma);
    const bool keeps = was_protected && !modified;
    switch (none_policy(machine, vma)) {
        case NonePolicy::unprotected:
        case NonePolicy::fault_path: return {};
        case NonePolicy::marker:
            if (!uses_markers(machine, vma)) {
                return {};
            }
            // E-ZP1: an anonymous VMA keeps nothing, whoever asks. The rule zap_is_write is off
            // where a tracker is not told (S3-10): the marker then says "clean".
            if (vma.anonymous() && (rules.zap_is_write || !is_async(machine.state, vma))) {
                return {};
            }
            return make_marker(keeps ? Marker::uffd_wp : u8{0});
        case NonePolicy::protected_: return make_marker(keeps ? Marker::uffd_wp : Marker::written);
        case NonePolicy::protected_one: return make_marker(keeps ? u8{0} : Marker::written);
    }
    return {};
}

/// filemap_remove_folio().
void remove_from_cache(Machine& machine, u8 file, u32 index) {
    State& state = machine.state;
    Cached& cached = state.files[file].cache[index];
    if (cached.page != no_page) {
        const PageId page = cached.page;
        cached.page = no_page;
        state.pages[page].file = nobody;
        state.pages[page].index = 0;
        put_page(machine, page);
    }
    if (cached.slot != no_slot) {
        const u16 slot = cached.slot;
        cached.slot = no_slot;
        state.slots[slot].in_file_cache = false;
        swap_free(machine, slot);
    }
}

}  // namespace verso::mm
