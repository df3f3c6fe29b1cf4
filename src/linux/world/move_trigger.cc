// Pages move to other frames; entries become hints.
#include <sys/mman.h>
#include <unistd.h>

#include "linux/address.h"
#include "linux/world/text_file.h"
#include "linux/world/triggers.h"

namespace verso::host {
using kernel::Provoked;

namespace {
/// Memory of which every fourth page is there: room between pages, where compaction puts others.
class Ballast {
public:
    explicit Ballast(u64 bytes) : bytes_(bytes) {
        // Why safe: new anonymous memory of this object's own; likewise all that follows.
        at_ = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (at_ == MAP_FAILED) {
            return;
        }
        // Why safe: as above.
        ::madvise(at_, bytes_, MADV_NOHUGEPAGE);
        volatile char* const begin = static_cast<volatile char*>(at_);
        for (u64 at = 0; at < bytes_; at += page_size) {
            begin[at] = 1;
        }
        for (u64 at = 0; at < bytes_; at += 4 * page_size) {
            // Why safe: as above.
            ::madvise(pointer_to(address_of(at_) + at), 3 * page_size, MADV_DONTNEED);
        }
    }
    ~Ballast() {
        if (at_ != MAP_FAILED) {
            // Why safe: as above.
            ::munmap(at_, bytes_);
        }
    }
    Ballast(const Ballast&) = delete;
    Ballast& operator=(const Ballast&) = delete;

private:
    const u64 bytes_;
    void* at_ = nullptr;
};

u64 moved(const std::vector<u64>& before, const std::vector<u64>& after) {
    u64 count = 0;
    for (std::size_t i = 0; i < before.size() && i < after.size(); ++i) {
        count += is_present(before[i]) && is_present(after[i]) &&
                         frame_of(before[i]) != frame_of(after[i])
                     ? 1
                     : 0;
    }
    return count;
}
}  // namespace

/// T-8, in the one form that moves pages also where there is a single node (resident.cc): sure, at
/// once, and by the same migrate_pages as compaction: anonymous memory, shmem, files, huge pages
/// and those of the pool, if that has one to spare.
Provoked migrate(const Target& target) {
    const std::vector<u64> before = entries_of(target);
    const u64 there = count_present(before);
    if (there == 0) {
        return not_so("no page of the range is in memory");
    }
    const kernel::Outcome asked = target.move();
    if (asked.verdict == kernel::Verdict::unsupported || asked.verdict == kernel::Verdict::denied) {
        return migrate_by_compaction(target);
    }
    const u64 gone = moved(before, entries_of(target));
    if (gone == there) {
        return acted();
    }
    return not_so(fmt::format("{} of {} pages stayed in their frames: pinned, or no frame was free",
                              there - gone, there));
}

/// T-6. Compaction moves pages from the beginning of a zone to the holes between those at its end,
/// until the two meet. So a page moves if fewer pages lie before it than holes behind it; the
/// ballast makes holes, more with every try. Of four pages, 1 moved in 10 tries of 64 MiB.
Provoked migrate_by_compaction(const Target& target) {
    constexpr u64 first_bytes = u64{64} << 20;
    constexpr int tries_max = 5;
    const std::vector<u64> before = entries_of(target);
    for (int tries = 0; tries < tries_max; ++tries) {
        const Ballast ballast(first_bytes << tries);
        const Result<void> compacted = write_text("/proc/sys/vm/compact_memory", "1");
        if (!compacted) {
            return not_so(compacted.error().message);
        }
        if (moved(before, entries_of(target)) > 0) {
            return acted();
        }
    }
    return not_so(
        fmt::format("{} compactions moved no page of the range; it depends on where in "
                    "memory its frames are",
                    tries_max));
}

/// T-12. The balancer looks at a process that used the processor for a second, and makes hints of
/// what a single-threaded process has on its own node only if it has a second thread.
Provoked numa_hint(const Target& target, Machine& machine) {
    constexpr u64 portion_ms = 100;
    constexpr int portions_max = 60;
    const u64 wanted = count_present(entries_of(target));
    if (wanted == 0) {
        return not_so("no page of the range is in memory");
    }
    Result<std::unique_ptr<Setting>> on =
        Setting::change(machine.keeper(), "/proc/sys/kernel/numa_balancing", "1");
    if (!on) {
        return not_so(on.error().message);
    }
    const std::string scans = fmt::format("/proc/{}/sched", target.pid);
    const u64 before = number_after(read_text("/proc/vmstat"), "numa_pte_updates");
    for (int portions = 0; portions < portions_max; ++portions) {
        const Result<void> spun = target.spin(portion_ms);
        if (!spun) {
            return not_so(spun.error().message);
        }
        if (number_after(read_text("/proc/vmstat"), "numa_pte_updates") >= before + wanted) {
            return acted();
        }
    }
    return not_so("the balancer made no hints within six seconds of the process' time");
}

}  // namespace verso::host
