// Pages move to other frames; entries become hints.
#include <sys/mman.h>
#include <unistd.h>

#include "abi/pagemap.h"
#include "linux/address.h"
#include "linux/world/text_file.h"
#include "linux/world/triggers.h"

namespace verso::host {
using kernel::Provoked;

namespace {
constexpr std::string_view walks_name = "mm->numa_scan_seq";

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
    const u64 gone = pages_moved(before, entries_of(target));
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
        if (pages_moved(before, entries_of(target)) > 0) {
            return acted();
        }
    }
    return not_so(
        fmt::format("{} compactions moved no page of the range; it depends on where in "
                    "memory its frames are",
                    tries_max));
}

/// T-12. task_numa_work (6.18) walks the memory of a process that has used the processor for a
/// second. It passes over what a single-threaded process has on its own node, hence the further
/// thread; over private pages that a relative maps too; and, except in the first walk of all, over
/// mappings that nobody accessed lately, until as many walks have passed as there are threads.
Provoked numa_hint(const Target& target, Machine& machine) {
    constexpr u64 portion_ms = 50;
    constexpr int portions_max = 160;
    const std::vector<u64> entries = entries_of(target);
    const u64 wanted = count_present(entries);
    if (wanted == 0) {
        return not_so("no page of the range is in memory");
    }
    for (const u64 entry : entries) {
        if (is_present(entry) && (entry & abi::PagemapBit::file) == 0 && !is_mapped_once(entry)) {
            return not_so("the balancer passes over private pages that two processes map");
        }
    }
    Result<std::unique_ptr<Setting>> on =
        Setting::change(machine.keeper(), "/proc/sys/kernel/numa_balancing", "1");
    if (!on) {
        return not_so(on.error().message);
    }
    const std::string process = fmt::format("/proc/{}/", target.pid);
    const auto walks = [&] { return number_after(read_text(process + "sched"), walks_name); };
    const auto hints = [] { return number_after(read_text("/proc/vmstat"), "numa_pte_updates"); };
    const u64 hints_before = hints();
    const u64 walks_before = walks();
    for (int portions = 0; portions < portions_max; ++portions) {
        const Result<void> spun = target.spin(portion_ms);
        if (!spun) {
            return not_so(spun.error().message);
        }
        const u64 threads = number_after(read_text(process + "status"), "Threads");
        const u64 enough = walks_before == 0 ? 1 : walks_before + threads + 2;
        if (walks() >= enough && hints() >= hints_before + wanted) {
            return acted();
        }
    }
    return not_so(
        "the balancer did not walk all of the process' memory in eight seconds of its "
        "time; each walk of one process comes later than the one before");
}

}  // namespace verso::host
