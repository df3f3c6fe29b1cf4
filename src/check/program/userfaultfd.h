// Opening a program's userfaultfd, and its calls on a range.
#pragma once

#include <optional>

#include "base/result.h"
#include "check/program/program.h"
#include "kernel/kernel.h"

namespace verso::check {

/// With the program's features, SIGBUS unless it reads messages, and what this kernel needs for
/// protecting files. A kernel that lacks a feature of the program's cannot run it.
Result<int> open_userfaultfd(kernel::Kernel& kernel, const Program& program);
/// Nothing: the step is no call that says a range and a mode alone.
std::optional<kernel::Call> range_call(const Step& step, int fd, u64 at, u64 length);

}  // namespace verso::check
