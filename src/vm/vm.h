// vm/: virtual machines that run under an unmodified QEMU, forked and rewound while they run.
//
//      verso vm … ──QMP──▶  QEMU of a root VM ──lends its memory──▶ page server: Region, snapshots
//          │                (agent preloaded)                            │ export_fork
//          └───────QMP──▶  QEMU of a child     ◀─────────────────────────┘
//                            its agent imports the child: guest memory *is* the Region, so a child
//                            answers for its own snapshots, exports and rewinds
//
//   runtime_dir  where the state of all machines is       record        what is kept of one of them
//   process      processes that outlive the verb          socket        packets with descriptors
//   qmp          speaking with QEMU                       command_line  what is added to the user's
//   keeper       regions and snapshots, asked by packet   server        the process that keeps them
//   disks        qcow2 overlays                           device_state  all that is not memory
//   huge_pages   whether there are enough             guest_clock   what a guest missed
//   machine      one running QEMU                         verbs         what `verso vm` does
//   guard        lets a guest go on whose verb was killed while it stood still
//   way_forward  out of a rewind that cannot be finished  answer        what a guest says
//   agent/       the preloaded object: not part of this library
//
// Locks: one file lock per machine, held by the verb that changes it; then the page server's start
// lock; then, inside a keeper, its table's mutex (never held while a region is at work).
// May include: api and everything to its left.
#pragma once

#include "vm/answer.h"
#include "vm/command_line.h"
#include "vm/device_state.h"
#include "vm/disks.h"
#include "vm/guard.h"
#include "vm/guest_clock.h"
#include "vm/huge_pages.h"
#include "vm/json.h"
#include "vm/keeper.h"
#include "vm/machine.h"
#include "vm/process.h"
#include "vm/qmp.h"
#include "vm/record.h"
#include "vm/runtime_dir.h"
#include "vm/server.h"
#include "vm/socket.h"
#include "vm/verbs.h"
#include "vm/way_forward.h"
