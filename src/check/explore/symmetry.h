// Symmetry: states that differ in nothing but names are one state. Physical pages and swap slots
// are renumbered by the model itself (mm::canonicalise); here threads of one process that are all
// alike in what they may do, and the values that stores write.
//
//   thread 0 waits, thread 1 does not   ═   thread 1 waits, thread 0 does not
//
// Whoever prints a path must know who is who: Names says which thread, and which value, of the
// program that is meant now goes under which name.
#pragma once

#include <array>

#include "check/explore/node.h"
#include "check/explore/scope.h"

namespace verso::check::explore {

struct Names {
    std::array<u8, Limits::threads_max> thread{0, 1, 2};        ///< name → whose it is
    std::array<u32, Limits::values_max + 1> value{0, 1, 2, 3};  ///< name → what it stands for
};

/// Brings the node into the form of all that are like it, and the names along.
void make_canonical(Node& node, const Scope& scope, Names& names);

}  // namespace verso::check::explore
