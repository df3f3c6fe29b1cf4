// The kernel's own account of memory, read where the process stands: /proc/self/smaps for one range
// of addresses, /proc/self/smaps_rollup for everything.
#pragma once

#include <istream>
#include <span>

#include "cli/demo/figures.h"

namespace verso::cli {

/// The mappings that lie inside `range`, added up. Reads what smaps prints.
MemoryFigures smaps_figures(std::istream& smaps, std::span<const std::byte> range);

/// This process, now.
MemoryFigures own_memory(std::span<const std::byte> range);

}  // namespace verso::cli
