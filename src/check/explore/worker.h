// ModelWorker: the model as BreadthFirst wants it. From a node, every act of the alphabet is made,
// with every answer that the kernel could give where it may choose; each step is watched by the
// oracles over history, each new node by those over one state.
//
// What an edge costs on the way, and what saves it: an act that is not possible leaves the node as
// it was, so nothing is copied for the next; a call that failed is compared and then forgotten; an
// act whose oracle speaks leads nowhere.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "base/choice.h"
#include "check/explore/acts.h"
#include "check/explore/breadth_first.h"
#include "check/explore/symmetry.h"

namespace verso::check::explore {

/// One thing that was found, with the way that leads there.
struct Finding {
    std::string sentence;  ///< of the oracle; its first word is the row
    Origin origin{};
    unsigned depth = 0;      ///< steps
    u64 times = 1;           ///< how many ways, of this length and longer, were met
    bool exception = false;  ///< known and allowed: an oracle looked away
};

/// What all workers share and none changes.
struct Task {
    Scope scope;
    mm::Rules rules;
    mm::Oracles oracles = mm::Oracles::all();
    bool every = false;     ///< list everything, instead of the first
    bool coverage = false;  ///< ask which rules matter
    std::optional<mm::Rules>
        against{};  ///< other rules, under which each step must come to the same
    std::vector<Act> acts{};
    std::vector<Beginning> beginnings{};
};

/// How often a switch, had it been the other way round, would have changed a step.
struct Mattered {
    u64 asked = 0;
    std::vector<u64> times{};
    std::vector<unsigned> first_depth{};
};

class ModelWorker {
public:
    ModelWorker(const Task& task, const Packer& packer);

    static std::size_t size(const u64* state) { return Packer::size(state); }

    template <class Emit>
    void expand(std::span<const u64> packed, u32 number, Emit emit) {
        arrive(packed, number);
        for (u16 act = 0; act < task_.acts.size() && !enough(); ++act) {
            if (is_pointless(task_.acts[act])) {
                continue;
            }
            u16 variant = 0;
            Enumerator every;
            do {
                if (perform(act, variant, every)) {
                    emit(packer_.pack(next_, packed_), Label{act, variant});
                }
                ++variant;
                ++tried_;
            } while (every.next());
        }
    }
    bool fresh(std::span<const u64> packed, Origin origin);
    bool enough() const { return !task_.every && !found_.empty(); }

    const std::map<std::string, Finding>& found() const { return found_; }
    const Mattered& mattered() const { return mattered_; }
    /// Steps that led out of what a State holds inside itself: more VMAs, messages, threads.
    u64 outside() const { return outside_; }
    /// Acts that were made, or shown to be impossible, with each of their outcomes.
    u64 tried() const { return tried_; }
    /// Of the nodes that are expanded from now on.
    void at_depth(unsigned depth) { depth_ = depth; }
    /// How a node was reached; whoever searches knows.
    std::function<Origin(u32)> origin_of{};

private:
    void arrive(std::span<const u64> packed, u32 number);
    bool is_pointless(const Act& act) const;
    /// True: next_ is a node that follows.
    bool perform(u16 index, u16 variant, Choice& choice);
    void note_exceptions(const Origin& origin);
    void note(std::string sentence, const Origin& origin, bool exception);
    void ask_switches(const Act& act);
    std::string kind_of(const std::string& sentence, const Origin& origin) const;

    const Task& task_;
    const Packer& packer_;
    Node from_;
    Node next_;
    Node fresh_;
    bool next_differs_ = true;  // from from_
    mm::History history_;
    std::array<u64, mm::exception_count> met_{};
    Packer::Packed packed_{};
    u32 number_ = 0;
    unsigned depth_ = 0;
    u64 turn_ = 0;
    std::array<bool, Limits::threads_max> first_of_space_{};
    bool hugetlb_ = false;
    u64 outside_ = 0;
    u64 tried_ = 0;
    std::map<std::string, Finding> found_;
    Mattered mattered_;
};

/// A call as this node's memory wants it: a huge page is taken as a whole.
mm::Call fitted(mm::Call call, const Node& node);

/// How this step parts from the same one under `task.against`; empty: not at all, or there is none.
std::string difference(const Task& task, const Act& act, const Node& node);

/// One act seen from outside, in names that do not change: for replay.
struct Performed {
    std::vector<mm::Outcome> outcomes{};
    std::string broken{};  ///< an oracle's sentence
};
Performed perform(const Task& task, const Act& act, Node& node, Choice& choice);

}  // namespace verso::check::explore
