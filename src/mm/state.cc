// State: switching on, comparing, and the canonical form.
#include "mm/state.h"

#include <algorithm>
#include <bit>

#include "base/check.h"

namespace verso::mm {
namespace {

/// FNV-1a over 64-bit words, finished by a multiply-and-fold: fast, and good enough for tables.
class Hash {
public:
    void add(u64 value) { state_ = std::rotl(state_ ^ value, 29) * 0x9e3779b97f4a7c15; }
    u64 value() const { return state_ ^ (state_ >> 31); }

private:
    u64 state_ = 0xcbf29ce484222325;
};

u64 packed(const Entry& entry) {
    u64 bits = static_cast<u64>(entry.kind) | static_cast<u64>(entry.migration) << 4 |
               static_cast<u64>(entry.markers) << 8 | static_cast<u64>(entry.target) << 16;
    const bool flags[] = {entry.write,   entry.dirty,    entry.young, entry.soft_dirty,
                          entry.uffd_wp, entry.protnone, entry.zero,  entry.exclusive};
    for (unsigned i = 0; i < std::size(flags); ++i) {
        bits |= static_cast<u64>(flags[i]) << (32 + i);
    }
    return bits;
}

void add(Hash& hash, const Page& page) {
    u64 bits = static_cast<u64>(page.use) | static_cast<u64>(page.node) << 4 |
               static_cast<u64>(page.pins) << 8 | static_cast<u64>(page.maps) << 16 |
               static_cast<u64>(page.slot) << 32;
    const bool flags[] = {page.head,   page.tail,     page.hugetlb, page.anon_exclusive,
                          page.dirty,  page.lazyfree, page.ksm,     page.hwpoison,
                          page.locked, page.writeback};
    for (unsigned i = 0; i < std::size(flags); ++i) {
        bits |= static_cast<u64>(flags[i]) << (48 + i);
    }
    hash.add(bits);
    hash.add(static_cast<u64>(page.file) | static_cast<u64>(page.index) << 8);
    hash.add(page.contents);
}

void add(Hash& hash, const std::vector<Message>& messages) {
    hash.add(messages.size());
    for (const Message& one : messages) {
        hash.add(static_cast<u64>(one.kind) | static_cast<u64>(one.flags) << 8 |
                 static_cast<u64>(one.thread) << 16 | static_cast<u64>(one.context) << 24);
        hash.add(one.address);
        hash.add(one.end);
        hash.add(one.length);
    }
}

void add(Hash& hash, const Context& context) {
    hash.add(static_cast<u64>(context.open) | static_cast<u64>(context.api_done) << 1 |
             static_cast<u64>(context.user_mode_only) << 2 |
             static_cast<u64>(context.released) << 3 | static_cast<u64>(context.space) << 8 |
             static_cast<u64>(context.mmap_changing) << 16 |
             static_cast<u64>(context.features) << 32);
    add(hash, context.faults);
    add(hash, context.pending);
    add(hash, context.events);
}

void add(Hash& hash, const Space& space) {
    hash.add(space.alive);
    hash.add(space.vmas.size());
    for (const Vma& vma : space.vmas) {
        hash.add(static_cast<u64>(vma.start) | static_cast<u64>(vma.end) << 32);
        hash.add(static_cast<u64>(vma.flags) | static_cast<u64>(vma.offset) << 32);
        hash.add(static_cast<u64>(vma.file) | static_cast<u64>(vma.context) << 8 |
                 static_cast<u64>(vma.prot_write) << 16 | static_cast<u64>(vma.prot_access) << 17);
    }
    for (const Pmd& pmd : space.pmds) {
        hash.add(static_cast<u64>(pmd.kind) << 48 ^ packed(pmd.leaf));
    }
    for (const Entry& entry : space.entries) {
        hash.add(packed(entry));
    }
}

void add(Hash& hash, const Thread& thread) {
    hash.add(static_cast<u64>(thread.alive) | static_cast<u64>(thread.space) << 8 |
             static_cast<u64>(thread.node) << 16 | static_cast<u64>(thread.waiting) << 24 |
             static_cast<u64>(thread.context) << 32 | static_cast<u64>(thread.access.kind) << 40 |
             static_cast<u64>(thread.access.kernel) << 48 |
             static_cast<u64>(thread.access.forced) << 49);
    hash.add(thread.access.address);
    hash.add(thread.access.value);
}

/// Gives pages new numbers in the order in which they are met.
class Renumber {
public:
    explicit Renumber(std::size_t count) : to_(count, no_page) {}
    void meet(PageId page) {
        if (page != no_page && to_[page] == no_page) {
            to_[page] = next_++;
        }
    }
    PageId operator()(PageId page) const { return page == no_page ? no_page : to_[page]; }

private:
    std::vector<PageId> to_;
    PageId next_ = 0;
};

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
void meet(Renumber& pages, const State& state, PageId page) {
    while (page != no_page && state.pages[page].tail) {
        --page;
    }
    pages.meet(page);
    for (PageId next = page;
         next != no_page && next + 1U < state.pages.size() && state.pages[next + 1].tail;) {
        pages.meet(++next);
    }
}

void meet_all(const State& state, Renumber& pages, Renumber& slots) {
    const auto meet_entry = [&](const Entry& entry) {
        if (refers_to_page(entry)) {
            meet(pages, state, entry.target);
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
            meet(pages, state, cached.page);
            slots.meet(cached.slot);
        }
    }
    // What only the swap cache, a pin or a lock keeps; then the free ones, node by node.
    for (PageId slot = 0; slot < state.slots.size(); ++slot) {
        if (state.slots[slot].count > 0 || state.slots[slot].cached != no_page) {
            slots.meet(slot);
            meet(pages, state, state.slots[slot].cached);
        }
    }
    for (PageId page = 0; page < state.pages.size(); ++page) {
        if (state.pages[page].use != PageUse::free) {
            meet(pages, state, page);
        }
    }
    for (u8 node = 0; node < state.shape.nodes; ++node) {
        for (PageId page = 0; page < state.pages.size(); ++page) {
            if (state.pages[page].node == node) {
                pages.meet(page);
            }
        }
    }
    for (PageId slot = 0; slot < state.slots.size(); ++slot) {
        slots.meet(slot);
    }
}

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
    VERSO_CHECK(shape.space_pages % shape.huge_pages == 0 && shape.nodes >= 1, "shape");
    State state;
    state.shape = shape;
    state.pages.resize(shape.pages);
    for (PageId page = 0; page < shape.pages; ++page) {
        state.pages[page].node = static_cast<u8>(page * shape.nodes / shape.pages);
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
    Renumber pages(state.pages.size());
    Renumber slots(state.slots.size());
    meet_all(state, pages, slots);
    std::vector<Page> new_pages(state.pages.size());
    for (PageId page = 0; page < state.pages.size(); ++page) {
        new_pages[pages(page)] = state.pages[page];
        new_pages[pages(page)].slot = slots(state.pages[page].slot);
    }
    std::vector<Slot> new_slots(state.slots.size());
    for (PageId slot = 0; slot < state.slots.size(); ++slot) {
        new_slots[slots(slot)] = state.slots[slot];
        new_slots[slots(slot)].cached = pages(state.slots[slot].cached);
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
    state.pages = std::move(new_pages);
    state.slots = std::move(new_slots);
}

u64 hash_of(const State& state) {
    Hash hash;
    for (const Page& page : state.pages) {
        add(hash, page);
    }
    for (const Slot& slot : state.slots) {
        hash.add(static_cast<u64>(slot.count) | static_cast<u64>(slot.cached) << 16 |
                 static_cast<u64>(slot.in_file_cache) << 32 |
                 static_cast<u64>(slot.unreadable) << 33);
        hash.add(slot.contents);
    }
    for (const File& file : state.files) {
        hash.add(static_cast<u64>(file.kind) | static_cast<u64>(file.page_mkwrite) << 4 |
                 static_cast<u64>(file.writable) << 5 | static_cast<u64>(file.size) << 8);
        for (const Cached& cached : file.cache) {
            hash.add(static_cast<u64>(cached.page) | static_cast<u64>(cached.slot) << 16 |
                     static_cast<u64>(cached.disk) << 32);
        }
    }
    for (const Space& space : state.spaces) {
        add(hash, space);
    }
    for (const Context& context : state.contexts) {
        add(hash, context);
    }
    for (const Thread& thread : state.threads) {
        add(hash, thread);
    }
    hash.add(static_cast<u64>(state.swap_on) | static_cast<u64>(state.thp_enabled) << 1);
    return hash.value();
}

}  // namespace verso::mm
