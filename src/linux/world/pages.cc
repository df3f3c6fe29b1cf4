// What a trigger looks at to say whether it acted.
#include <array>
#include <cerrno>

#include <fcntl.h>
#include <unistd.h>

#include "abi/pagemap.h"
#include "linux/world/text_file.h"
#include "linux/world/triggers.h"

namespace verso::host {
using kernel::Call;

std::vector<u64> entries_of(const Target& target) {
    std::vector<u64> entries(to_pages(target.length));
    const kernel::Outcome read =
        target.kernel.perform(Call::pagemap_read(target.address, target.length),
                              {.out = std::as_writable_bytes(std::span(entries))});
    return read.ok() ? entries : std::vector<u64>{};
}

bool is_present(u64 entry) { return (entry & abi::PagemapBit::present) != 0; }

bool is_mapped_once(u64 entry) { return (entry & abi::PagemapBit::exclusive) != 0; }

bool is_in_swap(u64 entry) {
    constexpr u64 type_mask = 31;
    constexpr u64 devices_max = 22;  // the types above are migration, poison and markers (6.18)
    return (entry & abi::PagemapBit::swapped) != 0 && (entry & type_mask) <= devices_max;
}

u64 frame_of(u64 entry) { return entry & (abi::PagemapBit::soft_dirty - 1); }

u64 pages_moved(const std::vector<u64>& before, const std::vector<u64>& after) {
    u64 count = 0;
    for (std::size_t i = 0; i < before.size() && i < after.size(); ++i) {
        count += is_present(before[i]) && is_present(after[i]) &&
                         frame_of(before[i]) != frame_of(after[i])
                     ? 1
                     : 0;
    }
    return count;
}

u64 count_present(const std::vector<u64>& entries) {
    u64 count = 0;
    for (const u64 entry : entries) {
        count += is_present(entry) ? 1 : 0;
    }
    return count;
}

u64 count_frames(const std::vector<u64>& entries, u64 flag) {
    // Why safe: opens a file for reading.
    const Fd file{::open("/proc/kpageflags", O_RDONLY | O_CLOEXEC)};
    u64 count = 0;
    for (const u64 entry : entries) {
        u64 flags = 0;
        if (is_present(entry)) {
            const u64 at = frame_of(entry) * sizeof flags;
            // Why safe: fills the eight bytes of a local.
            const ssize_t got = ::pread(file.get(), &flags, sizeof flags, static_cast<off_t>(at));
            count += got == sizeof flags && (flags & flag) != 0 ? 1 : 0;
        }
    }
    return count;
}

u64 huge_page_bytes() {
    const u64 told = read_number("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size");
    return told != 0 ? told : u64{2} << 20;  // of x86-64 and arm64 with pages of 4 KiB
}

u64 huge_bytes(const Target& target) {
    std::array<kernel::ScanRegion, 64> regions;
    kernel::ScanQuestion question;
    question.category_mask = abi::PageIs::huge;
    question.return_mask = abi::PageIs::huge;
    question.regions = regions;
    u64 bytes = 0;
    u64 at = target.address;
    const u64 end = target.address + target.length;
    while (at < end) {
        const kernel::Outcome found =
            target.kernel.perform(Call::scan(at, end - at), {.scan = &question});
        if (!found.ok() || found.walk_end <= at) {
            break;
        }
        for (std::size_t i = 0; i < static_cast<std::size_t>(found.value); ++i) {
            bytes += regions[i].end - regions[i].start;
        }
        at = found.walk_end;
    }
    return bytes;
}

}  // namespace verso::host
