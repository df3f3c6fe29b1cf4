// State as a value: its size, its copies, its equality, hash and canonical form.
#include "mm/state.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "mm/allocations.h"
#include "mm/armed.h"

namespace verso::mm {
namespace {

/// Something of everything: two processes, a file, swapped-out, protected and marked pages.
World busy() {
    World world = armed(MemoryKind::SP);
    world.map(MemoryKind::A, 2, 2);
    EXPECT_TRUE(silent(world.store(2, 3)));
    EXPECT_TRUE(silent(world.kernel(Op::reclaim, 2)));
    EXPECT_TRUE(silent(world.step({.op = Op::fork})));
    return world;
}

/// A random step of the kernel or of a thread at a page of the first few.
Call random_call(RandomChoice& choice) {
    const Op ops[] = {Op::load,        Op::store,         Op::reclaim,      Op::migrate_begin,
                      Op::migrate_end, Op::fork,          Op::ksm_merge,    Op::gup_pin,
                      Op::gup_unpin,   Op::numa_scan,     Op::thp_collapse, Op::madvise,
                      Op::mprotect,    Op::thp_split,     Op::munmap,       Op::uffd_writeprotect,
                      Op::store,       Op::migrate_begin, Op::retry,        Op::exit};
    Call call{.op = ops[choice.choose(std::size(ops))]};
    call.thread = static_cast<u8>(choice.choose(3));
    call.fd = 0;
    call.flags = choice.choose(4);
    call.address = to_bytes(choice.choose(4));
    call.length = to_bytes(1 + choice.choose(2));
    call.source = to_bytes(choice.choose(4));
    call.value = choice.choose(3);
    return call;
}

TEST(State, OfASmallScopeIsOneBlockOfAKibibyte) {
    EXPECT_LE(sizeof(State), 1024U);
    EXPECT_TRUE(boot(Shape{}).flat());
    EXPECT_TRUE(busy().state().flat());
}

TEST(State, OfASmallScopeIsCopiedComparedAndHashedWithoutAllocating) {
    const World world = [] { return busy(); }();
    World other = world;
    const State& state = other.state();
    u64 hash = 0;
    bool equal = false;
    EXPECT_EQ(allocations_of([&] {
                  State copy = state;
                  State assigned = copy;
                  assigned.swap_on = false;
                  assigned = state;
                  canonicalise(copy);
                  equal = assigned == state;
                  hash = hash_of(assigned);
              }),
              0U);
    EXPECT_TRUE(equal);
    EXPECT_EQ(hash, hash_of(state));
}

TEST(State, OfALargeScopeIsTheSameKindOfValue) {
    Shape shape;
    shape.space_pages = 2048;
    shape.huge_pages = 512;
    shape.pages = 1500;
    World world(mainline(), shape);
    world.map(MemoryKind::A, 1024);
    EXPECT_TRUE(silent(world.store(700, 5)));
    EXPECT_FALSE(world.state().flat());
    State copy = world.state();
    EXPECT_EQ(copy, world.state());
    EXPECT_EQ(hash_of(copy), hash_of(world.state()));
    copy.spaces[0].entries[700].young = false;
    EXPECT_NE(copy, world.state());
    EXPECT_NE(hash_of(copy), hash_of(world.state()));
    EXPECT_TRUE(world.state().spaces[0].entries[700].young);
}

TEST(State, ThatGrewAndShrankAgainIsEqualToOneThatNeverDid) {
    World world = busy();
    State grown = world.state();
    for (unsigned i = 0; i < 5; ++i) {
        grown.contexts[0].events.emplace_back();
        grown.files.emplace_back();
    }
    EXPECT_NE(grown, world.state());
    grown.contexts[0].events.clear();
    grown.files.erase(grown.files.begin() + world.state().files.size(), grown.files.end());
    EXPECT_EQ(grown, world.state());
    EXPECT_EQ(hash_of(grown), hash_of(world.state()));
}

TEST(State, DiffersInEveryFieldThatIsChanged) {
    World world = busy();
    const State& state = world.state();
    const auto differs = [&](auto&& change) {
        State other = state;
        change(other);
        return other != state && hash_of(other) != hash_of(state);
    };
    EXPECT_TRUE(differs([](State& s) { s.pages[0].maps += 1; }));
    EXPECT_TRUE(differs([](State& s) { s.pages[11].writeback = true; }));
    EXPECT_TRUE(differs([](State& s) { s.slots[0].unreadable = true; }));
    EXPECT_TRUE(differs([](State& s) { s.files[0].cache[1].disk = 1; }));
    EXPECT_TRUE(differs([](State& s) { s.spaces[1].pmds[1].leaf.young = true; }));
    EXPECT_TRUE(differs([](State& s) { s.spaces[0].vmas[0].prot_access = false; }));
    EXPECT_TRUE(differs([](State& s) { s.contexts[0].mmap_changing = 1; }));
    EXPECT_TRUE(differs([](State& s) { s.threads[1].access.forced = true; }));
    EXPECT_TRUE(differs([](State& s) { s.thp_enabled = true; }));
    EXPECT_TRUE(differs([](State& s) { s.contexts.emplace_back(); }));
}

/// Pages and slots under other numbers; folios stay whole, because nothing large is moved.
State renumbered(const State& from, RandomChoice& choice) {
    State state = from;
    const auto swap_pages = [&](PageId a, PageId b) {
        const auto other = [&](PageId id) { return id == a ? b : id == b ? a : id; };
        std::swap(state.pages[a], state.pages[b]);
        for (Space& space : state.spaces) {
            for (Entry& entry : space.entries) {
                if (entry.maps_page() || entry.kind == EntryKind::migration ||
                    entry.kind == EntryKind::hwpoison) {
                    entry.target = other(entry.target);
                }
            }
        }
        for (File& file : state.files) {
            for (Cached& cached : file.cache) {
                cached.page = other(cached.page);
            }
        }
        for (Slot& slot : state.slots) {
            slot.cached = other(slot.cached);
        }
    };
    const auto small = [&](PageId id) { return !state.pages[id].head && !state.pages[id].tail; };
    for (unsigned i = 0; i < 6; ++i) {
        const auto a = static_cast<PageId>(choice.choose(state.shape.pages));
        const auto b = static_cast<PageId>(choice.choose(state.shape.pages));
        if (small(a) && small(b)) {
            swap_pages(a, b);
        }
    }
    return state;
}

RC_GTEST_PROP(State, CanonicalFormIsOneForAllNumberings, (u64 seed, u8 steps)) {
    RandomChoice choice(seed);
    World world = busy();
    for (u8 i = 0; i < steps; ++i) {
        Machine machine{world.state(), world.rules(), choice};
        step(machine, random_call(choice));
    }
    State once = world.state();
    canonicalise(once);
    State twice = once;
    canonicalise(twice);
    RC_ASSERT(once == twice);
    State other = renumbered(world.state(), choice);
    canonicalise(other);
    RC_ASSERT(other == once);
    RC_ASSERT(hash_of(other) == hash_of(once));
    RC_ASSERT(broken_invariant(once, world.rules()).empty() == world.broken().empty());
}

}  // namespace
}  // namespace verso::mm
