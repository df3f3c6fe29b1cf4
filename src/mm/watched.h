// Watched: a machine on which every step is followed by all oracles, those over one state and those
// over its history. For random tests, fuzzers and whoever wants to know at once.
#pragma once

#include <string>
#include <utility>

#include "mm/history.h"

namespace verso::mm {

/// A machine that is watched: every step with all oracles.
class Watched {
public:
    Watched(State state, const Rules& rules)
        : state_(std::move(state)), rules_(rules), history_(state_, rules_) {}
    /// Empty, or the oracle that does not hold any more.
    std::string step(const Call& call, Choice& choice);
    /// Ends what is under way: migrations, then every descriptor is closed. Empty: everybody who
    /// waited goes on.
    std::string finish(Choice& choice);
    const State& state() const { return state_; }
    State& state() { return state_; }
    const History& history() const { return history_; }
    const Outcome& outcome() const { return outcome_; }

private:
    State state_;
    Rules rules_;
    History history_;
    Outcome outcome_{};
};

}  // namespace verso::mm
