// What the demo found, for a person and for a machine.
#pragma once

#include <string>

#include "cli/demo/contender.h"
#include "cli/demo/figures.h"

namespace verso::cli {

/// The table: Verso beside fork(2), every snapshot, every child, every check.
std::string table_of(const Side& verso, const Side& rival);

/// Every figure, nanoseconds and bytes, one line per member.
std::string json_of(const Work& work, const Side& verso, const Side& rival);

}  // namespace verso::cli
