// Tally: what a search has come to besides its states: the findings, how often each switch
// mattered, how much was done. Every worker has its own; this is the sum, which a checkpoint keeps.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "check/explore/worker.h"

namespace verso::check::explore {

struct Tally {
    u64 edges = 0;
    u64 outside = 0;
    u64 tried = 0;
    u64 nanoseconds = 0;  ///< that it took
    Mattered mattered{};
    std::map<std::string, Finding> found{};  ///< by kind

    Tally();
    void add(const ModelWorker& worker);
    /// The shortest way first, then the earlier.
    std::vector<Finding> in_order() const;
};

}  // namespace verso::check::explore
