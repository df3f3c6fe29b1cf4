// How much memory a run may come to, and whether this machine has it: in memory, or in a swap file
// that is made for the run. Decided before anything is begun, so that no run ends in the hands of
// the OOM killer.
//
//   an instance   its memory, as much again for old versions, as much again for the child that is
//                 being read, and some megabytes of its own
//
// That is what runs come to in practice; the worst is two snapshots and a grandchild that share
// nothing, five times the memory. Between the two is the brake: when memory or swap runs short, the
// driver has all instances stand still and let go of what they hold (torture.cc).
#pragma once

#include <string>

#include "base/result.h"
#include "base/types.h"

namespace verso::check::torture {

struct Means {
    u64 memory_bytes = 0;     // of the machine
    u64 available_bytes = 0;  // without taking anything from anybody
    u64 disk_bytes = 0;       // free where a swap file would be; 0: none may be made
    std::string disk_folder;
};
Means means_of_this_machine(bool may_swap);

struct Plan {
    u64 need_bytes = 0;     // what the run may come to
    u64 memory_bytes = 0;   // what of it may be in memory
    u64 scarce_bytes = 0;   // … while memory is made scarce
    u64 swap_bytes = 0;     // the size of the swap file; 0: none
    u64 reserve_bytes = 0;  // what is left to others in any case
};

/// Refuses, in one sentence, with what would fit.
Result<Plan> plan_for(u64 instances, u64 bytes, const Means& means);

std::string as_text(u64 bytes);

}  // namespace verso::check::torture
