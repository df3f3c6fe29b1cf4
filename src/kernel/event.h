// What a userfaultfd tells its reader, what a wait returns, and other bulk data that travels
// beside a Call.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "base/fd.h"
#include "base/types.h"

namespace verso::kernel {

enum class EventKind : u8 {
    write_protect,  // a store met a protected page
    missing,        // no page in the file (or no anonymous page)
    minor,          // the file has a page, this mapping has no entry for it
    removed,        // [address, end) is being discarded by madvise
    unmapped,       // [address, end) is being unmapped
    remapped,       // [address, address + length) moved to `end`
    forked,         // the process had a child; its userfaultfd came along (`length`) or was closed
    other,
};

struct Event {
    EventKind kind = EventKind::other;
    bool write = false;
    u64 address = 0;
    u64 end = 0;
    u64 length = 0;
};

/// One run of equal pages in a pagemap scan, addresses in bytes.
struct Run {
    u64 start = 0;
    u64 end = 0;
};

/// One descriptor to wait for. `ready` and `hung_up` are set by the wait.
struct Wait {
    int fd = -1;
    bool ready = false;
    bool hung_up = false;
};

/// smaps of one range, in bytes.
struct Usage {
    u64 rss = 0;
    u64 pss = 0;
    u64 anonymous = 0;
    u64 swap = 0;
};

/// Receives access faults (SIGSEGV) of a watched range, on the faulting thread. Returns whether the
/// access may be repeated.
class FaultSink {
public:
    virtual bool on_access_fault(u64 address, bool write) = 0;

protected:
    ~FaultSink() = default;
};

/// The whole question of a PAGEMAP_SCAN, with the kernel's own bits (abi/pagemap.h).
struct ScanRegion {
    u64 start = 0;
    u64 end = 0;
    u64 categories = 0;
    friend bool operator==(const ScanRegion&, const ScanRegion&) = default;
};
struct ScanQuestion {
    u64 flags = 0;
    u64 category_inverted = 0;
    u64 category_mask = 0;
    u64 category_any_of = 0;
    u64 return_mask = 0;
    u64 pages_max = 0;                ///< 0: no limit
    std::span<ScanRegion> regions{};  ///< empty: nothing is reported, only walked and armed
};

struct Payload {
    std::span<const std::byte> in{};
    std::span<std::byte> out{};
    std::span<const int> fds{};
    std::vector<Fd>* received = nullptr;
    std::span<Event> events{};
    std::span<Run> runs{};
    std::span<Wait> waits{};
    const ScanQuestion* scan = nullptr;
    Usage* usage = nullptr;
    FaultSink* sink = nullptr;
};

}  // namespace verso::kernel
