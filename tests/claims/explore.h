// A small breadth-first search over everything that a few acts can do to a few pages, each act in
// every way in which the kernel's choices can go: states are values, so each is met once, and the
// first program that shows something is a shortest one.
//
// The scope of a claim is part of it: "nothing found" means nothing in so many acts of that
// alphabet. Both are in the row that the search fills.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "mm/armed.h"

namespace verso::claims {

using mm::MemoryKind;
using mm::Rules;
using mm::State;

/// One thing that is done: a name, some steps of the model, and what it means for who must be told
/// of stores (I9).
struct Act {
    enum class Meaning : u8 { other, store, arms, releases };
    std::string name;
    std::vector<mm::Call> calls;
    Meaning meaning = Meaning::other;
    u32 page = 0;
    u32 pages = 1;
};

struct Scope {
    MemoryKind kind = MemoryKind::SS;
    u32 features = mm::unpopulated;  // else empty anonymous memory has no protection (W-1)
    bool stored_first = true;        // page 0
    bool registered = true;          // for WP
    bool armed_first = false;        // … and protected
    unsigned acts_max = 7;
    std::vector<Act> acts{};
    /// What must hold of every state; empty: it does.
    std::function<std::string(const State&, const Rules&)> holds{};
    /// What must hold after a store to page 0 that nobody was told of, instead of "it was not
    /// protected".
    std::function<bool(const State&)> after_store{};
};

struct Found {
    std::string trouble;  // empty: none
    std::string program;  // that leads there
    u64 states = 0;
    u64 steps = 0;
};

/// Looks for a store that nobody was told of although its page was protected, and for a state in
/// which `holds` does not.
Found explore(const Rules& rules, const Scope& scope);

/// Runs the same acts under two sets of rules side by side, with the same choices. Looks for an act
/// whose outcome (with what PAGEMAP_SCAN reported) differs. `states` is of pairs.
struct FoundPair : Found {
    u64 states_one = 0;
    u64 states_two = 0;
    u64 slower = 0;  // pairs in which a store to page 0 would take a silent fault under `two` alone
    u64 differ = 0;  // pairs for which `compare` said so
};
FoundPair explore_pair(const Rules& one, const Rules& two, const Scope& scope,
                       const std::function<bool(const State&, const State&)>& compare = {});

/// The alphabet: what may happen to pages 0 and 1 (hugetlb: one huge page).
std::vector<Act> usual_acts();
std::vector<Act> acts_named(std::initializer_list<std::string_view> names);

/// Two threads on two nodes: memory of a single one gets no NUMA hints (E-NU5), and the first store
/// is the other one's, so that the end of a hint may move the page.
mm::World prepared(const Rules& rules, const Scope& scope);
std::string invariant(const State& state, const Rules& rules);

}  // namespace verso::claims
