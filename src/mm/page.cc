// Pages and page tables: allocation, reference keeping, and the reverse map. Linux keeps counts and
// walks rmap trees; a model of a few pages looks at every entry instead, and keeps `maps` only so
// that an invariant can hold it against the entries.
//
// As of 6.18; mm/rmap.c, mm/page_alloc.c.
#include <algorithm>

#include "mm/model.h"

namespace verso::mm {
namespace {

constexpr u32 feature_wp_unpopulated = 1U << 13;
constexpr u32 feature_wp_async = 1U << 15;

/// Nothing refers to the page any more.
bool unused(const State& state, PageId id) {
    const Page& page = state.pages[id];
    return page.maps == 0 && page.pins == 0 && !page.locked && !page.writeback &&
           page.slot == no_slot && page.file == nobody;
}

void free_folio(State& state, PageId head) {
    PageId id = head;
    do {
        Page freed;
        freed.node = state.pages[id].node;
        state.pages[id] = freed;
        ++id;
    } while (id < state.pages.size() && state.pages[id].tail);
}

void drop_slot_reference(Machine& machine, u16 slot) {
    Slot& named = machine.state.slots[slot];
    VERSO_CHECK(named.count > 0, "swap slot {} is named by nobody", slot);
    --named.count;
    swap_free(machine, slot);
}

void unref(Machine& machine, const Entry& entry) {
    switch (entry.kind) {
        case EntryKind::present:
            if (entry.zero) {
                return;
            }
            [[fallthrough]];
        case EntryKind::migration:
        case EntryKind::hwpoison: {
            Page& page = machine.state.pages[entry.target];
            VERSO_CHECK(page.maps > 0, "page {} is mapped by nobody", entry.target);
            --page.maps;
            put_page(machine, entry.target);
            return;
        }
        case EntryKind::swap: drop_slot_reference(machine, entry.target); return;
        case EntryKind::none:
        case EntryKind::marker: return;
    }
}

void ref(Machine& machine, const Entry& entry) {
    switch (entry.kind) {
        case EntryKind::present:
            if (entry.zero) {
                return;
            }
            [[fallthrough]];
        case EntryKind::migration:
        case EntryKind::hwpoison: ++machine.state.pages[entry.target].maps; return;
        case EntryKind::swap: ++machine.state.slots[entry.target].count; return;
        case EntryKind::none:
        case EntryKind::marker: return;
    }
}

}  // namespace

PageId alloc_page(Machine& machine, PageUse use, u8 node) {
    Pages& pages = machine.state.pages;
    for (const bool own_node : {true, false}) {  // the other nodes are the fallback
        for (PageId id = 0; id < pages.size(); ++id) {
            if (pages[id].use == PageUse::free && (pages[id].node == node) == own_node) {
                Page page;
                page.node = pages[id].node;
                page.use = use;
                pages[id] = page;
                return id;
            }
        }
    }
    return no_page;
}

PageId alloc_huge(Machine& machine, PageUse use, u8 node, bool hugetlb) {
    Pages& pages = machine.state.pages;
    const u32 size = machine.state.shape.huge_pages;
    for (const bool own_node : {true, false}) {
        for (PageId first = 0; first + size <= pages.size(); ++first) {
            const auto begin = pages.begin() + first;
            const bool free = std::all_of(begin, begin + size, [&](const Page& page) {
                return page.use == PageUse::free && page.node == pages[first].node;
            });
            if (!free || (pages[first].node == node) != own_node) {
                continue;
            }
            for (u32 i = 0; i < size; ++i) {
                Page page;
                page.node = pages[first].node;
                page.use = use;
                page.head = i == 0;
                page.tail = i != 0;
                page.hugetlb = hugetlb;
                pages[first + i] = page;
            }
            return first;
        }
    }
    return no_page;
}

PageId head_of(const State& state, PageId page) {
    while (state.pages[page].tail) {
        --page;
    }
    return page;
}

/// A large folio goes as a whole.
void put_page(Machine& machine, PageId page) {
    State& state = machine.state;
    const PageId head = head_of(state, page);
    PageId end = head + 1;
    while (end < state.pages.size() && state.pages[end].tail) {
        ++end;
    }
    for (PageId id = head; id < end; ++id) {
        if (!unused(state, id)) {
            return;
        }
    }
    if (state.pages[head].use != PageUse::free) {
        free_folio(state, head);
    }
}

Mappings rmap_walk(const State& state, PageId page) {
    const auto refers = [](const Entry& entry) {
        return entry.maps_page() || entry.kind == EntryKind::migration ||
               entry.kind == EntryKind::hwpoison;
    };
    const PageId head = head_of(state, page);
    // A small page knows how many there are; of a large folio the head counts the leaves of all.
    const bool small = !state.pages[head].head;
    const u32 size = state.shape.huge_pages;
    Mappings found;
    const auto all_found = [&] { return small && found.size() == state.pages[page].maps; };
    for (u8 space = 0; space < state.spaces.size() && !all_found(); ++space) {
        const Space& one = state.spaces[space];
        for (std::size_t i = 0; i < one.pmds.size(); ++i) {
            const Pmd& pmd = one.pmds[i];
            const Vpn first = static_cast<Vpn>(i) * size;
            if (pmd.kind == PmdKind::leaf && refers(pmd.leaf) && pmd.leaf.target == head) {
                found.push_back({space, first, true});
            }
            for (Vpn at = first; pmd.kind == PmdKind::table && at < first + size; ++at) {
                const Entry& entry = one.entries[at];
                if (entry.target == page && refers(entry)) {
                    found.push_back({space, at, false});
                }
            }
        }
    }
    return found;
}

Pmd& pmd_of(State& state, u8 space, Vpn at) {
    return state.spaces[space].pmds[state.pmd_index(at)];
}

Entry* pte_of(State& state, u8 space, Vpn at) {
    return pmd_of(state, space, at).kind == PmdKind::table ? &state.spaces[space].entries[at]
                                                           : nullptr;
}

const Entry* pte_of(const State& state, u8 space, Vpn at) {
    const Space& one = state.spaces[space];
    return one.pmds[state.pmd_index(at)].kind == PmdKind::table ? &one.entries[at] : nullptr;
}

Entry& pte_alloc(State& state, u8 space, Vpn at) {
    Pmd& pmd = pmd_of(state, space, at);
    VERSO_CHECK(pmd.kind != PmdKind::leaf, "a leaf covers page {}", at);
    pmd.kind = PmdKind::table;
    return state.spaces[space].entries[at];
}

Entry entry_at(const State& state, u8 space, Vpn at) {
    const Space& one = state.spaces[space];
    const Pmd& pmd = one.pmds[state.pmd_index(at)];
    if (pmd.kind == PmdKind::table) {
        return one.entries[at];
    }
    Entry entry = pmd.kind == PmdKind::leaf ? pmd.leaf : Entry{};
    if (entry.maps_page() || entry.kind == EntryKind::migration) {
        entry.target = static_cast<u16>(entry.target + (at - state.pmd_start(at)));
    }
    return entry;
}

void set_pte(Machine& machine, u8 space, Vpn at, Entry entry) {
    Entry& place = pte_alloc(machine.state, space, at);
    const Entry old = place;
    ref(machine, entry);  // the new one first: it may be the last that names the same page
    place = entry;
    unref(machine, old);
}

/// A leaf counts as one mapping of the folio's head.
void set_leaf(Machine& machine, u8 space, Vpn at, Entry entry) {
    Pmd& pmd = pmd_of(machine.state, space, at);
    VERSO_CHECK(pmd.kind != PmdKind::table, "a page table covers page {}", at);
    const Entry old = pmd.kind == PmdKind::leaf ? pmd.leaf : Entry{};
    ref(machine, entry);
    pmd.kind = entry.none() ? PmdKind::none : PmdKind::leaf;
    pmd.leaf = entry;
    unref(machine, old);
}

bool is_hugetlb(const State& state, const Vma& vma) {
    return vma.file != nobody && state.files[vma.file].kind == FileKind::hugetlb;
}

MemoryKind kind_of(const State& state, const Vma& vma) {
    if (vma.file == nobody) {
        return MemoryKind::A;
    }
    switch (state.files[vma.file].kind) {
        case FileKind::shmem: return vma.shared() ? MemoryKind::SS : MemoryKind::SP;
        case FileKind::hugetlb: return vma.shared() ? MemoryKind::HS : MemoryKind::HP;
        case FileKind::ordinary: return vma.shared() ? MemoryKind::FS : MemoryKind::FP;
    }
    return MemoryKind::A;
}

bool is_async(const State& state, const Vma& vma) {
    return vma.context != nobody && (state.contexts[vma.context].features & feature_wp_async) != 0;
}

bool uses_markers(const Machine& machine, const Vma& vma) {
    if (!machine.rules.markers_exist || !vma.has(VmFlag::uffd_wp)) {
        return false;
    }
    if (!vma.anonymous()) {
        return machine.rules.none_policy_file == NonePolicy::marker;
    }
    return machine.rules.none_policy_anon == NonePolicy::marker && vma.context != nobody &&
           (machine.state.contexts[vma.context].features & feature_wp_unpopulated) != 0;
}

}  // namespace verso::mm
