// Looking at memory from outside: pagemap words, PAGEMAP_SCAN categories, and the scans that
// programs ask for.
#pragma once

#include <string>
#include <vector>

#include "check/program/run.h"

namespace verso::check {

/// `count` pages that are `unit` bytes each.
Result<std::vector<PageFacts>> facts_of(kernel::Kernel& kernel, u64 from, u64 count, u64 unit);

struct Scanned {
    kernel::Outcome outcome{};
    u64 bytes = 0;  // that were selected
    u64 walked = 0;

    /// "= 2" pages of `length` bytes, "= all" of a huge page (`unit` 0), and for ONE, where it
    /// stopped.
    std::string text(const Step& step, u64 length, u64 unit) const;
};
/// The steps `scan` and `arm`.
Scanned scan(kernel::Kernel& kernel, const Step& step, u64 address, u64 length);

}  // namespace verso::check
