// State: switching on, comparing, and the canonical form.
#include "mm/state.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <span>
#include <utility>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/check.h"

namespace verso::mm {
namespace {

// No padding anywhere, so that bytes decide. That of the vectors is looked at where they compare.
static_assert(std::has_unique_object_representations_v<Shape>);
static_assert(sizeof(File) == 8 + sizeof(File::cache));
static_assert(sizeof(Space) ==
              4 + sizeof(Space::vmas) + sizeof(Space::pmds) + sizeof(Space::entries));
static_assert(sizeof(Context) == 8 + 3 * sizeof(Messages));
static_assert(sizeof(State) == sizeof(Shape) + sizeof(State::pages) + sizeof(State::slots) +
                                   sizeof(State::files) + sizeof(State::spaces) +
                                   sizeof(State::contexts) + 8 + sizeof(State::advising) +
                                   sizeof(State::threads));
static_assert(sizeof(State) <= 1024, "a small scope is about 1 KiB");

/// What large scopes need: parts of a state that lie apart, one after the other.
class Hash {
public:
    template <class T, std::size_t N>
    void add(const InlineVector<T, N>& part) {
        static_assert(std::has_unique_object_representations_v<T>);
        state_ = XXH3_64bits_withSeed(part.data(), part.size() * sizeof(T), state_);
        add(part.size());
    }
    void add(u64 value) { state_ = XXH3_64bits_withSeed(&value, sizeof(value), state_); }
    u64 value() const { return state_; }

private:
    u64 state_ = 0;
};

u64 hash_of_parts(const State& state) {
    Hash hash;
    hash.add(state.pages);
    hash.add(state.slots);
    for (const File& file : state.files) {
        hash.add(static_cast<u64>(file.kind) | static_cast<u64>(file.page_mkwrite) << 8 |
                 static_cast<u64>(file.writable) << 16 | static_cast<u64>(file.size) << 32);
        hash.add(file.cache);
    }
    for (const Space& space : state.spaces) {
        hash.add(space.alive);
        hash.add(space.vmas);
        hash.add(space.pmds);
        hash.add(space.entries);
    }
    for (const Context& context : state.contexts) {
        hash.add(static_cast<u64>(context.open) | static_cast<u64>(context.api_done) << 1 |
                 static_cast<u64>(context.user_mode_only) << 2 |
                 static_cast<u64>(context.space) << 8 |
                 static_cast<u64>(context.mmap_changing) << 16 |
                 static_cast<u64>(context.features) << 32);
        hash.add(context.faults);
        hash.add(context.pending);
        hash.add(context.events);
    }
    hash.add(state.advising);
    hash.add(state.threads);
    hash.add(static_cast<u64>(state.swap_on) | static_cast<u64>(state.thp_enabled) << 1);
    return hash.value();
}

/// Gives pages new numbers in the order in which they are met.
class Renumber {
public:
    explicit Renumber(std::size_t count) : numbers_(count, no_page), to_(numbers_.data()) {}
    Renumber(const Renumber&) = delete;
    Renumber& operator=(const Renumber&) = delete;
    void meet(PageId page) {
        if (page != no_page && to_[page] == no_page) {
            to_[page] = next_++;
        }
    }
    bool met(PageId page) const { return to_[page] != no_page; }
    PageId operator()(PageId page) const { return page == no_page ? no_page : to_[page]; }

private:
    InlineVector<PageId, Pages::inside> numbers_;
    PageId* const to_;  // them: where they are is asked once
    PageId next_ = 0;
};

using PageSpan = std::span<const Page>;

bool refers_to_page(const Entry& entry) {
    return entry.maps_page() || entry.kind == EntryKind::migration ||
           entry.kind == EntryKind::hwpoison;
}

void renumber(Entry& entry, const Renumber& pages, const Renumber& slots) {
    if (refers_to_page(entry)) {
        entry.target = pages(entry.target);
    } else if (entry.kind == EntryKind::swap) {
        entry.target = slots(entry.target);
    }
}

/// Whole folios stay in a row: a head is met with its tails.
void meet(Renumber& pages, PageSpan all, PageId page) {
    if (page == no_page) {
        return;
    }
    while (all[page].tail) {
        --page;
    }
    pages.meet(page);
    while (page + 1U < all.size() && all[page + 1U].tail) {
        pages.meet(++page);
    }
}

/// Of what a folio holds, not of its number.
u64 key_of(const State& state, PageId head) {
    u64 key = 0;
    PageId id = head;
    do {
        Page page = state.pages[id];
        Slot slot;
        if (page.slot != no_slot) {
            slot = state.slots[page.slot];
            slot.cached = no_page;
            page.slot = 0;
        }
        key = XXH3_64bits_withSeed(&page, sizeof(page), key);
        key = XXH3_64bits_withSeed(&slot, sizeof(slot), key);
        ++id;
    } while (id < state.pages.size() && state.pages[id].tail);
    return key;
}

/// Pages that only the swap cache, a pin or a lock keeps: in the order of what they hold, and of
/// those that hold the same, of their slots as entries have named them.
void meet_orphans(const State& state, PageSpan all, Renumber& pages, Renumber& slots) {
    struct Orphan {
        u64 key;
        u16 slot;
        PageId head;
        auto rank() const { return std::pair{key, slot}; }
    };
    InlineVector<Orphan, 4> orphans;
    for (PageId id = 0; id < all.size(); ++id) {
        const Page& page = all[id];
        if (page.use != PageUse::free && !page.tail && !pages.met(id)) {
            const bool named = page.slot != no_slot && slots.met(page.slot);
            orphans.push_back({key_of(state, id), named ? slots(page.slot) : no_slot, id});
        }
    }
    std::ranges::sort(orphans, {}, &Orphan::rank);
    for (const Orphan& one : orphans) {
        meet(pages, all, one.head);
        slots.meet(all[one.head].slot);
    }
}

void meet_all(const State& state, Renumber& pages, Renumber& slots) {
    const PageSpan all(state.pages);
    const auto meet_entry = [&](const Entry& entry) {
        if (refers_to_page(entry)) {
            meet(pages, all, entry.target);
        } else if (entry.kind == EntryKind::swap) {
            slots.meet(entry.target);
        }
    };
    for (const Space& space : state.spaces) {
        for (const Pmd& pmd : space.pmds) {
            meet_entry(pmd.leaf);
        }
        for (const Entry& entry : space.entries) {
            meet_entry(entry);
        }
    }
    for (const File& file : state.files) {
        for (const Cached& cached : file.cache) {
            meet(pages, all, cached.page);
            slots.meet(cached.slot);
        }
    }
    meet_orphans(state, all, pages, slots);
    for (const Page& page : all) {
        slots.meet(page.slot);  // in the swap cache, where no entry names the slot
    }
    // The free ones, node by node; slots that failed while nobody had them come first.
    for (u8 node = 0; node < state.shape.nodes; ++node) {
        for (PageId page = 0; page < all.size(); ++page) {
            if (all[page].node == node) {
                pages.meet(page);
            }
        }
    }
    for (const bool unreadable : {true, false}) {
        for (u16 slot = 0; slot < state.slots.size(); ++slot) {
            if ((state.slots[slot].unreadable != 0) == unreadable) {
                slots.meet(slot);
            }
        }
    }
}

/// Whether meet_all() would give every page and slot the number that it has: numbers are met in
/// ascending order, and what is left over is free. Most steps leave a canonical state so, and this
/// is a third of the work. False: perhaps, in states that have what is rare.
class InOrder {
public:
    explicit InOrder(const State& state) : state_(state), all_(state.pages) {}

    bool holds() {
        if (state_.shape.nodes != 1) {
            return false;
        }
        for (const Space& space : state_.spaces) {
            for (const Pmd& pmd : space.pmds) {
                meet(pmd.leaf);
            }
            for (const Entry& entry : space.entries) {
                meet(entry);
            }
            if (!ok_) {
                return false;
            }
        }
        for (const File& file : state_.files) {
            for (const Cached& cached : file.cache) {
                meet_page(cached.page);
                meet_slot(cached.slot);
            }
        }
        return ok_ && rest_is_free();
    }

private:
    void meet(const Entry& entry) {
        if (refers_to_page(entry)) {
            meet_page(entry.target);
        } else if (entry.kind == EntryKind::swap) {
            meet_slot(entry.target);
        }
    }
    void meet_page(PageId page) {
        if (page == no_page || page < pages_) {
            return;
        }
        ok_ = ok_ && page == pages_;
        ++pages_;
        while (pages_ < all_.size() && all_[pages_].tail) {
            ++pages_;
        }
    }
    void meet_slot(u16 slot) {
        if (slot == no_slot || slot < slots_) {
            return;
        }
        ok_ = ok_ && slot == slots_;
        ++slots_;
    }
    bool rest_is_free() {
        for (PageId page = 0; page < all_.size(); ++page) {
            if (page >= pages_ && all_[page].use != PageUse::free) {
                return false;
            }
            meet_slot(all_[page].slot);
        }
        for (u32 slot = slots_; slot < state_.slots.size(); ++slot) {
            ok_ = ok_ && state_.slots[slot].unreadable == 0;
        }
        return ok_;
    }

    const State& state_;
    const PageSpan all_;
    u32 pages_ = 0;
    u32 slots_ = 0;
    bool ok_ = true;
};

}  // namespace

const Vma* State::find_vma(u8 space, Vpn at) const {
    for (const Vma& vma : spaces[space].vmas) {
        if (vma.contains(at)) {
            return &vma;
        }
    }
    return nullptr;
}

Vma* State::find_vma(u8 space, Vpn at) {
    for (Vma& vma : spaces[space].vmas) {
        if (vma.contains(at)) {
            return &vma;
        }
    }
    return nullptr;
}

State boot(const Shape& shape) {
    VERSO_CHECK(std::has_single_bit(shape.huge_pages), "{} pages in a huge page", shape.huge_pages);
    VERSO_CHECK(shape.space_pages < 1U << 20 && shape.nodes <= 16, "shape");
    VERSO_CHECK(shape.space_pages % shape.huge_pages == 0 && shape.nodes >= 1, "shape");
    State state;
    state.shape = shape;
    state.pages.resize(shape.pages);
    for (PageId page = 0; page < shape.pages; ++page) {
        state.pages[page].node = (page * shape.nodes / shape.pages) & 15U;
    }
    state.slots.resize(shape.slots);
    Space space;
    space.alive = true;
    space.pmds.resize(shape.space_pages / shape.huge_pages);
    space.entries.resize(shape.space_pages);
    state.spaces.push_back(std::move(space));
    Thread thread;
    thread.alive = true;
    thread.space = 0;
    state.threads.push_back(thread);
    return state;
}

void canonicalise(State& state) {
    if (InOrder(state).holds()) {
        return;
    }
    Renumber pages(state.pages.size());
    Renumber slots(state.slots.size());
    meet_all(state, pages, slots);
    const Pages pages_before = state.pages;
    const std::span<Page> now(state.pages);
    for (PageId id = 0; const Page& page : pages_before) {
        Page& moved = now[pages(id++)];
        moved = page;
        moved.slot = slots(page.slot);
    }
    const Slots slots_before = state.slots;
    for (PageId id = 0; const Slot& slot : slots_before) {
        Slot& moved = state.slots[slots(id++)];
        moved = slot;
        moved.cached = pages(slot.cached);
    }
    for (Space& space : state.spaces) {
        for (Pmd& pmd : space.pmds) {
            renumber(pmd.leaf, pages, slots);
        }
        for (Entry& entry : space.entries) {
            renumber(entry, pages, slots);
        }
    }
    for (File& file : state.files) {
        for (Cached& cached : file.cache) {
            cached.page = pages(cached.page);
            cached.slot = slots(cached.slot);
        }
    }
}

u64 hash_of(const State& state) {
    return state.flat() ? XXH3_64bits(&state, sizeof(state)) : hash_of_parts(state);
}

bool State::flat() const {
    return pages.flat() && slots.flat() && files.flat() && spaces.flat() && contexts.flat() &&
           advising.flat() && threads.flat();
}

bool operator==(const State& one, const State& two) {
    if (one.flat() && two.flat()) {
        // No padding, and the room of a vector that is not used is zero (inline_vector.h).
        // NOLINTNEXTLINE(bugprone-suspicious-memory-comparison)
        return std::memcmp(&one, &two, sizeof(one)) == 0;
    }
    return one.shape == two.shape && one.pages == two.pages && one.slots == two.slots &&
           one.files == two.files && one.spaces == two.spaces && one.contexts == two.contexts &&
           one.advising == two.advising && one.threads == two.threads &&
           one.swap_on == two.swap_on && one.thp_enabled == two.thp_enabled;
}

}  // namespace verso::mm
