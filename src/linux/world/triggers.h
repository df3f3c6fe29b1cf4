// What the kernel does on its own account, provoked on purpose: specification, section 11. Each
// function says `acted` only of what it saw: entries of the page map, flags of page frames,
// counters.
//
// The settings that a trigger needs are put back before it returns (machine.h). The swap file stays
// on until the world ends, because pages are in it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <sys/types.h>

#include "kernel/world.h"
#include "linux/world/machine.h"

namespace verso::host {

/// Where a trigger is aimed at.
struct Target {
    kernel::Kernel& kernel;  // of the process
    pid_t pid = 0;
    u64 address = 0;
    u64 length = 0;
    /// Has the process use the processor for so long, as one of several threads.
    std::function<Result<void>(u64 ms)> spin;
    /// Has the process ask the kernel to move the range's pages.
    std::function<kernel::Outcome()> move;
};

kernel::Provoked provoke_on(const Target& target, Machine& machine, kernel::Trigger trigger);

// reclaim_trigger.cc
kernel::Provoked reclaim(const Target& target, Machine& machine);
kernel::Provoked swap_off(const Target& target, Machine& machine);
kernel::Provoked write_back(const Target& target);
// move_trigger.cc
kernel::Provoked migrate(const Target& target);
/// The way without mbind(2): what compaction happens to move.
kernel::Provoked migrate_by_compaction(const Target& target);
kernel::Provoked numa_hint(const Target& target, Machine& machine);
// merge_trigger.cc
kernel::Provoked ksm_merge(const Target& target, Machine& machine);
kernel::Provoked ksm_unmerge(const Target& target);
kernel::Provoked thp_collapse(const Target& target);
kernel::Provoked thp_split(const Target& target);

// pages.cc: what is seen
inline kernel::Provoked acted() { return {true, {}}; }
inline kernel::Provoked not_so(std::string why) { return {false, std::move(why)}; }
/// The page map's entries of the target's range.
std::vector<u64> entries_of(const Target& target);
bool is_present(u64 entry);
/// In a swap device; not a marker, nor on its way to another frame.
bool is_in_swap(u64 entry);
u64 frame_of(u64 entry);
/// Pages that are in another frame than before. None, where frames are not shown (without
/// CAP_SYS_ADMIN).
u64 pages_moved(const std::vector<u64>& before, const std::vector<u64>& after);
/// Bits of /proc/kpageflags.
struct FrameFlag {
    static constexpr u64 dirty = u64{1} << 4;
    static constexpr u64 ksm = u64{1} << 21;
};
/// Whether reclaim, the NUMA balancer and others take it for one process' own.
bool is_mapped_once(u64 entry);
/// How many of these entries' frames have the flag.
u64 count_frames(const std::vector<u64>& entries, u64 flag);
u64 count_present(const std::vector<u64>& entries);
/// Bytes that one huge entry maps.
u64 huge_page_bytes();
/// How many bytes of the range are mapped by huge entries (PAGEMAP_SCAN, 6.7).
u64 huge_bytes(const Target& target);

}  // namespace verso::host
