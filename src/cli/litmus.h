// verso litmus: judges litmus texts (check/litmus, docs/litmus.md) on the model of kernels and on
// the running kernel. Verdicts that are kept beside a text (NAME.expected) are compared, and
// replaced on request.
#pragma once

#include <string>
#include <vector>

#include "base/types.h"

namespace verso::cli {

struct LitmusOptions {
    std::vector<std::string> paths;  // files, folders
    std::vector<std::string> on;     // presets, linux, model, all; none: 6.18 and linux
    u64 runs = 1;                    // on the running kernel
    bool json = false;
    bool promote = false;
    bool fail_fast = false;  // end at the first that is not as expected
    std::string print;       // instead: litmus, line, c
};
int litmus(const LitmusOptions& options);

}  // namespace verso::cli
