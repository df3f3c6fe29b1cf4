// The rows of `verso bench vm`. A row measures one size of guest, fills lines and judges nothing.
#pragma once

#include <vector>

#include "base/result.h"
#include "cli/bench/harness/line.h"
#include "cli/bench/rows/rows.h"
#include "cli/bench/vm/bench_vm.h"
#include "cli/bench/vm/pulse.h"
#include "cli/bench/vm/stage.h"

namespace verso::cli::bench {

/// One way of taking a guest's moment, and what the guest felt of it.
struct Felt {
    std::vector<double> pause_ns{};
    std::vector<double> whole_ns{};  // until the moment was taken to its end
    std::vector<double> before{};    // rounds a second
    std::vector<double> after{};
    std::vector<double> share{};  // after / before
    std::vector<double> gap_before_ns{};
    std::vector<double> gap_after_ns{};
    std::string why_not{};
};

/// All of one size.
struct Pauses {
    u64 size_mib = 0;
    Felt first{};             // a fork that protects everything; its child runs
    Felt later{};             // one that protects what was written; its child is stopped at once
    Felt background{};        // QEMU's own ways, in its own private memory
    Felt background_memfd{};  // … and in shared memory
    Felt stopped{};
    Felt live{};
    std::vector<double> arm_first_ns{};
    std::vector<double> arm_later_ns{};
    std::vector<double> pages_later{};
    std::vector<double> raw_ns{};
    std::vector<double> raw_mib{};
};
Result<void> measure_pauses(Stage& stage, const BenchVmOptions& options, Pauses& pauses);
Lines lines_of_pauses(const Pauses& pauses);
/// What a larger guest's pause may have more than the smallest's: the raw pass.
Lines lines_of_growth(const Pauses& smallest, const Pauses& larger);
Lines lines_of_slowdown(const Pauses& pauses, unsigned seconds);

/// N children, for each N of the options.
Result<Lines> children_rows(Stage& stage, const BenchVmOptions& options, u64 size_mib);

}  // namespace verso::cli::bench
