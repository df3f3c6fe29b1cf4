// verso swarm: the engine as it is on the model of the kernel, many small runs, each from one seed;
// verso replay: one of them again (check/swarm, docs/swarm.md). 0: all held; 1: one did not; 2: the
// request was wrong.
#pragma once

#include <string>

#include "base/types.h"

namespace verso::cli {

struct SwarmOptions {
    u64 seed = 0;     // 0: a fresh one
    u64 seeds = 0;    // how many
    u64 minutes = 0;  // neither: one minute
    std::string rules = "6.18";
    bool json = false;
    bool as_found = false;  // do not shrink it
    bool small = false;     // worlds of one size, to tell the speed by
};
int swarm(const SwarmOptions& options);

struct ReplayOptions {
    std::string token;
    bool json = false;
    bool calls = false;  // the engine's, too
};
int replay(const ReplayOptions& options);

}  // namespace verso::cli
