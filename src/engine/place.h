// Putting pages into a child's mapping, with every answer the kernel may give. Used by whoever
// serves the child: its source's process (fill.cc), or the child itself once that has died
// (remote_filler.cc).
#pragma once

#include <span>

#include "engine/filler.h"

namespace verso::engine::place {

/// Private copies of consecutive pages. Wakes whoever waits for them. Returns how many were put
/// there.
u64 copies(kernel::Kernel& kernel, FillTarget& target, u64 first, std::span<const std::byte> bytes);

struct Mapped {
    u64 pages = 0;
    bool cannot_protect =
        false;  // before 6.4 CONTINUE cannot map a page protected: copy `wanted` instead
    bool not_found =
        false;  // `wanted` is a hole of the file, or only seemed so: read it, then contents()
};
/// Pages of the child's base file, without a copy. `wanted` is the page whose fault is being
/// served; holes of the file elsewhere are passed over.
Mapped base_pages(kernel::Kernel& kernel, FillTarget& target, u64 first, u64 count, u64 wanted);

/// Consecutive pages by value: copies, except that pages of zeroes take no memory.
u64 contents(kernel::Kernel& kernel, FillTarget& target, u64 first,
             std::span<const std::byte> bytes);

/// Zeroes for a run of pages that the caller knows to be holes of the file: they take no memory.
/// Returns how many were put there; none if the child's pages must arrive protected, which zeroes
/// cannot.
u64 zero_pages(kernel::Kernel& kernel, FillTarget& target, u64 first, u64 count);

/// An access to `page` raises SIGBUS from now on: its contents are lost, and zeroes would be a lie.
/// Before Linux 6.6 the page can only be made inaccessible: SIGSEGV, as with the mprotect backend.
void poison(kernel::Kernel& kernel, const FillTarget& target, u64 page);

void wake(kernel::Kernel& kernel, const FillTarget& target, u64 first, u64 count);

}  // namespace verso::engine::place
