// The disks that a guest may write to, as layers of qcow2:
//
//                                     ┌── child's overlay      (its writes)
//   user's disk ── overlay 1 ── … ────┤
//    (frozen)       (frozen)          └── source's new overlay (its writes)
//
// At a fork or a snapshot, while the guest stands still, QEMU puts a new overlay on top of every
// disk in one transaction; what was the top is never written again, and stands under both. Going
// back puts an empty overlay on the layer of that moment (blockdev-reopen); its file names that
// layer from the beginning, because children open files and not what QEMU has open. Layers are
// files in the machine's folder.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "vm/qmp.h"
#include "vm/record.h"
#include "vm/runtime_dir.h"

namespace verso::vm {

struct Disk {
    std::string node;  // QEMU's name of its top layer
    u64 bytes = 0;     // as the guest sees it
};

/// Those that the guest may write to, in the order of record.line.drives; refuses one that keeps
/// no snapshots, or that the command line does not account for. A verb that was killed may have
/// left it open whether a drive's next layer is its top: what QEMU says goes into the record.
Result<std::vector<Disk>> writable_disks(Qmp& qmp, Record& record);

/// An empty overlay over `below` in the machine's folder; counts record.layers up.
Result<std::string> make_overlay(const RuntimeDir& dir, Record& record, const std::string& below,
                                 u64 bytes);

/// To be saved before QEMU is told: it may do so and this process be killed before it has said so.
void plan_tops(Record& record, const std::vector<std::string>& overlays);
/// The drives' tops from now on.
void adopt_tops(Record& record);

/// The guest stands still. All tops become `overlays`, or none.
Result<void> put_overlays(Qmp& qmp, const std::vector<Disk>& disks,
                          const std::vector<std::string>& overlays);

/// Opens what the overlays are to stand on, read-only. A file that is gone or damaged is refused
/// here, before anything has changed.
Result<void> open_below(Qmp& qmp, const std::vector<std::string>& overlays,
                        const std::vector<std::string>& below);
void close_below(Qmp& qmp, const std::vector<std::string>& overlays);

/// The guest stands still. The tops, which are `overlays` already, stand on what open_below has
/// opened from now on. If QEMU refuses, they are what they were, over `tops`.
Result<void> put_on_below(Qmp& qmp, const std::vector<std::string>& overlays,
                          const std::vector<std::string>& tops);
/// Whether they do already; where there are none, they do not.
Result<bool> stand_on(Qmp& qmp, const std::vector<std::string>& overlays,
                      const std::vector<std::string>& below);
/// Layers that name what they were to stand on are told what they stand on. What is no layer of
/// QEMU's is passed over.
Result<void> name_below(Qmp& qmp, const std::vector<std::string>& overlays,
                        const std::vector<std::string>& tops);

}  // namespace verso::vm
