// Programs on the running kernel: why they cannot be run here, huge pages for those that want them.
#pragma once

#include <memory>
#include <string>

#include "linux/world/machine.h"

namespace verso::claims {

/// Why the running kernel's column cannot be compared here; empty: it can.
std::string why_not_here();
/// Held while programs on hugetlb memory run; put back afterwards.
Result<std::shared_ptr<host::Machine>> pool_of_huge_pages();
/// The program in a world of its own: `words` if they describe its last step, else what was seen,
/// or "not run: " and why.
std::string verdict_on_the_running_kernel(const std::string& program, const std::string& words);

}  // namespace verso::claims
