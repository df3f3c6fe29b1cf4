// The model as BreadthFirst wants it: see the header.
#include "check/explore/worker.h"

#include <algorithm>
#include <cctype>

#include <fmt/core.h>

namespace verso::check::explore {
namespace {

using mm::Outcome;
using mm::Verdict;

/// Both are flat: bytes decide.
bool same_state(const Node& one, const Node& two) {
    const auto* const a = reinterpret_cast<const std::byte*>(&one.state);
    return std::memcmp(a, reinterpret_cast<const std::byte*>(&two.state), sizeof(mm::State)) == 0;
}

bool same(const Node& one, const Node& two) {
    const auto* const a = reinterpret_cast<const std::byte*>(&one);
    return std::memcmp(a, reinterpret_cast<const std::byte*>(&two), sizeof(Node)) == 0;
}

bool is_of_hugetlb(const Node& node) {
    const auto& files = node.state.files;
    return !files.empty() && files.front().kind == mm::FileKind::hugetlb;
}

/// What a step comes to, without oracles.
struct Came {
    Outcome outcome{};
    std::vector<mm::Machine::Region> scanned{};
    mm::State state{};
    friend bool operator==(const Came&, const Came&) = default;
};
Came step_under(const mm::Rules& rules, const Act& act, const Node& node) {
    Came made{{}, {}, node.state};
    FirstChoice choice;
    mm::Machine machine{made.state, rules, choice};
    for (const mm::Call& call : act.calls) {
        made.outcome = mm::step(machine, fitted(call, node));
        if (made.outcome.verdict != Verdict::done) {
            break;
        }
    }
    made.scanned = std::move(machine.scanned);
    return made;
}

/// Every so many nodes the switches are asked about all acts there: a sample, or it would cost more
/// than the search.
constexpr u64 nodes_per_question = 256;
constexpr unsigned always_asked_depth = 2;

}  // namespace

ModelWorker::ModelWorker(const Task& task, const Packer& packer)
    : task_(task),
      packer_(packer),
      history_(task.beginnings.front().state, task.rules, task.oracles) {
    mattered_.times.resize(mm::switches().size());
    mattered_.first_depth.resize(mm::switches().size());
}

void ModelWorker::arrive(std::span<const u64> packed, u32 number) {
    packer_.unpack(packed.data(), from_);
    number_ = number;
    next_differs_ = true;
    hugetlb_ = is_of_hugetlb(from_);
    // The kernel's own steps are made once in each address space.
    u32 seen = 0;
    first_of_space_.fill(false);
    for (std::size_t i = 0; i < from_.state.threads.size(); ++i) {
        const mm::Thread& thread = from_.state.threads[i];
        if (thread.alive && (seen >> thread.space & 1) == 0) {
            seen |= 1U << thread.space;
            first_of_space_[i] = true;
        }
    }
    if (!task_.coverage) {
        return;
    }
    ++turn_;
    if (depth_ <= always_asked_depth || turn_ % nodes_per_question == 0) {
        for (const Act& act : task_.acts) {
            ask_switches(act);
        }
    }
}

bool ModelWorker::is_pointless(const Act& act) const {
    const bool absent = act.thread >= from_.state.threads.size();
    if (absent || (act.by_kernel && !first_of_space_[act.thread])) {
        return true;
    }
    return hugetlb_ && act.page != 0;  // one huge page is one place
}

bool ModelWorker::perform(u16 index, u16 variant, Choice& choice) {
    const Act& act = task_.acts[index];
    if (next_differs_) {
        next_.state = from_.state;
        history_.restore(from_.past);
        next_differs_ = false;
    }
    const Origin origin{number_, {index, variant}};
    if (task_.against && variant == 0) {
        if (std::string parts = difference(task_, act, from_); !parts.empty()) {
            note(std::move(parts), origin, false);
            return false;
        }
    }
    bool happened = false;
    for (const mm::Call& plain : act.calls) {
        const mm::Call call = hugetlb_ ? fitted(plain, from_) : plain;
        history_.before(next_.state, call);
        mm::Machine machine{next_.state, task_.rules, choice};
        const Outcome outcome = mm::step(machine, call);
        if (outcome.verdict == Verdict::disabled) {
            break;
        }
        if (!next_.state.flat()) {
            ++outside_;
            next_differs_ = true;
            return false;
        }
        if (outcome.verdict == Verdict::failed && !happened && same_state(next_, from_)) {
            break;
        }
        happened = true;
        next_differs_ = true;
        std::string broken = history_.after(machine, call, outcome);
        if (!broken.empty()) {
            note(std::move(broken), origin, false);
            return false;
        }
        if (outcome.verdict != Verdict::done) {
            break;
        }
    }
    if (!happened) {
        return false;
    }
    note_exceptions(origin);
    next_.past = history_.past();
    if (!next_.past.flat()) {
        ++outside_;
        return false;
    }
    if (same(next_, from_)) {
        next_differs_ = false;
        return false;
    }
    Names names;
    make_canonical(next_, task_.scope, names);
    return true;
}

void ModelWorker::note_exceptions(const Origin& origin) {
    for (std::size_t i = 0; i < mm::exception_count; ++i) {
        const auto which = static_cast<mm::Exception>(i);
        if (history_.met(which) == met_[i]) {
            continue;
        }
        met_[i] = history_.met(which);
        if (task_.every) {
            const mm::KnownException& known = mm::known(which);
            note(fmt::format("{}: {}", known.name, known.reason), origin, true);
        }
    }
}

bool ModelWorker::fresh(std::span<const u64> packed, Origin origin) {
    if (!task_.oracles.has(mm::Oracle::invariants)) {
        return true;
    }
    packer_.unpack(packed.data(), fresh_);
    std::string broken = mm::broken_invariant(fresh_.state, task_.rules);
    if (broken.empty()) {
        return true;
    }
    note(std::move(broken), origin, false);
    return false;
}

/// What makes two findings the same: where it began, what is wrong, and what brought it about, but
/// not on which page.
std::string ModelWorker::kind_of(const std::string& sentence, const Origin& origin) const {
    std::string kind;
    for (const char c : sentence) {
        kind += std::isdigit(static_cast<unsigned char>(c)) != 0 ? '#' : c;
    }
    u16 beginning = origin.label.act;
    for (Origin at = origin; at.parent != Origin::none && origin_of;) {
        at = origin_of(at.parent);
        beginning = at.label.act;
    }
    const bool starts = origin.parent == Origin::none;
    const unsigned row = starts ? 0U : unsigned{task_.acts[origin.label.act].row};
    return fmt::format("{:02} {} {}", beginning, kind, row);
}

void ModelWorker::note(std::string sentence, const Origin& origin, bool exception) {
    const std::string kind = task_.every ? kind_of(sentence, origin) : std::string();
    const auto [at, is_new] =
        found_.try_emplace(kind, Finding{std::move(sentence), origin, depth_ + 1, 1, exception});
    if (!is_new) {
        ++at->second.times;
    }
}

/// Would this step have gone otherwise with the switch the other way round? It is made again for
/// each of them: what a rule decides cannot be read off the code without touching it.
void ModelWorker::ask_switches(const Act& act) {
    if (is_pointless(act)) {
        return;
    }
    const Came as_it_is = step_under(task_.rules, act, from_);
    ++mattered_.asked;
    for (std::size_t i = 0; i < mm::switches().size(); ++i) {
        mm::Rules other = task_.rules;
        bool& value = other.*mm::switches()[i].value;
        value = !value;
        if (step_under(other, act, from_) == as_it_is) {
            continue;
        }
        if (mattered_.times[i]++ == 0) {
            mattered_.first_depth[i] = depth_ + 1;
        }
    }
}

std::string difference(const Task& task, const Act& act, const Node& node) {
    if (!task.against) {
        return "";
    }
    const Came one = step_under(task.rules, act, node);
    const Came two = step_under(*task.against, act, node);
    if (one.outcome != two.outcome || one.scanned != two.scanned) {
        return fmt::format("differs: {}, under the other rules {}", to_string(one.outcome),
                           to_string(two.outcome));
    }
    return one == two ? "" : "differs: the machine, not yet what is seen of it";
}

mm::Call fitted(mm::Call call, const Node& node) {
    const u64 huge = to_bytes(node.state.shape.huge_pages);
    if (is_of_hugetlb(node) && call.op != mm::Op::ftruncate) {
        call.length = round_up(call.length, huge);
        call.extra = call.op == mm::Op::mremap ? call.length : call.extra;
    }
    return call;
}

Performed perform(const Task& task, const Act& act, Node& node, Choice& choice) {
    Performed performed;
    const std::string parts = difference(task, act, node);
    mm::History history(node.state, task.rules, task.oracles);
    history.restore(node.past);
    for (const mm::Call& plain : act.calls) {
        const mm::Call call = fitted(plain, node);
        history.before(node.state, call);
        mm::Machine machine{node.state, task.rules, choice};
        performed.outcomes.push_back(mm::step(machine, call));
        performed.broken = history.after(machine, call, performed.outcomes.back());
        if (!performed.broken.empty() || performed.outcomes.back().verdict != Verdict::done) {
            break;
        }
    }
    if (parts.empty()) {
        node.past = history.past();
    } else {
        performed.broken = parts;
    }
    if (performed.broken.empty() && task.oracles.has(mm::Oracle::invariants)) {
        performed.broken = mm::broken_invariant(node.state, task.rules);
    }
    return performed;
}

}  // namespace verso::check::explore
