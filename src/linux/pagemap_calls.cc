// /proc/self/pagemap: the scan of 6.7 and plain entries.
//
// The descriptor is opened once and kept. It names the address space of the process that opened it,
// so a child of fork(2) that used its parent's would scan its parent: the cache remembers for whom
// it was opened, in one atomic word with the descriptor, pid << 32 | fd.
#include <algorithm>
#include <array>
#include <atomic>

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "abi/pagemap.h"
#include "base/check.h"
#include "linux/address.h"
#include "linux/calls.h"

namespace verso::host {
namespace {
using kernel::Run;
using kernel::ScanFlag;

std::atomic<u64> cached{0};

/// The descriptor, or -1 with errno.
int pagemap_fd() {
    const u64 pid = static_cast<u64>(::getpid());
    u64 seen = cached.load(std::memory_order_acquire);
    if (seen >> 32 == pid) {
        return static_cast<int>(seen & 0xFFFFFFFFU);
    }
    // Why safe: opens a file for reading.
    Fd fd{::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC)};
    if (!fd.valid()) {
        return -1;
    }
    const u64 ours = pid << 32 | static_cast<u64>(fd.get());
    if (cached.compare_exchange_strong(seen, ours, std::memory_order_acq_rel)) {
        return fd.release();  // the cache's now; a parent's number stays, it may be reused
    }
    return static_cast<int>(seen & 0xFFFFFFFFU);  // another thread was faster; ours closes
}

abi::PagemapScan question_of(u64 flags) {
    abi::PagemapScan scan{};
    scan.size = sizeof scan;
    if ((flags & ScanFlag::written) != 0) {
        // The check makes a mapping that is no longer tracked an error instead of a silence (H9).
        // Asking back for exactly what is matched takes pagemap_scan_pmd_entry's short cut: 0.55
        // against 0.95 ms a GiB with 1 % written.
        scan.category_mask |= abi::PageIs::written;
        scan.return_mask |= abi::PageIs::written;
        scan.flags |= abi::PagemapScanFlag::check_wp_async;
    }
    if ((flags & ScanFlag::arm) != 0) {
        scan.flags |= abi::PagemapScanFlag::wp_matching;
    }
    if ((flags & ScanFlag::private_copy) != 0) {
        // Swapped pages count: a reset that skips them loses them (H21). The kernel calls PTE
        // markers (protection of an absent page) swapped as well, so the answer may name a page too
        // many.
        scan.category_mask |= abi::PageIs::file;
        scan.category_inverted |= abi::PageIs::file;
        scan.category_any_of |= abi::PageIs::present | abi::PageIs::swapped;
    }
    return scan;  // pages that differ in nothing we ask about are one run
}
}  // namespace

Outcome pagemap_scan(const Call& call, const Payload& payload) {
    const int fd = pagemap_fd();
    if (fd < 0) {
        return failure(errno);
    }
    std::array<abi::PageRegion, 4096> regions;  // 96 KiB of stack, for each turn flushes TLBs
    abi::PagemapScan scan = question_of(call.aux);
    const u64 end = call.address + call.length;
    u64 at = call.address;
    std::size_t filled = 0;
    do {
        const std::size_t room = std::min(regions.size(), payload.runs.size() - filled);
        scan.start = at;
        scan.end = end;
        scan.regions = room > 0 ? address_of(regions.data()) : 0;
        scan.regions_max = room;
        // Why safe: `scan` is the structure of this request, and `regions` holds regions_max of
        // them.
        const int found = ::ioctl(fd, abi::pagemap_scan_ioctl, &scan);
        if (found < 0) {
            // What earlier turns armed must not be forgotten: report it, and the next call meets
            // the error.
            return filled > 0 ? Outcome{kernel::Verdict::done, 0, static_cast<i64>(filled), at}
                              : failure(errno);
        }
        for (std::size_t i = 0; i < static_cast<std::size_t>(found); ++i) {
            if (filled > 0 && payload.runs[filled - 1].end == regions[i].start) {
                payload.runs[filled - 1].end = regions[i].end;
            } else {
                payload.runs[filled++] = Run{regions[i].start, regions[i].end};
            }
        }
        at = scan.walk_end;
    } while (at < end && filled < payload.runs.size());
    return {kernel::Verdict::done, 0, static_cast<i64>(filled), at};
}

Outcome scan_pages(const Call& call, const Payload& payload) {
    VERSO_CHECK(payload.scan != nullptr, "a scan without a question");
    const int fd = pagemap_fd();
    if (fd < 0) {
        return failure(errno);
    }
    static_assert(sizeof(kernel::ScanRegion) == sizeof(abi::PageRegion));
    const kernel::ScanQuestion& question = *payload.scan;
    abi::PagemapScan scan{};
    scan.size = sizeof scan;
    scan.flags = question.flags;
    scan.start = call.address;
    scan.end = call.address + call.length;
    scan.regions = question.regions.empty() ? 0 : address_of(question.regions.data());
    scan.regions_max = question.regions.size();
    scan.pages_max = question.pages_max;
    scan.category_inverted = question.category_inverted;
    scan.category_mask = question.category_mask;
    scan.category_any_of = question.category_any_of;
    scan.return_mask = question.return_mask;
    // Why safe: `scan` is the structure of this request; the regions are the caller's span.
    const int found = ::ioctl(fd, abi::pagemap_scan_ioctl, &scan);
    Outcome outcome = found < 0 ? failure(errno) : Outcome::done(found);
    outcome.walk_end = scan.walk_end;
    return outcome;
}

Outcome clear_refs() {
    // Why safe: opens a file of this process for writing.
    const Fd file{::open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC)};
    if (!file.valid()) {
        return failure(errno);
    }
    // Why safe: one character of a literal; 4 asks for soft-dirty bits alone.
    return result_of(::write(file.get(), "4", 1));
}

Outcome pagemap_read(const Call& call, const Payload& payload) {
    const u64 bytes = to_pages(call.length) * sizeof(u64);
    VERSO_CHECK(bytes <= payload.out.size(), "{} bytes into {}", bytes, payload.out.size());
    const int fd = pagemap_fd();
    if (fd < 0) {
        return failure(errno);
    }
    u64 total = 0;
    while (total < bytes) {
        // Why safe: the destination is the caller's span, whose size was just checked.
        const ssize_t count =
            ::pread(fd, payload.out.data() + total, bytes - total,
                    static_cast<off_t>(to_pages(call.address) * sizeof(u64) + total));
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0) {
            return failure(errno);
        }
        if (count == 0) {
            break;
        }
        total += static_cast<u64>(count);
    }
    return Outcome::done(static_cast<i64>(total));
}

}  // namespace verso::host
