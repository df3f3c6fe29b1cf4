// verso torture: the engine on the running kernel, under everything that the kernel does on its own
// account (check/torture, docs/torture.md). 0: every byte was right; 1: something was not, or the
// run was interrupted; 2: the request was wrong.
#pragma once

#include <string>

#include "base/types.h"

namespace verso::cli {

struct TortureOptions {
    u64 instances = 64;
    std::string size = "256M";
    double minutes = 10;
    u64 seed = 0;  // 0: a fresh one
    std::string json;
};
int torture(const TortureOptions& options);

}  // namespace verso::cli
