// What both sides of the comparison report, in the same words. The structs that travel between
// processes are trivially copyable: both ends are the same binary.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "base/histogram.h"
#include "base/types.h"
#include "cli/demo/phases.h"

namespace verso::cli {

/// One snapshot() or, for the rival, one fork(2) of the whole process.
struct SnapshotFigures {
    u64 arm_ns = 0;  // the whole call
    u64 cut_ns = 0;  // the part in which no write fault is released
    u64 protect_calls = 0;
    u64 pages_protected = 0;
    u64 pages_captured = 0;  // until it was released, or until the end
    u64 released_after = 0;  // how many snapshots had been taken by then; 0: kept to the end
    u64 committed_before = 0;
    u64 committed_after = 0;
};

/// The kernel's own account of one process (smaps), bytes.
struct MemoryFigures {
    u64 pss = 0;          // of the database's memory
    u64 private_own = 0;  // pages of it that belong to this process only
    u64 shared = 0;       // pages of it that belong to a memfd, or that others map, too
    u64 process_pss = 0;  // of the whole process: libraries, heap and all
    u64 frozen = 0;       // old versions that this process keeps for children of its own
    u64 metadata = 0;     // tables and bitmaps of the engine in this process
};

struct ChildFigures {
    u32 id = 0;
    u32 parent = 0;      // another child, or 0: the source
    u32 snapshot = 0;    // the source's snapshot it comes from, from 1
    u64 process_ns = 0;  // a new process up to its first statement (fork(2): part of run_ns)
    u64 run_ns = 0;      // from the fork call until the child can use the memory
    u64 scan_ns = 0;     // it reads one word of every page
    u64 pages = 0;
    u64 sum = 0;      // of the words it read
    u64 open_ns = 0;  // SQLite opens the database and rolls back
    u64 integrity_ns = 0;
    u64 sequence = 0;          // transactions in the database it got
    bool hot_journal = false;  // it was forked in the middle of a transaction
    bool rolled_back = false;
    MemoryFigures memory;
};

/// What one side's memory comes to, everything alive at once.
struct MemoryTotal {
    u64 source = 0;     // the live database: verso the memfd's pages, fork(2) the source's Pss
    u64 snapshots = 0;  // old versions: verso the frozen layers, fork(2) the holders' Pss
    u64 children = 0;   // verso their own pages, fork(2) their Pss
    u64 metadata = 0;
    u64 rewind_copy = 0;  // what only the rewind needs; not in the total
    u64 total() const { return source + snapshots + children + metadata; }
};

struct Rewind {
    u64 ns = 0;
    u64 pages = 0;      // restored
    u64 hash_high = 0;  // XXH3-128 of the first snapshot, taken while the writer ran
    u64 hash_low = 0;
};

struct Check {
    std::string what;
    bool held = false;
    std::string detail;
};

struct PhaseFigures {
    Latency store;        // the stall probe's
    Latency transaction;  // the writer's
};

struct Side {
    std::string name;
    u64 build_ns = 0;
    u64 span_bytes = 0;
    u64 database_bytes = 0;
    std::string memory_kind;  // one sentence
    std::vector<SnapshotFigures> snapshots;
    unsigned alive_most = 0;  // snapshots alive at once
    std::array<PhaseFigures, phase_count> phases;
    std::vector<ChildFigures> children;
    MemoryTotal memory;
    Rewind rewind;
    std::vector<Check> checks;

    bool all_held() const {
        for (const Check& check : checks) {
            if (!check.held) {
                return false;
            }
        }
        return !checks.empty();
    }
};

}  // namespace verso::cli
