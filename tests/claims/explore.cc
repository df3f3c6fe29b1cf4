// The search: states in the order in which they are met, each with the act that led there. An act
// is done once for every way in which its choices can go (base/choice.h): the page stays in the
// swap cache or leaves it, a hint moves the page or not.
#include "claims/explore.h"

#include <unordered_map>

#include "base/check.h"

namespace verso::claims {
namespace {

using mm::Call;
using mm::Op;
using mm::Verdict;

struct Outcomes {
    std::vector<mm::Outcome> each;
    std::vector<mm::Machine::Region> scanned;
    bool done() const {
        for (const mm::Outcome& one : each) {
            if (one.verdict != Verdict::done) {
                return false;
            }
        }
        return true;
    }
    friend bool operator==(const Outcomes&, const Outcomes&) = default;
};

/// The answers of an Enumerator, given to two machines: where both ask the same question, both get
/// the same answer. The kernel's whims are not what two sets of rules differ in.
class SameForBoth final : public Choice {
public:
    u32 choose(u32 n) override {
        VERSO_CHECK(n >= 1, "a choice among none");
        if (at_ == answers_.size()) {
            answers_.push_back(every_.choose(n));
            limits_.push_back(n);
        }
        VERSO_CHECK(limits_[at_] == n, "two questions in one place: {} and {} answers",
                    limits_[at_], n);
        return answers_[at_++];
    }
    void for_the_other() { at_ = 0; }
    bool next() {
        at_ = 0;
        answers_.clear();
        limits_.clear();
        return every_.next();
    }

private:
    Enumerator every_;
    std::vector<u32> answers_;
    std::vector<u32> limits_;
    std::size_t at_ = 0;
};

Outcomes perform(State& state, const Rules& rules, const Act& act, Choice& choice) {
    mm::Machine machine{state, rules, choice};
    Outcomes outcomes;
    for (const Call& call : act.calls) {
        outcomes.each.push_back(mm::step(machine, call));
        if (outcomes.each.back().verdict != Verdict::done) {
            break;
        }
    }
    outcomes.scanned.assign(machine.scanned.begin(), machine.scanned.end());
    mm::canonicalise(state);
    return outcomes;
}

/// A place in the search: what is there, who must be told, and how it was reached.
template <class What>
struct Node {
    What what;
    u32 armed = 0;  // bit i: page i
    i64 from = -1;
    u32 act = 0;
    unsigned depth = 0;
};

template <class What>
struct Search {
    std::vector<Node<What>> nodes;
    std::unordered_multimap<u64, std::size_t> met;
    static constexpr std::size_t nodes_max = 300'000;

    bool add(u64 hash, Node<What> node) {
        const auto [first, last] = met.equal_range(hash);
        for (auto it = first; it != last; ++it) {
            if (nodes[it->second].what == node.what && nodes[it->second].armed == node.armed) {
                return false;
            }
        }
        VERSO_CHECK(nodes.size() < nodes_max, "the scope is too large: {} states", nodes.size());
        met.emplace(hash, nodes.size());
        nodes.push_back(std::move(node));
        return true;
    }
    std::string path(const Scope& scope, std::size_t at, const std::string& last) const {
        std::string text = last;
        while (nodes[at].from >= 0) {
            text = scope.acts[nodes[at].act].name + (text.empty() ? "" : "; ") + text;
            at = static_cast<std::size_t>(nodes[at].from);
        }
        return text;
    }
};

u32 armed_after(u32 armed, const Act& act) {
    const u32 bits = ((1U << act.pages) - 1) << act.page;
    switch (act.meaning) {
        case Act::Meaning::arms: return armed | bits;
        case Act::Meaning::releases: return armed & ~bits;
        case Act::Meaning::store:
        case Act::Meaning::other: return armed;
    }
    return armed;
}

bool lost_write(const Scope& scope, const State& after, u32 armed, const Act& act) {
    if (act.meaning != Act::Meaning::store) {
        return false;
    }
    if (scope.after_store) {
        return !scope.after_store(after);
    }
    const mm::Vma* const vma = after.find_vma(0, act.page);
    return (armed >> act.page & 1) != 0 && vma != nullptr && vma->has(mm::VmFlag::uffd_wp);
}

Call at_page(Op op, u32 page, u32 flags = 0) {
    Call call{.op = op, .fd = 0, .flags = flags};
    call.address = to_bytes(page);
    call.length = to_bytes(2 - page);
    return call;
}

Act act(const char* name, Call call, Act::Meaning meaning = Act::Meaning::other) {
    return {name, {call}, meaning, 0, 2};
}

std::string trouble_after(const Rules& rules, const Scope& scope, const Node<State>& node,
                          const Act& act, const Outcomes& outcomes) {
    if (outcomes.done() && lost_write(scope, node.what, node.armed, act)) {
        return "a store that goes unseen";
    }
    return scope.holds ? scope.holds(node.what, rules) : "";
}

bool would_fault(const State& state) {
    const mm::Entry entry = mm::entry_at(state, 0, 0);
    return !entry.present() || !entry.write;
}

}  // namespace

std::string invariant(const State& state, const Rules& rules) {
    return mm::broken_invariant(state, rules);
}

mm::World prepared(const Rules& rules, const Scope& scope) {
    mm::Shape shape;
    shape.nodes = 2;
    mm::World world(rules, shape);
    world.map(scope.kind, 2);
    const u8 other = mm::second_thread(world, 1);
    if (scope.stored_first) {
        EXPECT_EQ(world.store(0, 1, other).verdict, Verdict::done);
    }
    world.open(scope.features);
    if (scope.registered) {
        EXPECT_EQ(world.register_(0, 2, mm::Mode::wp).verdict, Verdict::done);
    }
    if (scope.armed_first) {
        EXPECT_EQ(world.protect(0, 2).verdict, Verdict::done);
    }
    return world;
}

std::vector<Act> usual_acts() {
    using M = Act::Meaning;
    constexpr u32 read = mm::MapFlags::read;
    constexpr u32 write = mm::MapFlags::write;
    const auto advice = [](mm::Advice which) {
        return at_page(Op::madvise, 0, static_cast<u32>(which));
    };
    Call store = at_page(Op::store, 0);
    store.value = 1;
    Call copy = at_page(Op::uffd_copy, 0, 2);  // UFFDIO_COPY_MODE_WP
    copy.length = page_size;
    copy.value = 1;
    Call copy_huge = copy;
    copy_huge.length = 2 * page_size;
    Act arm = act("WRITEPROTECT", at_page(Op::uffd_writeprotect, 0, 1), M::arms);
    Act migrate = act("migrate", at_page(Op::migrate_begin, 0));
    migrate.calls.push_back(at_page(Op::migrate_end, 0));
    Act both = act("mprotect(READ); mprotect(READ|WRITE)", at_page(Op::mprotect, 0, read));
    both.calls.push_back(at_page(Op::mprotect, 0, read | write));
    Call scan = at_page(Op::pagemap_scan, 0);
    Call again = at_page(Op::uffd_register, 0, mm::Mode::wp);
    Act copied = act("COPY(WP)", copy, M::arms);
    copied.pages = 1;
    Call plain = at_page(Op::uffd_copy, 0, 0);
    plain.length = page_size;
    plain.value = 1;
    Act moved = act("MOVE away and back", at_page(Op::uffd_move, 1), M::releases);
    moved.calls.push_back(at_page(Op::uffd_move, 0));
    moved.calls[1].source = page_size;
    moved.calls[0].length = moved.calls[1].length = page_size;
    return {
        {"store", {store}, M::store, 0, 1},
        act("load", at_page(Op::load, 0)),
        arm,
        act("clear", at_page(Op::uffd_writeprotect, 0, 0), M::releases),
        migrate,
        act("migrate begins", at_page(Op::migrate_begin, 0)),
        act("migrate ends", at_page(Op::migrate_end, 0)),
        act("migrate fails", at_page(Op::migrate_fail, 0)),
        act("hint", at_page(Op::numa_scan, 0)),
        act("mprotect(READ)", at_page(Op::mprotect, 0, read)),
        act("mprotect(READ|WRITE)", at_page(Op::mprotect, 0, read | write)),
        both,
        act("reclaim", at_page(Op::reclaim, 0)),
        act("swapoff", at_page(Op::swapoff, 0)),
        act("device collects", at_page(Op::device_collect, 0)),
        act("device unmaps", at_page(Op::device_unmap, 0)),
        act("device is refused", at_page(Op::device_unmap, 0, 1)),
        act("device ends", at_page(Op::device_finalize, 0)),
        act("device fails", at_page(Op::device_finalize, 0, 1)),
        act("writeback begins", at_page(Op::writeback_begin, 0)),
        act("writeback ends", at_page(Op::writeback_end, 0)),
        act("DONTNEED", advice(mm::Advice::dontneed), M::releases),
        act("FREE", advice(mm::Advice::free)),
        copied,
        act("COPY", plain, M::releases),
        moved,
        act("COPY(WP) of a huge page", copy_huge, M::arms),
        act("REGISTER(WP)", again),
        act("UNREGISTER", at_page(Op::uffd_unregister, 0), M::releases),
        act("clear_refs", at_page(Op::clear_refs, 0)),
        act("scan", scan),
        act("COLLAPSE", advice(mm::Advice::collapse)),
    };
}

std::vector<Act> acts_named(std::initializer_list<std::string_view> names) {
    const std::vector<Act> all = usual_acts();
    std::vector<Act> chosen;
    for (const std::string_view name : names) {
        for (const Act& one : all) {
            if (one.name == name) {
                chosen.push_back(one);
            }
        }
    }
    VERSO_CHECK(chosen.size() == names.size(), "an act without a name");
    return chosen;
}

Found explore(const Rules& rules, const Scope& scope) {
    Search<State> search;
    Found found;
    State start = prepared(rules, scope).state();
    mm::canonicalise(start);
    search.add(mm::hash_of(start), {start, scope.armed_first ? 3U : 0U});
    for (std::size_t at = 0; at < search.nodes.size(); ++at) {
        for (u32 i = 0; i < scope.acts.size() && search.nodes[at].depth < scope.acts_max; ++i) {
            const Act& act = scope.acts[i];
            Enumerator every;
            do {
                Node<State> next = search.nodes[at];
                const Outcomes outcomes = perform(next.what, rules, act, every);
                ++found.steps;
                found.trouble = trouble_after(rules, scope, next, act, outcomes);
                if (!found.trouble.empty()) {
                    found.program = search.path(scope, at, act.name);
                    found.states = search.nodes.size();
                    return found;
                }
                next.armed = outcomes.done() ? armed_after(next.armed, act) : next.armed;
                next.from = static_cast<i64>(at);
                next.act = i;
                ++next.depth;
                search.add(mm::hash_of(next.what), std::move(next));
            } while (every.next());
        }
    }
    found.states = search.nodes.size();
    return found;
}

FoundPair explore_pair(const Rules& one, const Rules& two, const Scope& scope,
                       const std::function<bool(const State&, const State&)>& compare) {
    using Pair = std::pair<State, State>;
    Search<Pair> search;
    Search<State> ones;
    Search<State> twos;
    FoundPair found;
    Pair start{prepared(one, scope).state(), prepared(two, scope).state()};
    search.add(0, {start});
    for (std::size_t at = 0; at < search.nodes.size(); ++at) {
        const Pair& here = search.nodes[at].what;
        ones.add(mm::hash_of(here.first), {here.first});
        twos.add(mm::hash_of(here.second), {here.second});
        found.slower += !would_fault(here.first) && would_fault(here.second) ? 1U : 0U;
        found.differ += compare && compare(here.first, here.second) ? 1U : 0U;
        for (u32 i = 0; i < scope.acts.size() && search.nodes[at].depth < scope.acts_max; ++i) {
            SameForBoth every;
            do {
                Node<Pair> next = search.nodes[at];
                const Outcomes first = perform(next.what.first, one, scope.acts[i], every);
                every.for_the_other();
                const Outcomes second = perform(next.what.second, two, scope.acts[i], every);
                ++found.steps;
                if (!(first == second)) {
                    found.trouble = "the outcomes differ";
                    found.program = search.path(scope, at, scope.acts[i].name);
                    found.states = search.nodes.size();
                    return found;
                }
                next.from = static_cast<i64>(at);
                next.act = i;
                ++next.depth;
                const u64 hash = mm::hash_of(next.what.first) * 31 + mm::hash_of(next.what.second);
                search.add(hash, std::move(next));
            } while (every.next());
        }
    }
    found.states = search.nodes.size();
    found.states_one = ones.nodes.size();
    found.states_two = twos.nodes.size();
    return found;
}

}  // namespace verso::claims
