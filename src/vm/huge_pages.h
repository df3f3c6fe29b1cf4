// The machine's pool of huge pages of 2 MiB (hugetlb), asked before anything is started: a QEMU
// that finds too few of them ends with a sentence about mmap.
#pragma once

#include <string>

#include "base/result.h"
#include "base/types.h"

namespace verso::vm {

struct HugePool {
    bool known = false;  // the kernel has pages of that size
    u64 total = 0;
    u64 free = 0;
    u64 reserved = 0;    // of the free ones, promised to somebody
    u64 surplus = 0;     // made beyond the pool
    u64 overcommit = 0;  // how many of those there may be
};
HugePool huge_pool(const std::string& folder = "/sys/kernel/mm/hugepages/hugepages-2048kB");

/// Whether so much memory can be had from it.
Result<void> check_huge_pages(const HugePool& pool, u64 bytes);

}  // namespace verso::vm
