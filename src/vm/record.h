// What is kept of one machine, in its folder as vm.json: replaced as a whole, so that a verb that
// is killed leaves the old one or the new one.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "vm/command_line.h"
#include "vm/process.h"
#include "vm/runtime_dir.h"

namespace verso::vm {

/// A moment that can be forked from and rewound to.
struct Moment {
    std::string name;
    std::string state;               // the file with its device state
    std::vector<std::string> disks;  // as they were then: one for each drive, never written again
};

struct Record {
    std::string name;
    std::string parent;  // whom it was forked from; empty: it booted
    std::string folder;  // where QEMU runs
    CommandLine line;    // the user's command line, and where its drives' writes go now
    ProcessId process;   // QEMU
    u64 layers = 0;      // overlays made so far; they are never given the same name twice
    std::vector<std::string> below;  // other machines' files that its disks stand on
    std::vector<Moment> moments;

    bool is_child() const { return !parent.empty(); }
    const Moment* moment(const std::string& named) const;
};

Result<Record> load_record(const RuntimeDir& dir, const std::string& name);
Result<void> save_record(const RuntimeDir& dir, const Record& record);

}  // namespace verso::vm
