// The other ways to N running guests: booting each, or giving each a copy of one guest's memory.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "cli/bench/vm/guests.h"

namespace verso::cli::bench {

struct Crowd {
    u64 answered_ns = 0;  // from the beginning until the last of them answered
    u64 paused_ns = 0;    // copies: how long the source stood still
    u64 file_bytes = 0;   // copies: what their memory files take
    u64 pss_bytes = 0;    // of all their QEMUs, code and heap included
};

/// All at once; ended again.
Result<Crowd> boot_crowd(Stage& stage, u64 size_mib, u64 count);

/// `source`: a guest with its memory in `memory_file`. It stands still for its device state and one
/// copy; the others are made from that.
Result<Crowd> copy_crowd(Stage& stage, const Seat& source, const std::string& memory_file,
                         u64 size_mib, u64 count);

/// Of the whole process: what it shares is divided among those who share it.
u64 pss_of(const std::vector<vm::ProcessId>& processes);

}  // namespace verso::cli::bench
