// Going on where an engine was killed.
//
// An engine that serves the memory of other processes (Region::attach) holds descriptors that are
// theirs: userfaultfds, memfds, sockets. When its process is killed, those memories would be left
// unprotected, and children without whoever gives them their pages. With a Safekeeping, duplicates
// of all of them lie in a process that does nothing else; a new engine takes over from there, and
// nothing is lost:
//
//   lender, children ◀────────── descriptors ─────────▶ engine          killed
//         │                           │ keep()
//         │  wait for a page          ▼
//         │                         safe ─── entries ──▶ the next engine: take_over()
//         ◀──────────────────────────────────────────────  protects all, wakes whoever waits
//
// What a snapshot holds lies in memfds that are shared (old pages, and the ledger that says which),
// so entries are few and small: one for each memory, snapshot and child in another process.
// Whoever waited for a page when the engine died waits until the next one is there, and no longer.
//
// Guarantee: no write goes unnoticed and no snapshot or child sees a byte that is not its own, at
// whatever moment the engine is killed. One exception: what a lender's program unmaps or discards
// (madvise) in the very moment in which the engine is killed may be missed.
#pragma once

#include "verso/verso.hpp"

namespace verso {

/// What an engine puts away elsewhere. Implemented by whoever owns the other process; one for all
/// regions. Must outlive them. Called from several threads, with locks of the engine held: it must
/// not call back.
class Safekeeping {
public:
    struct Entry {
        std::string key;  // begins with the region's name and a slash
        std::vector<std::uint64_t> numbers;
        std::vector<int> fds;  // borrowed; five at the most
    };
    Safekeeping() = default;
    virtual ~Safekeeping() = default;
    Safekeeping(const Safekeeping&) = delete;
    Safekeeping& operator=(const Safekeeping&) = delete;

    /// Keeps it, in the place of what has that key. When this returns the entry must be certain to
    /// be found by the next engine, even if this process is killed at once.
    virtual Result<void> keep(const Entry& entry) = 0;
    /// Forgets it. Must not be found by the next engine once this has returned.
    virtual void drop(const std::string& key) = 0;
    /// A pidfd of the process that keeps: lenders and children take its end for the engine's.
    /// Borrowed; -1 if there is none (Linux before 5.3).
    virtual int process() const = 0;
};

struct TakenOver {
    struct Moment {
        std::uint64_t id = 0;  // Snapshot::id() in the engine that was killed
        Snapshot snapshot;
    };
    Region region;
    std::vector<Moment> snapshots;
};

/// Makes a region again from all entries whose keys begin with its name; entries that are not the
/// engine's are passed over. The process that kept them before must have ended. On error nothing
/// has changed, and it can be tried again.
Result<TakenOver> take_over(std::span<const Safekeeping::Entry> entries, Safekeeping& safe);

}  // namespace verso
