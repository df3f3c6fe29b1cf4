// verso bench vm: what forking a guest costs, against QEMU's own ways of saving one.
//
//   pause      how long the guest stands still, by size      migrate, background-snapshot, and the
//                                                            raw protection pass it may grow by
//   slowdown   the guest's own work after it, and its        the same after QEMU's ways
//              longest wait
//   children   until N children answer on their consoles     N guests booted; N copies of a memory
//                                                            file, each with a QEMU of its own
//   memory     of N children                                 N times the guest's size
//
// Ours are the verbs of src/vm, as `verso vm` calls them. Rivals run in plain QEMU, without the
// agent. All machines are in a folder of this run and are ended with it, however it ends.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/types.h"

namespace verso::cli {

struct BenchVmOptions {
    std::string json;  // a file; "-": printed instead of the table
    std::vector<std::string> memory = {"256M", "1G", "2G"};
    std::vector<u64> children = {1, 4, 16};
    std::string guest;  // folder with vmlinuz and initrd; empty: beside the program
    unsigned repeats = 3;
    unsigned seconds = 10;  // before and after a fork, for the slowdown
    std::string only;       // one of bench_vm_parts(); empty: all
};

/// What --only may name.
std::vector<std::string_view> bench_vm_parts();

int bench_vm(const BenchVmOptions& options);

}  // namespace verso::cli
