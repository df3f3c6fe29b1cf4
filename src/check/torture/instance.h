// One instance: a process with a region of its own, in which two writers go on writing while
// snapshots are taken, forked, read through and gone back to.
//
//   main       rounds: snapshot ─▶ child here | child elsewhere | rewind     ┐ one at a time
//   shutter    snapshots all the time; now and then reads an old one         ┘ reads (reading_)
//   stirrer    moves, pages out, collapses parts of the memory (Stir)
//   writers    writers.h
//   nursery    a process (nursery.h)
//
// So at most two snapshots are alive, and one memory besides the region's own is being read: what
// bounds the memory of a run (plan.h). At the end the live memory itself is verified.
#pragma once

#include <functional>
#include <span>
#include <string>

#include "check/torture/shared.h"

namespace verso::check::torture {

struct InstanceOptions {
    u64 number = 0;
    u64 seed = 0;  // of the run
    u64 bytes = 0;
    u64 rest = 1;      // writers.h
    std::string door;  // of the control group to enter; "": none
    /// For tests: is called with the live memory while a child of the second round exists that has
    /// not been verified. What is changed there behind the engine's back must be found.
    std::function<void(std::span<std::byte>)> behind_the_back;
};

/// The life of an instance's process, in the child of fork(2).
[[noreturn]] void be_instance(const InstanceOptions& options, Shared& shared);

}  // namespace verso::check::torture
