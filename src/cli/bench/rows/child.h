// The parent's side of a child region in another process (its other side: bench_child.cc).
#pragma once

#include <string>

#include "base/result.h"
#include "cli/bench/rivals/process.h"
#include "verso/verso.hpp"

namespace verso::cli::bench {

struct ExportTimes {
    u64 call_ns = 0;        // until export_fork() returned
    u64 first_read_ns = 0;  // from its start until the child had loaded one byte
};

class RemoteChild {
public:
    /// Starts the process and waits until it runs; it imports nothing yet.
    static Result<RemoteChild> start(const std::string& name);
    Result<ExportTimes> receive_fork(const Snapshot& snapshot) const;
    /// One byte of every page; returns how long it took, in the child's own time.
    Result<u64> read_every_page() const;
    Result<void> write_pages(u64 count, u64 seed) const;
    pid_t pid() const { return process_.pid(); }

private:
    explicit RemoteChild(ChildProcess process) : process_(std::move(process)) {}
    ChildProcess process_;
};

}  // namespace verso::cli::bench
