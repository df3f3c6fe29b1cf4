// /proc/PID/pagemap: what the eight bytes of an entry say, and the PAGEMAP_SCAN ioctl of 6.7, which
// finds runs of pages by category and can write-protect what it found in the same step.
#pragma once

#include "abi/userfaultfd.h"
#include "base/types.h"

namespace verso::abi {

/// Bits of one entry read from /proc/PID/pagemap.
struct PagemapBit {
    static constexpr u64 soft_dirty = u64{1} << 55;  // 3.11
    static constexpr u64 exclusive = u64{1} << 56;   // 4.2: mapped once
    static constexpr u64 uffd_wp = u64{1} << 57;     // 5.14
    static constexpr u64 file = u64{1} << 61;        // 3.5: of a file or shared anonymous
    static constexpr u64 swapped = u64{1} << 62;     // 2.6.25
    static constexpr u64 present = u64{1} << 63;     // 2.6.25
};

/// Whether the entry of a private file mapping holds a page of its own (or the shared zero page)
/// rather than the file's: in memory, swapped out or being migrated. A PTE marker (swap type 31)
/// holds nothing. Without CAP_SYS_ADMIN the kernel hides the swap type, and a marker cannot be told
/// from a page that is swapped out: it is then called the mapping's own, which costs a copy and
/// loses nothing.
constexpr bool is_private_copy(u64 entry) {
    constexpr u64 type_mask = 31;
    constexpr u64 marker_type = 31;
    if ((entry & PagemapBit::file) != 0) {
        return false;
    }
    if ((entry & PagemapBit::present) != 0) {
        return true;
    }
    return (entry & PagemapBit::swapped) != 0 && (entry & type_mask) != marker_type;
}

/// Categories of PAGEMAP_SCAN.
struct PageIs {
    static constexpr u64 wp_allowed = 1 << 0;  // 6.7, as all without a number
    static constexpr u64 written = 1 << 1;
    static constexpr u64 file = 1 << 2;
    static constexpr u64 present = 1 << 3;
    static constexpr u64 swapped = 1 << 4;
    static constexpr u64 pfn_zero = 1 << 5;
    static constexpr u64 huge = 1 << 6;
    static constexpr u64 soft_dirty = 1 << 7;  // 6.8
    static constexpr u64 guard = 1 << 8;       // 6.15
};
struct PagemapScanFlag {
    static constexpr u64 wp_matching = 1;     // protect what matches
    static constexpr u64 check_wp_async = 2;  // EPERM where a mapping is not under async WP
};

struct PageRegion {
    u64 start;
    u64 end;
    u64 categories;
};
struct PagemapScan {
    u64 size;  // of this structure
    u64 flags;
    u64 start;
    u64 end;
    u64 walk_end;  // out
    u64 regions;   // address of PageRegion[regions_max]
    u64 regions_max;
    u64 pages_max;
    u64 category_inverted;
    u64 category_mask;
    u64 category_any_of;
    u64 return_mask;
};
static_assert(sizeof(PagemapScan) == 96 && sizeof(PageRegion) == 24);

inline constexpr unsigned long pagemap_scan_ioctl =
    ioctl_number(Direction::read_write, 'f', 16, sizeof(PagemapScan));

}  // namespace verso::abi
