// Rows of the specification that the model leaves out, and why: a table in docs/mm.md. What is not
// in here and not in the model is an error of the model.
#pragma once

#include <string_view>

namespace verso::claims {

struct NotModelled {
    std::string_view rows;
    std::string_view what;
    std::string_view why;
};

inline constexpr NotModelled not_modelled[] = {
    {"I7, RG-16", "hugetlb page tables shared between processes",
     "every address space has its own entries, so that the invariant holds by itself; that "
     "registering takes shared tables apart cannot be seen"},
    {"VP4, SC-13, MV-9, E-GR4", "mappings whose driver chose their protection; VM_PFNMAP, VM_IO",
     "there are no devices; of E-GR4 and MV-9 the halves about hugetlb and locked memory are "
     "there"},
    {"section 2", "execute permission", "no step executes; read and write are what an entry knows"},
    {"VP20", "device-exclusive entries", "there are no devices that keep the processor out"},
    {"8.4, device memory", "entries that say a page is in memory only a device reaches",
     "migrate_vma's four steps are there, and what lies between them; the device's memory is one "
     "that the processor reaches, so that no access brings the page back. The specification has "
     "no rows about such entries"},
    {"FD-1", "an access of a task that exits or dumps core", "who has ended makes no step"},
    {"FD-5", "an access that must not wait",
     "none of the calls makes one; those of asynchronous page faults and futexes would"},
    {"FD-6", "an access that meets a userfaultfd being released",
     "close() is one step: before it there is a userfaultfd, after it none"},
    {"FL-7, WP-7", "mmap_changing, looked at again under the lock",
     "nothing comes between the two looks, as a call is one step; the first look is there"},
    {"FL-13", "a malformed entry of the middle level", "a broken kernel is not modelled"},
    {"FL-14", "a page table that vanishes within a call", "a call is one step"},
    {"FL-24, SC-10", "a fatal signal within a call", "nobody is left to see the answer"},
    {"WP-11", "no memory for a page table",
     "memory for page tables does not run out; so 6.1, which then said 0 (section 4), is like 6.4"},
    {"E-SW12", "what swapoff leaves of an unreadable slot before 6.2",
     "the marker SWAPIN_ERROR came with 6.2; what was there before it no row says, and no such "
     "kernel runs here: older presets leave K(POISONED), too"},
    {"hugetlb", "reservations, which 6.18 leaks (docs/findings.md, hugetlb-reservation-leaks)",
     "the pool of huge pages has none: they show in /proc/meminfo alone"},
    {"AP-9", "poll before UFFDIO_API",
     "the model's read says EINVAL then; the seam has one wait for all descriptors, and nobody "
     "waits for a userfaultfd without a handshake"},
    {"E-FK9, E-FK10", "that a mapping once had a page of its own or a guard (anon_vma)",
     "vma_needs_copy() asks that; the model asks whether there is one now, so where the last one "
     "has gone or moved away it says that a child has no poison, and the kernel copies it "
     "(docs/findings.md)"},
    {"section 8, reclaim", "reclaim of a page of a file that is pinned",
     "shrink_folio_list() unmaps it and then sees the pin: the entry goes, the page stays; the "
     "model leaves both, as it does with a pinned anonymous page (docs/findings.md)"},
    {"section 6, files", "a fault of a file that maps all of a large folio in small entries",
     "6.18 was seen to, where no userfaultfd is registered; the model maps the page that was asked "
     "for (docs/findings.md)"},
    {"8.6, collapse", "MADV_COLLAPSE of shared memory with holes under a MISSING userfaultfd",
     "collapse_file() unmaps first and then finds the holes: EBUSY, and the entries have gone; the "
     "model looks before: EINVAL, and they stay (docs/findings.md)"},
    {"section 1", "that MAP_DROPPABLE came with 6.11",
     "no rule has a release for it: older presets take it, too"},
    {"E-FK12", "exec", "it is exit() of one address space and mmap() in another; both are there"},
    {"section 1, NUMA", "a second NUMA node in programs",
     "the model has as many as its Shape says, tests/mm and the random calls use two; programs "
     "and litmus texts have no word for a node, as a machine with one could not run them"},
};

}  // namespace verso::claims
