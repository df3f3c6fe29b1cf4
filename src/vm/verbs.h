// What `verso vm` does, without its printing: each verb is given a request and answers with what
// happened. A verb that fails leaves every guest running that was running, and no half-made
// machine.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "verso/verso.hpp"
#include "vm/answer.h"
#include "vm/record.h"
#include "vm/runtime_dir.h"

namespace verso::vm {

/// What standing still was spent on.
struct Pause {
    u64 whole_ns = 0;  // from QEMU being told to stop until it has been told to go on
    u64 stop_ns = 0;
    u64 disks_ns = 0;
    u64 state_ns = 0;
    u64 arm_ns = 0;  // the engine's snapshot
    u64 state_bytes = 0;
    u64 pages_protected = 0;
    u64 ahead_ns = 0;       // protecting before that, while the guest ran: no part of the whole
    u64 pages_ahead = 0;    // protected then
    u64 granule_bytes = 0;  // protected, and stored when it is written, together
    bool guest_known = false;
    u64 guest_ns = 0;  // what the guest's own clock missed (guest_clock.h)
};

struct Started {
    std::string name;
    ProcessId process;
    u64 running_ns = 0;   // from the beginning of the verb until the guest ran
    u64 answered_ns = 0;  // … until it answered on its console; 0: not asked, or it did not
    bool behind_known = false;
    u64 behind_ns = 0;  // a child of now: its clock, behind its source's
};

struct RunRequest {
    std::string name;
    std::vector<std::string> command;
    u64 memory_bytes = 0;  // 0: as the command line has it, else memory_bytes_default
    bool huge = false;     // of pages of 2 MiB
};
Result<Started> run_machine(const RuntimeDir& dir, const RunRequest& request);

struct ForkRequest {
    std::string source;
    std::string from;  // a moment of the source; empty: now
    std::string child;
    unsigned count = 1;                     // more than one: CHILD-1, CHILD-2, …
    std::string hook;                       // a shell command, run for each child once it runs
    std::optional<Question> question = {};  // asked of each child as soon as it runs
};
inline constexpr unsigned children_max = 64;
struct Forked {
    bool paused = false;  // not where it was forked from a moment
    Pause pause;
    std::vector<Started> children;
    std::vector<std::string> hooks_failed;
    std::vector<std::string> unanswered;  // children that run and did not answer, and why
};
Result<Forked> fork_machine(const RuntimeDir& dir, const ForkRequest& request);

Result<Pause> keep_moment(const RuntimeDir& dir, const std::string& name,
                          const std::string& moment);

struct Rewound {
    u64 pause_ns = 0;
    u64 before_ns = 0;  // keeping what was there, in case something is refused
    u64 pages = 0;
    u64 memory_ns = 0;
    u64 state_ns = 0;
};
Result<Rewound> rewind_machine(const RuntimeDir& dir, const std::string& name,
                               const std::string& moment);

/// Asks QEMU to end, and ends it if it does not; a machine that has ended already is no error.
Result<void> stop_machine(const RuntimeDir& dir, const std::string& name);

/// Removes a machine that has ended, or what is left of one.
Result<void> remove_machine(const RuntimeDir& dir, const std::string& name);

/// What the memory of a machine costs and has served, from the kernel's and the engine's counters.
struct Costs {
    bool known = false;
    u64 live_bytes = 0;     // a root's own memory
    u64 frozen_bytes = 0;   // old versions kept for its snapshots and children
    u64 private_bytes = 0;  // a child's own pages: copies, and what it wrote (smaps: Anonymous)
    u64 shared_bytes = 0;   // pages that it maps and that its siblings can (smaps: the rest of Rss)
    u64 fill_faults = 0;    // of its children, served
    u64 pages_mapped = 0;   // given to children without a copy
    u64 pages_copied = 0;
    u64 granule_bytes = 0;  // protected, and stored when it is written, together
    std::string damage;
    // Of a child: what it was given, as far as those live who gave it (it did itself where they had
    // gone before).
    u64 got_faults = 0;
    u64 got_mapped = 0;  // without a copy
    u64 got_copied = 0;
    u64 got_empty = 0;  // the page of zeroes that all share
    u64 pss_bytes = 0;  // its memory, where each shared page counts as a part
};
struct Listed {
    std::string name;
    std::string state;  // running, ended, damaged, unfinished
    Record record;      // empty where it is damaged
    Costs costs;        // where it runs
};
std::vector<Listed> list_machines(const RuntimeDir& dir);
Costs costs_of(const RuntimeDir& dir, const Record& record);

/// The machine's console, until `input` ends or Ctrl-] is typed, or QEMU ends.
Result<void> attach_console(const RuntimeDir& dir, const std::string& name, int input, int output);

}  // namespace verso::vm
