// The raw rival of arming and of first writes: userfaultfd write-protection by plain ioctls, no
// bookkeeping, one region. Whatever the engine costs above this is the engine's own.
#pragma once

#include <atomic>
#include <memory>
#include <thread>

#include "base/fd.h"
#include "base/result.h"
#include "cli/bench/rivals/memory.h"

namespace verso::cli::bench {

class RawUffd {
public:
    /// One descriptor, opened for sync write-protection of shared memory (or async, see
    /// raw_async.h).
    static Result<RawUffd> open(bool async);
    Result<void> register_write_protect(const Mapping& mapping) const;
    /// One UFFDIO_WRITEPROTECT; releasing wakes whoever waits in the range.
    bool write_protect(u64 address, u64 length, bool on) const;
    int fd() const { return fd_.get(); }

private:
    explicit RawUffd(Fd fd) : fd_(std::move(fd)) {}
    Fd fd_;
};

/// A populated memfd mapped twice, as a region is: once registered for the writer, once plain for
/// the one who copies; and both with all their page table entries in place.
struct RawRegion {
    static Result<RawRegion> create(u64 size, bool async);
    Result<void> protect_all() const;

    Memfd memfd;
    Mapping mapping;  // registered
    Mapping alias;    // never registered
    RawUffd uffd;
};

/// How the handler of first writes waits, and how it stores the old page.
struct HandlerStyle {
    bool spin_first = false;  // read without sleeping for a while, then poll(2); otherwise poll(2)
    bool store_by_mapping = false;  // memcpy into a fresh memfd page; otherwise pwrite(2)
};

/// Serves write faults of a RawRegion: copy the page into a fresh memfd, release and wake.
class RawHandler {
public:
    static Result<std::unique_ptr<RawHandler>> start(const RawRegion& region, HandlerStyle style);
    ~RawHandler();
    /// The old bytes of a page that has been written.
    std::byte* stored_page(u64 index) const { return frozen_map_.page(index); }
    RawHandler(const RawHandler&) = delete;
    RawHandler& operator=(const RawHandler&) = delete;

private:
    RawHandler(const RawRegion& region, HandlerStyle style, Memfd frozen, Mapping frozen_map,
               Fd stop);
    void serve();
    bool wait_for_fault() const;
    void resolve(u64 address);

    const RawRegion& region_;
    HandlerStyle style_;
    Memfd frozen_;
    Mapping frozen_map_;
    Fd stop_;
    std::atomic<bool> stopping_ = false;
    std::thread thread_;
};

}  // namespace verso::cli::bench
