// Shrinking: a run that goes wrong, made small. First what everybody means to do: whole tracks,
// then halves, then single acts are left out, and features are switched off; then the schedule: a
// shorter tape, then zeroes for answers, because 0 is the calmest one. Whatever still goes wrong
// the same way is kept.
//
// A plan with less in it asks other questions in another order, so its old tape means little: it is
// tried, and so are a few others at random.
#pragma once

#include <functional>

#include "check/swarm/run.h"

namespace verso::check::swarm {

struct Shrunk {
    Case what;
    Verdict verdict;
    u64 runs = 0;
};

/// `enough` ends it early; what was reached by then is returned.
Shrunk shrink(const Case& failing, const Verdict& verdict, const mm::Rules& rules,
              const std::function<bool()>& enough);

}  // namespace verso::check::swarm
