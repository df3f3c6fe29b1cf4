// World: a machine on which programs are tried out: some processes, each a Kernel of its own, and
// what the kernel does on its own account (reclaim, migration, …), which on a real machine needs a
// trigger and some luck and on the model is a step like any other. The model implements it over
// State and Rules, linux/ over child processes and the triggers of the specification's section 11.
// So one behavioural suite, one table of claims and one generator of programs serve both.
//
//   program ──Call───▶ process(i): Kernel ──▶ model's address space i  or  a child of fork(2)
//           ──Trigger▶ provoke(i, …)      ──▶ a step of the model      or  swap file, compaction …
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "kernel/kernel.h"

namespace verso::kernel {

enum class Trigger : u8 {
    reclaim,    // the pages leave memory: swapped out, dropped from the page cache's mappings
    swap_off,   // everything comes back from swap
    migrate,    // the pages move to other frames
    numa_hint,  // entries become hints: the next access tells the NUMA balancer
    ksm_merge,  // equal pages become one (the range was advised MERGEABLE)
    ksm_unmerge,
    thp_collapse,  // 512 entries become one
    thp_split,     // … and back
    write_back,    // dirty file pages are written: clean, and write-protected for the next store
};

/// What came of it. `acted` was observed (a frame number that changed, an entry that is swap), not
/// inferred from the call's success.
struct Provoked {
    bool acted = false;
    std::string why_not;  // if not: what this machine lacks, or that luck did not come
};

class World {
public:
    virtual ~World() = default;
    /// 0: the process that every world begins with.
    virtual Kernel& process(int id) = 0;
    /// fork(2) of that process; the new one's id. Its memory and descriptors are copies.
    virtual Result<int> fork(int id) = 0;
    /// It ends, at once.
    virtual void exit(int id) = 0;
    /// A further thread of that process, for programs in which one is blocked while others go on;
    /// its number is the world's, not the process'. The process' own calls never wait for it.
    virtual Result<int> thread(int process) = 0;
    /// It begins the call (no bulk data goes with it). It must have finished the one before.
    virtual void start(int thread, const Call& call) = 0;
    /// As start, with fork(2) for a call; done with the new process' id. For contexts with
    /// EVENT_FORK, whose reader lets the fork go on: fork() would wait for it for ever.
    virtual Result<void> start_fork(int thread) = 0;
    /// What came of its call; nothing while the kernel lets it sleep in it: in a fault that nobody
    /// resolved, before an event that nobody read. Never "not yet": a thread that runs is awaited.
    virtual std::optional<Outcome> finished(int thread) = 0;
    virtual Provoked provoke(int id, Trigger trigger, u64 address, u64 length) = 0;
    /// Bytes in a huge page, bytes in a page of what memfd_create(huge) gives: what alignment asks.
    virtual u64 huge_page_size() = 0;
    /// From where on a program may lay out memory far from what its process maps on its own
    /// account, now or later: stacks of threads, what malloc wants. 0: anywhere will do.
    virtual u64 apart() { return 0; }
    /// Where the address space ends, for programs that go there (Half::at_the_end). 0: nobody does.
    virtual u64 end() { return 0; }
};

}  // namespace verso::kernel
