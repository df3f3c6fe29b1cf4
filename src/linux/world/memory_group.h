// A memory control group of our own, below the one that we are in: whoever is in it and uses more
// memory than it may has pages of the group's own reclaimed, and nobody else's. So memory can be
// made scarce on a machine that others use, too.
//
//   v1   memory.limit_in_bytes; the killer is switched off: who wants more than there is waits
//   v2   memory.high: who is above is slowed down and reclaimed from, never killed
//
// In neither is anybody killed for the group's limit. Promised to the keeper like all else
// (machine.h); its folder goes when its processes have ended. Locks: none; for one thread, save
// for used_bytes() and is_stalled().
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "base/types.h"
#include "linux/world/machine.h"

namespace verso::host {

class MemoryGroup {
public:
    static constexpr u64 no_limit = ~u64{0};

    /// `name_begin` as in SwapForm: groups of that name that are empty were left behind.
    static Result<std::unique_ptr<MemoryGroup>> make(Keeper& keeper, std::string_view name_begin);
    ~MemoryGroup();
    MemoryGroup(const MemoryGroup&) = delete;
    MemoryGroup& operator=(const MemoryGroup&) = delete;

    /// Writing 0 to that file moves the writing process in.
    std::string door() const { return folder_ + "/cgroup.procs"; }
    Result<void> limit(u64 bytes);
    /// Has so much reclaimed, by a lower limit that is lifted as soon as it holds. One that stays
    /// is dangerous where nobody is killed: where reclaim does not keep up, system calls come to
    /// ENOMEM, and threads to a SIGSEGV that no handler is told of (the kernel could not reach
    /// memory of theirs, as rseq's). Both were seen.
    Result<void> press(u64 bytes);
    u64 used_bytes() const;
    /// Whether a process in it waits because no page could be had (v1 only: in v2 nobody does).
    bool is_stalled() const;
    /// How often a process met the limit.
    u64 times_met() const;

private:
    MemoryGroup(std::string folder, bool second) : folder_(std::move(folder)), second_(second) {}
    std::string file(const char* first, const char* second) const {
        return folder_ + "/" + (second_ ? second : first);
    }
    const std::string folder_;
    const bool second_;  // version 2 of control groups
    u64 limit_ = no_limit;
    Promise removed_;
};

}  // namespace verso::host
