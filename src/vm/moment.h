// A moment of a running guest: memory, devices and disks of one instant, taken while it stands
// still. A fork begins with one, and so does a snapshot, which keeps it.
//
//   running ── layers for disks are made ──┬ stop ┬──────────────────────────────┬ cont ┬── running
//                                          │      │ disks: overlays on top       │      │
//                                          │      │ devices: 1 MB to a file      │      │
//                                          │      │ memory: write-protected      │      │
#pragma once

#include <string>

#include "base/result.h"
#include "vm/qmp.h"
#include "vm/record.h"
#include "vm/verbs.h"

namespace verso::vm {

struct MomentPlan {
    std::string snapshot;     // its name with the keeper
    bool for_rewind = false;  // its device state is kept inside QEMU as well
};

struct Taken {
    Moment moment;
    Pause pause;
};

/// Saves the record: its disks' tops are new ones from then on, even where a later step fails.
/// `lock` is the machine's. If this process is killed, the guest goes on (guard.h).
Result<Taken> take_moment(const RuntimeDir& dir, const FileLock& lock, Record& record, Qmp& qmp,
                          const std::string& keeper, const MomentPlan& plan);

/// Not one of a user's names, which begin with a letter or digit.
inline constexpr const char* fork_snapshot = ".fork";

}  // namespace verso::vm
