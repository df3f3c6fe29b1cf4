// verso demo: a running SQLite database is snapshotted, forked into other processes and rewound
// while it keeps running, and then the same with fork(2). docs/demo.md says what is done and how it
// is measured.
//
//   span_files   two files in one span of memory        contender    what a side must be able to do
//   region_vfs   … as a file system for SQLite          verso_side   Region, Snapshot, export_fork
//   bank         the database and its invariants        fork_side    fork(2), in its own process
//   writer       the load, and what it feels            run_side     the work, once for both sides
//   child        what a forked process does             report_*     the table and the JSON
#pragma once

#include <string>

#include "base/types.h"
#include "verso/verso.hpp"  // Limits: what the options may be

namespace verso::cli {

struct DemoOptions {
    std::string db;    // a SQLite file; empty: one is built
    std::string json;  // where to write every figure; empty: nowhere
    u64 size_mib = 256;
    unsigned snapshots = 20;
    unsigned interval_ms = 100;
    unsigned children = 8;
    bool quiet = false;  // no progress lines
};

/// 0: every check held. 1: one did not, or the work could not be carried through. 2: bad input,
/// nothing was changed.
int demo(const DemoOptions& options);

/// A process that demo() starts of its own binary: `verso demo-child …`. Not for people.
int demo_child(int argc, char** argv);

}  // namespace verso::cli
