// verso.hpp: fork() for memory. The C++ interface, and with verso.h the only header an application
// sees.
//
//      Region ──snapshot()──▶ Snapshot ──fork()──▶ Region (a writable child, here or elsewhere)
//        │  ▲                    │
//        │  └─────rewind()───────┘            written(): which pages since when
//        └── bytes(): ordinary memory, written by any number of threads the whole time
//
// WHAT A SNAPSHOT GUARANTEES. Let a snapshot be taken while threads write. There is one moment,
// inside the call to snapshot(), such that the snapshot holds every store that was performed
// before it and no store that was performed after it. In particular it is closed under
// happens-before: if store X happens before store Y (same thread, or through any synchronisation)
// and the snapshot holds Y, it holds X. A store that is larger than the machine writes at once may
// be cut in two, as by a power failure. Why it holds: no write fault is released while the final
// protection pass runs, so a thread that meets a protected page waits until every page is
// protected (docs/engine.md §3).
//
// WHAT NO SNAPSHOT SEES. Writes that reach the memory without a page fault of the region's mapping:
// a second mapping of the same memfd, a device that was given the pages before they were protected
// (io_uring fixed buffers, vfio), write(2) to the memfd. Nobody can see those; do not make them.
// Nor does written() of a region that tracks pages only see that the application discarded pages
// itself (MADV_REMOVE, a hole punched in the memfd): use Region::discard.
// What a device writes through such pins after a fork may miss the region (docs/engine.md, Limits).
//
// UNITS. Sizes and offsets in bytes unless the name says pages; times in nanoseconds (…_ns). A
// page is 4096 bytes. ERRORS. Every call that can fail returns Result<T>: a value, or an Error
// whose message says what happened and what to do. A failed call leaves region and snapshots as
// they were. THREADS. Distinct objects may be used from distinct threads; the methods of one
// Region or Snapshot may be called from any thread. The bytes themselves are yours: any thread may
// use them at any time, except during rewind().
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>

namespace verso {

inline constexpr std::size_t page_bytes = 4096;

/// Named limits. Exceeding one is a refused call with a sentence, never a crash.
struct Limits {
    static constexpr std::size_t region_bytes_max = std::size_t{1} << 42;  // 4 TiB
    static constexpr unsigned snapshots_max = 1024;  // alive at once, per region
    static constexpr unsigned regions_max = 4096;    // per process
    static constexpr unsigned depth_max = 60;  // fork of a fork of a fork …, across processes
};

enum class ErrorKind {
    invalid_argument,  // the call cannot be right; mend the program
    unsupported,       // this kernel, privilege or backend cannot do it; the message names what can
    resource,          // memory, descriptors, limits
    peer,              // the other process is gone or speaks something else
    damaged,           // the application unmapped, moved or discarded pages that were being tracked
    system,            // the kernel said no in a way nobody expected
};

struct Error {
    ErrorKind kind = ErrorKind::system;
    int os_error = 0;  // errno, or 0
    std::string message;
};

template <class T>
using Result = tl::expected<T, Error>;

/// What a region's write tracking preserves. One region has one kind, chosen at creation.
enum class Tracking {
    contents,  // sync write-protection: snapshot, fork, rewind, written(); ~10 µs a first write
    pages,     // async write-protection: only written(); ~1 µs per first write, no thread involved
};

/// What enforces protection. `automatic` takes the first that this process may use.
enum class Backend {
    automatic,
    userfaultfd,    // everything
    mprotect_segv,  // mprotect + SIGSEGV: one process, no system calls into protected memory
};

/// A half-open run of pages.
struct PageRange {
    std::uint64_t first = 0;
    std::uint64_t count = 0;
    friend bool operator==(const PageRange&, const PageRange&) = default;
};

/// A point on a region's time line for written(). Mark{} is the beginning: everything was written
/// since.
struct Mark {
    std::uint64_t generation = 0;
    friend auto operator<=>(const Mark&, const Mark&) = default;
};

struct Written {
    Mark mark;                      // pass it to the next call
    std::vector<PageRange> ranges;  // ascending, disjoint, not adjacent
    std::uint64_t pages = 0;        // the ranges' counts, summed
};

struct RegionOptions {
    std::size_t size = 0;  // rounded up to pages
    std::string name = "region";
    Tracking tracking = Tracking::contents;
    Backend backend = Backend::automatic;
};

/// Memory that the application already has: a memfd it made, and a MAP_SHARED mapping of it from
/// offset 0.
struct AdoptOptions {
    int memfd = -1;           // borrowed; the region keeps its own duplicate
    void* address = nullptr;  // page aligned
    std::size_t size = 0;     // whole pages, no more than the file's size
    std::string name = "adopted";
    Tracking tracking = Tracking::contents;
    Backend backend = Backend::automatic;
};

struct ImportOptions {
    void* address = nullptr;  // where the child's memory is to be mapped; nullptr: anywhere
    std::string name = "child";
    int timeout_ms = 10'000;  // how long to wait for the other side
};

/// How one snapshot was armed and what it has cost so far.
struct SnapshotReport {
    std::uint64_t arm_ns = 0;           // the whole call
    std::uint64_t cut_ns = 0;           // the part of it in which no write fault is released
    std::uint64_t protect_calls = 0;    // write-protect calls issued
    std::uint64_t pages_protected = 0;  // pages those calls covered
    std::uint64_t pages_captured = 0;   // old versions stored since, in this snapshot's layer
};

struct RewindReport {
    std::uint64_t pages_restored = 0;
    std::uint64_t ns = 0;
};

/// Counters since the region began. For a writer's own view measure the writer (bench/ does).
struct RegionStats {
    std::uint64_t write_faults = 0;    // writes that met a protected page
    std::uint64_t pages_captured = 0;  // old versions stored, all layers
    std::uint64_t pages_revoked = 0;   // live pages taken back from children before a write
    std::uint64_t fill_faults =
        0;  // faults of this region's children (and snapshot views) served here
    std::uint64_t pages_mapped = 0;      // pages handed to children without a copy
    std::uint64_t pages_copied = 0;      // pages handed to children by copy
    std::uint64_t faults_retried = 0;    // resolutions that the kernel asked us to repeat
    std::uint64_t granule_bytes = 4096;  // what is protected, and so stored, together; 2 MiB where
                                         // hugetlb memory was lent
};

/// What one child was given, as far as this process has served it. For a child itself: what it took
/// without asking, because it is in its source's process, or because its source had gone.
struct ChildStats {
    std::string name;  // as it was forked or imported
    std::uint64_t fill_faults = 0;
    std::uint64_t pages_mapped = 0;  // shared, without a copy
    std::uint64_t pages_copied = 0;
    std::uint64_t pages_empty = 0;  // holes: the page of zeroes that all share
};

/// What the kernel says the region holds. Pages of a memfd are counted once, whoever maps them.
struct MemoryReport {
    std::uint64_t live_bytes = 0;    // pages in the region's own memfd (0 for a child)
    std::uint64_t frozen_bytes = 0;  // old versions, all layers of this region
    std::uint64_t private_bytes =
        0;  // a child's own pages: copies and written pages (smaps: Anonymous)
    std::uint64_t shared_bytes =
        0;  // pages mapped here that belong to a memfd (smaps: Rss - Anonymous)
    std::uint64_t pss_bytes = 0;       // smaps: Pss of the application's mapping
    std::uint64_t metadata_bytes = 0;  // tables and bitmaps
};

class Region;
class Safekeeping;  // takeover.hpp

/// A frozen moment of one region. Cheap to hold: it costs memory only for what is written
/// afterwards. Any number may be alive; release in any order by destroying it. It may outlive its
/// Region.
class Snapshot {
public:
    Snapshot(Snapshot&&) noexcept;
    Snapshot& operator=(Snapshot&&) noexcept;
    ~Snapshot();

    /// The frozen contents as read-only memory, faulted in lazily. Valid while this object lives.
    Result<std::span<const std::byte>> bytes() const;

    /// A writable child in this process. Untouched pages stay shared, physically.
    Result<Region> fork(std::string name = "child") const;

    /// A writable child in the process at the other end of a connected SOCK_SEQPACKET Unix socket,
    /// which calls Region::import. Returns once the child can run. The socket is borrowed
    /// (duplicated).
    Result<void> export_fork(int socket, int timeout_ms = 10'000) const;

    /// Stores every page that is still only in the live region, so that nothing depends on it any
    /// more.
    Result<void> detach() const;

    SnapshotReport report() const;
    std::size_t size() const;
    /// Unique among the region's snapshots that are alive; later ones have higher ones.
    std::uint64_t id() const;

    struct Impl;
    explicit Snapshot(std::unique_ptr<Impl> impl);
    const Impl& impl() const { return *impl_; }

private:
    std::unique_ptr<Impl> impl_;
};

/// Memory that can be tracked, snapshotted, forked and rewound while it is in use.
class Region {
public:
    static Result<Region> create(const RegionOptions& options);
    static Result<Region> adopt(const AdoptOptions& options);
    /// Receives a child that another process exported with Snapshot::export_fork.
    static Result<Region> import(int socket, const ImportOptions& options = {});
    /// Serves memory that is mapped in another process, which calls lend() at the socket's other
    /// end. With a Safekeeping (takeover.hpp) a later engine can go on where this one was killed;
    /// no two regions may then have the same name there.
    static Result<Region> attach(int socket, std::string name = "attached", int timeout_ms = 10'000,
                                 Safekeeping* safe = nullptr);

    Region(Region&&) noexcept;
    Region& operator=(Region&&) noexcept;
    ~Region();  // the mapping goes; snapshots and children keep all they need

    std::span<std::byte> bytes() const;  // empty if the mapping lives in another process
    std::size_t size() const;
    std::uint64_t pages() const { return size() / page_bytes; }

    /// Which pages were written since `since`, and protects them again in the same step: a write
    /// is in this answer or in the next, never in neither. May name a page too many, never one too
    /// few.
    Result<Written> written(Mark since);

    /// Freezes this moment. See the guarantee at the top of this file.
    Result<Snapshot> snapshot();

    /// Makes the region's bytes those of the snapshot (of this region, any age), touching only
    /// pages written since. No other thread may use the bytes meanwhile. Other snapshots and
    /// children are unaffected. If it fails nothing has gone back, save where a lender takes its
    /// memory back in the middle of it.
    Result<RewindReport> rewind(const Snapshot& snapshot);

    /// Gives pages back to the system; they read as zeroes afterwards. Unlike madvise(MADV_REMOVE)
    /// behind the engine's back, the old bytes are kept for whoever still needs them.
    Result<void> discard(PageRange range);

    RegionStats stats() const;
    /// Those that have asked for pages and still live, children of children that asked through
    /// their parents among them; and, of a child, itself.
    std::vector<ChildStats> children() const;
    Result<MemoryReport> memory() const;
    Backend backend() const;
    Tracking tracking() const;
    /// One sentence: what enforces protection here and what that costs or cannot do.
    std::string describe() const;
    /// Empty while all is well; otherwise what the application did to tracked pages behind the
    /// engine's back.
    std::string damage() const;

    struct Impl;
    explicit Region(std::unique_ptr<Impl> impl);
    const Impl& impl() const { return *impl_; }

private:
    std::unique_ptr<Impl> impl_;
};

/// What happens to the lender's threads when the engine that serves its memory dies.
enum class OnEngineDeath {
    resume,  // protection ends, writers go on; readers of uncaptured pages get SIGBUS (SIGSEGV
             // before Linux 6.6)
    kill,    // this process is killed
};

/// The other half of Region::attach: hands this process' mapping to an engine in another process.
/// The mapping stays registered while the Loan lives.
class Loan {
public:
    Loan(Loan&&) noexcept;
    Loan& operator=(Loan&&) noexcept;
    ~Loan();
    struct Impl;
    explicit Loan(std::unique_ptr<Impl> impl);

private:
    std::unique_ptr<Impl> impl_;
};
Result<Loan> lend(int socket, const AdoptOptions& memory,
                  OnEngineDeath policy = OnEngineDeath::resume);

}  // namespace verso
