// Time as every row takes it: CLOCK_MONOTONIC through the vDSO (about 25 ns a reading), which all
// processes of the machine share, so that a child's stamp can be compared with its parent's.
#pragma once

#include <chrono>

#include "base/types.h"

namespace verso::cli::bench {

inline u64 stamp_ns() {
    return static_cast<u64>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                std::chrono::steady_clock::now().time_since_epoch())
                                .count());
}

/// How long body() takes.
template <class Body>
u64 time_ns(Body body) {
    const u64 start = stamp_ns();
    body();
    return stamp_ns() - start;
}

}  // namespace verso::cli::bench
