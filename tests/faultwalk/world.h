// What one case plays in: a kernel that can be told to fail, a runtime over it, some memory, and
// what that memory must hold. Tiny on purpose: 64 pages, so that a case takes a few milliseconds.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "engine/loan.h"
#include "kernel/failing_kernel.h"
#include "linux/linux_kernel.h"

namespace verso::faultwalk {

inline constexpr u64 region_pages = 64;
inline constexpr u64 region_size = region_pages * page_size;

using Bytes = std::vector<std::byte>;

/// Page p of version v: every word of it tells page and version.
void write_page(std::span<std::byte> memory, u64 page, u64 version);
void note_page(Bytes& expected, u64 page, u64 version);
/// To be called once, before the engine installs a handler of its own.
void expect_faults();
/// Reads a page although that may raise SIGBUS or SIGSEGV: false if it did.
bool read_page(std::span<const std::byte> memory, u64 page, std::span<std::byte> out);

/// Memory of the application's own: a memfd and a mapping of it.
class OwnMemory {
public:
    OwnMemory();
    ~OwnMemory();
    OwnMemory(const OwnMemory&) = delete;
    OwnMemory& operator=(const OwnMemory&) = delete;
    std::span<std::byte> bytes() const { return bytes_; }
    AdoptOptions options() const;

private:
    Fd memfd_;
    std::span<std::byte> bytes_;
};

/// The two ends of a SOCK_SEQPACKET socket.
struct Wire {
    Fd ours;
    Fd theirs;
    void make();
};

/// A region, or a snapshot's view, and what it must hold.
struct Held {
    std::shared_ptr<engine::Region> region;
    Bytes expected = Bytes(region_size);
    std::span<std::byte> memory() const { return region->bytes(); }
    /// A page that its source lost cannot be written either: it stays what it was said to be.
    void write(u64 page, u64 version) {
        std::byte seen[page_size];
        if (read_page(memory(), page, seen)) {
            write_page(memory(), page, version);
            note_page(expected, page, version);
        }
    }
    void write_all(u64 version) {
        for (u64 page = 0; page < region_pages; ++page) {
            write(page, version);
        }
    }
};
struct Moment {
    std::shared_ptr<engine::Snapshot> snapshot;
    Bytes expected;
};

struct World {
    kernel::FailingKernel kernel{host::linux_kernel()};
    engine::Runtime runtime{kernel};        // the source's process
    engine::Runtime other_runtime{kernel};  // the importer's, the lender's engine's
    OwnMemory own;
    Wire wire;
    Held region;
    Moment moment;
    Held child;
    Moment later;  // of the child, or a second one of the region
    Held last;     // made of `later`
    std::unique_ptr<engine::Loan> loan;
    Mark mark;                 // of the last written()
    std::set<u64> unreported;  // pages written since
    std::string note;          // what a scene found wrong by itself

    void create(Backend backend = Backend::automatic, Tracking tracking = Tracking::contents);
    void take(Held& of, Moment& into);
    void fork_from(Moment& of);
    /// What is wrong with the bytes; empty if nothing is. `lossy`: a storage call failed, so a page
    /// may refuse.
    std::string check(bool lossy);
    /// Whether everything still works: a new snapshot, a write, both versions right.
    std::string check_that_it_goes_on(bool lossy);
    void release();
};

/// Runs in the scene's preparation: a failure there is the scene's fault, not the engine's.
template <class T>
T must(Result<T> result) {
    VERSO_CHECK(result.has_value(), "preparing a scene: {}", result.error().message);
    if constexpr (!std::is_void_v<T>) {
        return std::move(*result);
    }
}

/// What a process holds that can leak.
struct Census {
    std::multiset<std::string> descriptors;
    std::size_t mappings = 0;  // of memfds: threads' stacks and arenas come and go
    std::size_t threads = 0;
    static Census take();
    /// Empty, or what `after` has more of.
    std::string leaked(const Census& after) const;
};

}  // namespace verso::faultwalk
