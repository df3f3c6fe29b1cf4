// verso explore: searches all programs of a scope for one that breaks what the model's oracles ask,
// shortest first. 0: none was found; 1: some; 2: the request was wrong; 3: none was found, but the
// search did not fit into its memory.
//
//   estimate, progress ──▶ stderr        result: text, or one JSON object ──▶ stdout
#pragma once

#include <string>

#include "base/types.h"

namespace verso::cli {

struct ExploreOptions {
    std::string rules = "6.18";
    std::string against{};
    std::string scope{};
    std::string oracle = "all";
    bool all = false;
    bool estimate = false;
    bool coverage = false;
    bool json = false;
    std::string memory = "4G";
    u64 threads = 0;  ///< 0: as many as the machine has
    std::string checkpoint{};
    std::string resume{};
    std::string replay{};
    std::string write{};  ///< a folder: NAME.litmus and NAME.c of everything that is found
};

int explore(const ExploreOptions& options);

}  // namespace verso::cli
