// S2-01 as it was reported: the engine's own snapshot and child, on a kernel made of rules.
#pragma once

#include <string>

#include "mm/rules.h"

namespace verso::claims {

/// A region holds 1, a snapshot is taken, the page migrates, 2 is stored: what a child of the
/// snapshot reads then.
std::string child_of_the_engine_reads(const mm::Rules& with);

}  // namespace verso::claims
