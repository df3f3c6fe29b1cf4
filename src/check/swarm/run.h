// Runs in a process of their own: what a run finds may be that the engine aborts, crashes or never
// ends, and what a killed process leaves behind is given back when this one's ends (world.h).
//
//   this process ──fork──▶ seed, seed + 1, …                 Shared: memory that both have; it says
//        ◀──── Shared ──── until one is wrong, or enough      how far the other one came, and why
//                                                             it stopped
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "check/swarm/plan.h"
#include "check/swarm/tape.h"
#include "check/swarm/world.h"
#include "mm/rules.h"

namespace verso::check::swarm {

std::string_view name_of(Ending ending);

struct Verdict {
    Ending ending = Ending::held;
    std::string sentence;
    u64 seed = 0;
    Tally tally;
    Tape::Answers tape;
    std::string log;  // if it was asked for
};

/// One run: of a plan, with the answers of a tape; without one, with those of the plan's seed.
struct Case {
    Plan plan;
    std::optional<Tape::Answers> tape{};
    bool log = false;
    bool calls = false;  // the engine's, in the log
    u64 decisions_at_most = decisions_max;
};
Verdict run_apart(const Case& what, const mm::Rules& rules);

struct Totals {
    u64 runs = 0;
    u64 audited = 0;  // run twice, same end
    u64 decisions = 0;
    u64 stores = 0;
    u64 loads = 0;
    u64 verbs = 0;
    u64 refused = 0;
    u64 faults = 0;
};

/// Seeds first, first + 1, … until one is wrong, `count` are done, or `enough` says so (asked now
/// and then).
/// One in `audit_one_in` is run twice.
struct Seeds {
    u64 first = 1;
    u64 count = 1;
    u64 audit_one_in = 64;
    std::function<bool()> enough{};
    Size size = Size::drawn;
};
std::optional<Verdict> run_seeds(const Seeds& seeds, const mm::Rules& rules, Totals& totals);

}  // namespace verso::check::swarm
