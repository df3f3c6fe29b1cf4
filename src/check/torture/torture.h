// torture/: the engine on the running kernel, under everything that this kernel does on its own
// account. Instances (processes) go on writing, snapshotting and forking children that verify every
// byte, while pages are compacted, migrated, swapped, merged, hinted and collapsed beneath them.
//
//   driver ── fork ──▶ instance 0 … n-1 ── fork ──▶ nursery ── fork ──▶ child
//     │ Grounds, Disturbance                          counts, failures: Shared
//     └ main: samples, brakes, waits, puts back
//
//   course.h       what is written where            judge.h      what a moment looks like
//   writers.h      the writers, and their stalls    life.h       a child's life
//   instance.h     one instance                     nursery.h    children in other processes
//   disturbance.h  what the kernel is made to do    plan.h       what a run may come to
//
// Whatever a run changes on the machine is put back when it ends, when it is interrupted, when it
// is killed (by the keeper, linux/world/keeper.h), and when its keeper is killed with it by
// whoever comes next (linux/world/journal.h).
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/histogram.h"
#include "base/result.h"
#include "check/torture/counters.h"
#include "check/torture/plan.h"
#include "check/torture/shared.h"

namespace verso::check::torture {

struct Options {
    u64 instances = 64;
    u64 bytes = u64{256} << 20;  // of an instance
    u64 ms = 600'000;
    u64 seed = 1;
    /// Is told what is begun, and then every ten seconds how it goes.
    std::function<void(const std::string&)> say;
    /// Whether somebody wants it to end.
    std::function<bool()> interrupted;
    /// For tests: see InstanceOptions.
    std::function<void(std::span<std::byte>)> behind_the_back;
};

struct Report {
    Plan plan;
    u64 ran_ms = 0;
    bool interrupted = false;
    std::array<u64, count_number> counts{};
    Latency stores_during;  // snapshots
    Latency stores_between;
    std::vector<std::string> failures;  // the first of each instance; Count::failures has all
    std::vector<Acted> acted;
    u64 spells = 0;
    u64 braked_ms = 0;
    u64 used_most_bytes = 0;  // by the control group, if there is one
    u64 swapped_most_bytes = 0;
    u64 killed_for_memory = 0;  // processes of the machine (oom_kill)

    u64 operator[](Count count) const { return counts[static_cast<u32>(count)]; }
    u64 mismatches() const { return (*this)[Count::pages_wrong] + (*this)[Count::pages_lost]; }
    bool held() const { return (*this)[Count::failures] == 0; }
};

/// Fewer bytes than that hold no laps.
inline constexpr u64 bytes_min = u64{1} << 20;
inline constexpr u64 bytes_max = u64{4} << 30;
inline constexpr u64 instances_max = 1024;

/// From a process with one thread, as it forks. Refuses what this machine cannot hold.
Result<Report> torture(const Options& options);

}  // namespace verso::check::torture
