// The machine as the run found it: what a reader needs to judge the figures, and the kernel's own
// memory counters (text files under /proc; no system call of our own).
#pragma once

#include <string>

#include <sys/types.h>

#include "base/types.h"

namespace verso::cli::bench {

struct Machine {
    std::string kernel_release;
    std::string processor;
    unsigned cpus = 0;
    u64 memory_mib = 0;
    std::string shmem_huge_pages;  // "always within_size advise [never] deny force"
    /// A virtual machine's free memory goes back to its host, and costs ten times as much when it
    /// is used again ("free page reporting"): then figures of what takes memory are the host's.
    bool gives_memory_back = false;
    std::string load;  // the three averages: a busy machine makes poor figures
};
Machine describe_machine();

/// One figure of /proc/meminfo in bytes; 0 if there is none of that name.
u64 meminfo_bytes(const std::string& name);
/// One figure of /proc/<pid>/smaps_rollup in bytes (Anonymous, Pss, …).
u64 smaps_bytes(pid_t pid, const std::string& name);
/// Page tables of a process, in bytes (VmPTE).
u64 page_table_bytes(pid_t pid);

}  // namespace verso::cli::bench
