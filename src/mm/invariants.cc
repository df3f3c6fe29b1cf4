// What must hold in every state: I1 to I8 of section 3, and the bookkeeping that the model itself
// keeps. I9 and I10 need the past: history.cc. I7 speaks of page tables that processes share, which
// this model does not have.
//
// The first that is broken is named, with where; so what matters most comes first.
#include <algorithm>

#include <fmt/core.h>

#include "abi/abi.h"
#include "mm/folio.h"

namespace verso::mm {
namespace {

/// An entry, and whose it is. `at` is the first page of a leaf.
struct Place {
    u8 space;
    Vpn at;
    bool huge;
    Entry entry;
    const Vma* vma;
};

std::string where(const Place& place) {
    return fmt::format("{} {} of address space {}", place.huge ? "huge page" : "page", place.at,
                       place.space);
}

std::vector<Place> all_entries(const State& state) {
    std::vector<Place> places;
    for (u8 space = 0; space < state.spaces.size(); ++space) {
        const Space& one = state.spaces[space];
        for (Vpn at = 0; at < one.entries.size(); ++at) {
            const Pmd& pmd = one.pmds[state.pmd_index(at)];
            if (pmd.kind == PmdKind::leaf && at == state.pmd_start(at)) {
                places.push_back({space, at, true, pmd.leaf, state.find_vma(space, at)});
            } else if (pmd.kind == PmdKind::table && !one.entries[at].none()) {
                places.push_back({space, at, false, one.entries[at], state.find_vma(space, at)});
            }
        }
    }
    return places;
}

bool has_page(const Entry& entry) {
    return entry.maps_page() || entry.kind == EntryKind::migration ||
           entry.kind == EntryKind::hwpoison;
}

bool anonymous_page(const State& state, const Entry& entry) {
    return entry.maps_page() && state.pages[entry.target].use == PageUse::anonymous;
}

std::string check_exclusive(const State& state, const Place& place) {
    const Entry& entry = place.entry;
    if (anonymous_page(state, entry) && entry.write && !state.pages[entry.target].anon_exclusive) {
        return fmt::format("I3: {} is writable, but its page may be shared", where(place));
    }
    if (entry.kind == EntryKind::swap && state.slots[entry.target].cached != no_page &&
        state.pages[state.slots[entry.target].cached].anon_exclusive) {
        return fmt::format("I3: {} is swapped out, and its page is exclusive", where(place));
    }
    if (entry.kind == EntryKind::swap && entry.exclusive && state.slots[entry.target].count > 1) {
        return fmt::format("I3: {} is swapped out exclusive, but not alone", where(place));
    }
    if (entry.kind == EntryKind::migration && entry.migration == MigrationKind::read &&
        state.pages[entry.target].use == PageUse::anonymous &&
        state.pages[entry.target].anon_exclusive) {
        return fmt::format("I3: {} migrates as shared, but is exclusive", where(place));
    }
    return {};
}

std::string check_entry(const State& state, const Place& place) {
    const Entry& entry = place.entry;
    if (place.vma == nullptr) {
        return fmt::format("entries: {} lies outside every mapping", where(place));
    }
    if (entry.present() && entry.uffd_wp && entry.write) {
        return fmt::format("I1: {} is protected and writable", where(place));
    }
    if (entry.kind == EntryKind::migration && entry.migration == MigrationKind::write &&
        entry.uffd_wp) {
        return fmt::format("I2: {} migrates as writable and is protected", where(place));
    }
    if (std::string broken = check_exclusive(state, place); !broken.empty()) {
        return broken;
    }
    const bool is_protected = entry.uffd_wp || entry.is_marker(Marker::uffd_wp);
    if (is_protected && !place.vma->has(VmFlag::uffd_wp)) {
        return fmt::format("I4: {} is protected in a mapping that is not", where(place));
    }
    if (entry.is_marker(Marker::uffd_wp) && place.vma->anonymous()) {
        const u8 context = place.vma->context;
        if (context == nobody ||
            (state.contexts[context].features & abi::Feature::wp_unpopulated) == 0) {
            return fmt::format("I8: {} holds a marker without WP_UNPOPULATED", where(place));
        }
    }
    const bool hugetlb = is_hugetlb(state, *place.vma);
    const bool fits = !place.huge || place.vma->end >= place.at + state.shape.huge_pages;
    if ((hugetlb && !place.huge) || !fits) {
        return fmt::format("entries: {} does not fit its mapping", where(place));
    }
    return {};
}

std::string check_vma(const State& state, u8 space, const Vma& vma) {
    if ((vma.context != nobody) != vma.has(VmFlag::uffd)) {
        return fmt::format(
            "I5: the mapping at page {} of address space {} has a context without "
            "a mode, or a mode without a context",
            vma.start, space);
    }
    if (vma.shared() && vma.has(VmFlag::uffd_wp) && vma.prot_write) {
        return fmt::format(
            "I6: the shared mapping at page {} of address space {} is protected, "
            "and fresh entries are writable",
            vma.start, space);
    }
    if (vma.start >= vma.end || vma.end > state.shape.space_pages ||
        (vma.context != nobody && vma.context >= state.contexts.size())) {
        return fmt::format("mappings: the one at page {} of address space {} cannot be", vma.start,
                           space);
    }
    return {};
}

std::string check_space(const State& state, u8 id) {
    const Space& space = state.spaces[id];
    for (std::size_t i = 0; i < space.vmas.size(); ++i) {
        if (i > 0 && space.vmas[i - 1].end > space.vmas[i].start) {
            return fmt::format("mappings: two of address space {} overlap", id);
        }
        if (std::string broken = check_vma(state, id, space.vmas[i]); !broken.empty()) {
            return broken;
        }
    }
    for (Vpn at = 0; at < space.entries.size(); ++at) {
        const Pmd& pmd = space.pmds[state.pmd_index(at)];
        const bool hidden = pmd.kind != PmdKind::table && !space.entries[at].none();
        const bool empty_leaf = (pmd.kind == PmdKind::leaf) == pmd.leaf.none();
        if (hidden || empty_leaf) {
            return fmt::format("entries: page {} of address space {} has two, or half a one", at,
                               id);
        }
    }
    return {};
}

/// What refers to each page and slot, counted afresh.
struct Counts {
    std::vector<u32> maps;
    std::vector<u32> cached;  // by files
    std::vector<u32> swapped;
    std::vector<u32> file_slots;
};

/// Empty, or why the counts cannot even be taken.
std::string count(const State& state, const std::vector<Place>& places, Counts& counts) {
    counts.maps.resize(state.pages.size());
    counts.cached.resize(state.pages.size());
    counts.swapped.resize(state.slots.size());
    counts.file_slots.resize(state.slots.size());
    for (const Place& place : places) {
        const u16 target = place.entry.target;
        if (has_page(place.entry)) {
            if (target >= state.pages.size() || state.pages[target].use == PageUse::free) {
                return fmt::format("pages: {} has page {}, which is free", where(place), target);
            }
            ++counts.maps[target];
        } else if (place.entry.kind == EntryKind::swap) {
            ++counts.swapped[target];
        }
    }
    for (std::size_t id = 0; id < state.files.size(); ++id) {
        for (std::size_t index = 0; index < state.files[id].cache.size(); ++index) {
            const Cached& cached = state.files[id].cache[index];
            if (cached.page != no_page) {
                const Page& page = state.pages[cached.page];
                if (page.use != PageUse::cache || page.file != id || page.index != index) {
                    return fmt::format("pages: page {} is not that of file {} that it should be",
                                       cached.page, id);
                }
                ++counts.cached[cached.page];
            }
            if (cached.slot != no_slot) {
                ++counts.file_slots[cached.slot];
            }
        }
    }
    return {};
}

/// Somebody has the page, or the folio that it belongs to.
bool owned(const State& state, const Counts& counts, PageId page) {
    const PageId head = head_of(state, page);
    const u32 pages = folio_pages(state, head);
    for (u32 i = 0; i < pages; ++i) {
        const Page& one = state.pages[head + i];
        if (counts.maps[head + i] != 0 || counts.cached[head + i] != 0 || one.pins != 0 ||
            one.slot != no_slot || one.locked || one.writeback || one.file != nobody) {
            return true;
        }
    }
    return false;
}

std::string check_pages(const State& state, const Counts& counts) {
    for (PageId id = 0; id < state.pages.size(); ++id) {
        const Page& page = state.pages[id];
        if (page.maps != counts.maps[id]) {
            return fmt::format("pages: page {} is said to be mapped {} times, but is {} times", id,
                               page.maps, counts.maps[id]);
        }
        if (page.use == PageUse::free) {
            Page empty;
            empty.node = page.node;
            if (!(page == empty)) {
                return fmt::format("pages: page {} is free, and somebody's", id);
            }
            continue;
        }
        if (!owned(state, counts, id)) {
            return fmt::format("pages: page {} is nobody's, and not free", id);
        }
        if (page.slot != no_slot && state.slots[page.slot].cached != id) {
            return fmt::format("pages: page {} says it is in the swap cache, and is not", id);
        }
        if (page.use == PageUse::cache && page.file != nobody && counts.cached[id] != 1) {
            return fmt::format("pages: page {} is in {} files", id, counts.cached[id]);
        }
        if (page.use == PageUse::anonymous && page.anon_exclusive && counts.maps[id] > 1) {
            return fmt::format("I3: page {} is exclusive, and mapped {} times", id,
                               counts.maps[id]);
        }
    }
    return {};
}

std::string check_slots(const State& state, const Counts& counts) {
    for (u16 id = 0; id < state.slots.size(); ++id) {
        const Slot& slot = state.slots[id];
        if (slot.count != counts.swapped[id]) {
            return fmt::format("slots: slot {} is said to be named {} times, but is {} times", id,
                               slot.count, counts.swapped[id]);
        }
        if (slot.in_file_cache != (counts.file_slots[id] == 1) || counts.file_slots[id] > 1) {
            return fmt::format("slots: slot {} belongs to {} pages of files", id,
                               counts.file_slots[id]);
        }
        if (slot.cached != no_page && state.pages[slot.cached].slot != id) {
            return fmt::format("slots: slot {} names a page that does not know it", id);
        }
    }
    return {};
}

/// Nobody waits for what cannot come: a fault needs its message in a queue, an event one unread.
std::string check_threads(const State& state) {
    for (u8 id = 0; id < state.threads.size(); ++id) {
        const Thread& thread = state.threads[id];
        const auto of_thread = [&](const Message& message) { return message.thread == id; };
        if (thread.waiting != Waiting::fault && thread.waiting != Waiting::event) {
            continue;
        }
        bool queued = false;
        if (thread.context < state.contexts.size()) {
            const Context& context = state.contexts[thread.context];
            queued = thread.waiting == Waiting::event
                         ? std::ranges::any_of(context.events, of_thread)
                         : std::ranges::any_of(context.faults, of_thread) ||
                               std::ranges::any_of(context.pending, of_thread);
        }
        if (!queued) {
            return fmt::format("threads: thread {} waits for something that nobody has", id);
        }
    }
    return {};
}

}  // namespace

std::string broken_invariant(const State& state, const Rules&) {
    const std::vector<Place> places = all_entries(state);
    Counts counts;
    if (std::string broken = count(state, places, counts); !broken.empty()) {
        return broken;
    }
    for (const Place& place : places) {
        if (std::string broken = check_entry(state, place); !broken.empty()) {
            return broken;
        }
    }
    for (u8 space = 0; space < state.spaces.size(); ++space) {
        if (std::string broken = check_space(state, space); !broken.empty()) {
            return broken;
        }
    }
    for (const std::string& broken :
         {check_pages(state, counts), check_slots(state, counts), check_threads(state)}) {
        if (!broken.empty()) {
            return broken;
        }
    }
    return {};
}

}  // namespace verso::mm
