// The two sides of the demo seen from the work they are given: memory that a database lives in,
// with a way to freeze it, to make child processes of it, and to bring it back to its first frozen
// moment.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "cli/demo/child.h"
#include "cli/demo/figures.h"

namespace verso::cli {

/// A child process as the source sees it.
struct Member {
    ChildFigures figures;
    Channel control;
    Process process;           // invalid if somebody else waits for it (fork(2)'s grandchildren)
    Channel grandchild;        // the source's end of what its own child will be reached through
    u64 forked_ns = 0;         // when the fork was called
    u64 committed_before = 0;  // transactions committed before the moment it was forked …
    u64 committed_after = 0;   // … and after it
    u64 lineage = 0;           // bits: whose rows it must see
};

class Contender {
public:
    virtual ~Contender() = default;
    virtual std::string name() const = 0;
    /// One sentence on what kind of memory this is, for the report.
    virtual std::string memory_kind() const = 0;
    virtual std::span<std::byte> memory() const = 0;

    virtual Result<SnapshotFigures> take_snapshot() = 0;
    /// Snapshots count from 0 in the order in which they were taken. Fills what is known at the
    /// end.
    virtual void release(unsigned snapshot, SnapshotFigures& figures) = 0;
    /// What is known now, without releasing.
    virtual void look(unsigned snapshot, SnapshotFigures& figures) = 0;
    /// The bytes of snapshot 0; empty while they are not to be had yet.
    virtual Result<std::span<const std::byte>> first_bytes() = 0;

    /// Starts a process that has the memory as it is in `snapshot` (fork(2): as it is now).
    virtual Result<void> fork_source(unsigned snapshot, bool will_fork, Member& child) = 0;
    virtual Result<void> fork_child(Member& parent, Member& child) = 0;

    /// `children`: with their memory figures filled in.
    virtual Result<MemoryTotal> memory_total(const std::vector<Member>& children) = 0;
    /// The load is stopped. Fills ns and pages.
    virtual Result<void> rewind(Rewind& rewind) = 0;
};

/// One question and its answer.
Result<Answer> ask(Member& member, Verb verb, u32 id = 0);

using Progress = std::function<void(const std::string&)>;

struct Work {
    std::string db;  // a file, or empty: build one
    u64 size_mib = 256;
    unsigned snapshots = 20;
    unsigned interval_ms = 100;
    unsigned children = 8;
};

/// How large the memory of a contender must be for this work. Also refuses what cannot be done.
Result<u64> span_for(const Work& work);

struct Prepared {
    u64 build_ns = 0;
    u64 database_bytes = 0;
};

/// Puts the database into the memory: built, or loaded and checked. With --db an error means that
/// the file cannot be used.
Result<Prepared> prepare(std::span<std::byte> memory, const Work& work);

/// The whole of one side: load, snapshots, children, rewind, run on. An error means that it could
/// not be carried through; a claim that did not hold is a failed check in the answer.
Result<Side> run_side(Contender& contender, const Prepared& prepared, const Work& work,
                      const Progress& progress);

}  // namespace verso::cli
