// Opening a program's userfaultfd.
#pragma once

#include "base/result.h"
#include "check/program/program.h"
#include "kernel/kernel.h"

namespace verso::check {

/// With the program's features, SIGBUS unless it reads messages, and what this kernel needs for
/// protecting files. A kernel that lacks a feature of the program's cannot run it.
Result<int> open_userfaultfd(kernel::Kernel& kernel, const Program& program);

}  // namespace verso::check
