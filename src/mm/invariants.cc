// What must hold in every state: I1 to I8 of section 3, and the bookkeeping that the model itself
// keeps. I9 and I10 need the past: history.cc. I7 speaks of page tables that processes share, which
// this model does not have.
//
// The first that is broken is named, with where; so what matters most comes first.
#include <algorithm>
#include <array>

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

/// Calls `check` for every entry that is not empty, until one has something to say.
template <typename Check>
std::string for_each_entry(const State& state, Check check) {
    for (u8 space = 0; space < state.spaces.size(); ++space) {
        const Space& one = state.spaces[space];
        const Vma* vma = one.vmas.data();
        const Vma* const last = vma + one.vmas.size();
        const u32 size = state.shape.huge_pages;
        for (Vpn at = 0; at < one.entries.size(); ++at) {
            while (vma != last && vma->end <= at) {
                ++vma;
            }
            const Vma* const here = vma != last && vma->contains(at) ? vma : nullptr;
            const Pmd& pmd = one.pmds[at / size];
            std::string broken;
            if (pmd.kind == PmdKind::leaf && at % size == 0) {
                broken = check(Place{space, at, true, pmd.leaf, here});
            } else if (pmd.kind == PmdKind::table && !one.entries[at].none()) {
                broken = check(Place{space, at, false, one.entries[at], here});
            }
            if (!broken.empty()) {
                return broken;
            }
        }
    }
    return {};
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

/// A number for each page or slot: on the stack for a small machine, so that a check allocates
/// nothing.
class Tally {
public:
    explicit Tally(std::size_t count) {
        if (count > small_.size()) {
            large_.resize(count);
        }
    }
    u32& operator[](std::size_t i) { return large_.empty() ? small_[i] : large_[i]; }
    u32 operator[](std::size_t i) const { return large_.empty() ? small_[i] : large_[i]; }

private:
    std::array<u32, 32> small_{};
    std::vector<u32> large_;
};

/// What refers to each page and slot, counted afresh.
struct Counts {
    explicit Counts(const State& state)
        : maps(state.pages.size()),
          cached(state.pages.size()),
          swapped(state.slots.size()),
          file_slots(state.slots.size()) {}
    Tally maps;
    Tally cached;  // by files
    Tally swapped;
    Tally file_slots;
};

/// Empty, or why the count cannot even be taken.
std::string count_entry(const State& state, const Place& place, Counts& counts) {
    const u16 target = place.entry.target;
    if (has_page(place.entry)) {
        if (target >= state.pages.size() || state.pages[target].use == PageUse::free) {
            return fmt::format("pages: {} has page {}, which is free", where(place), target);
        }
        ++counts.maps[target];
    } else if (place.entry.kind == EntryKind::swap) {
        ++counts.swapped[target];
    }
    return {};
}

std::string count_files(const State& state, Counts& counts) {
    for (std::size_t id = 0; id < state.files.size(); ++id) {
        const File& file = state.files[id];
        for (std::size_t index = 0; index < file.cache.size(); ++index) {
            const Cached& cached = file.cache[index];
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
            if (index >= file.size && (cached.page != no_page || cached.slot != no_slot)) {
                return fmt::format("pages: file {} holds page {}, which lies beyond its end", id,
                                   index);
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

/// A large folio is as large as they all are, and of one piece.
std::string check_folio(const State& state, PageId id) {
    const Page& page = state.pages[id];
    const bool begins = page.head && (id + 1U >= state.pages.size() || !state.pages[id + 1].tail);
    if ((page.tail && id == 0) || (page.head && page.tail) || begins) {
        return fmt::format("folios: page {} is part of no large folio", id);
    }
    if (page.tail) {
        const Page& before = state.pages[id - 1];
        if (before.use != page.use || before.hugetlb != page.hugetlb ||
            !(before.head || before.tail) || before.file != page.file ||
            (page.file != nobody && before.index + 1 != page.index)) {
            return fmt::format("folios: page {} does not continue the folio that it is part of",
                               id);
        }
    }
    return {};
}

std::string check_pages(const State& state, const Counts& counts) {
    for (PageId id = 0; id < state.pages.size(); ++id) {
        const Page& page = state.pages[id];
        if (page.head || page.tail) {
            if (std::string broken = check_folio(state, id); !broken.empty()) {
                return broken;
            }
        }
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
        const bool lost = page.file == nobody && (page.maps == 0 || page.hwpoison);
        if (page.use == PageUse::cache && !lost && counts.cached[id] != 1) {
            return fmt::format("pages: page {} is in {} files, mapped {} times", id,
                               counts.cached[id], page.maps);
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

/// A descriptor that nobody has is a child's, and waits in exactly one FORK message.
std::string check_contexts(const State& state) {
    for (u8 id = 0; id < state.contexts.size(); ++id) {
        const Context& context = state.contexts[id];
        if (context.mmap_changing != context.events.size()) {
            return fmt::format("contexts: {} counts {} unread changes, and has {}", id,
                               context.mmap_changing, context.events.size());
        }
        if (context.open || context.space == nobody) {
            continue;
        }
        unsigned named = 0;
        for (const Context& other : state.contexts) {
            for (const Message& event : other.events) {
                named += event.kind == MessageKind::fork && event.context == id ? 1 : 0;
            }
        }
        if (named != 1) {
            return fmt::format("contexts: {} is nobody's, and named by {} messages", id, named);
        }
    }
    return {};
}

}  // namespace

std::string broken_invariant(const State& state, const Rules&) {
    Counts counts(state);
    std::string broken = for_each_entry(
        state, [&](const Place& place) { return count_entry(state, place, counts); });
    if (broken.empty()) {
        broken = count_files(state, counts);
    }
    if (broken.empty()) {
        broken =
            for_each_entry(state, [&](const Place& place) { return check_entry(state, place); });
    }
    for (u8 space = 0; space < state.spaces.size() && broken.empty(); ++space) {
        broken = check_space(state, space);
    }
    if (broken.empty()) {
        broken = check_pages(state, counts);
    }
    if (broken.empty()) {
        broken = check_slots(state, counts);
    }
    if (broken.empty()) {
        broken = check_threads(state);
    }
    return broken.empty() ? check_contexts(state) : broken;
}

}  // namespace verso::mm
