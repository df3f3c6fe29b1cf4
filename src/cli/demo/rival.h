// The fork(2) side runs in a process of its own and tells its results to the demo, line by line.
#pragma once

#include "cli/demo/contender.h"

namespace verso::cli {

/// In the demo: starts that process, passes on its progress lines, returns what it found.
Result<Side> run_rival(const Work& work, u64 span_bytes, const Progress& progress);

/// In that process.
int rival_process(Channel control);

}  // namespace verso::cli
