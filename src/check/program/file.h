// The file behind a program's memory: a memfd, of huge pages or not, or an ordinary file.
#pragma once

#include "base/result.h"
#include "check/program/program.h"
#include "kernel/kernel.h"

namespace verso::check {

/// Its descriptor. The kind must be one that has a file: not A.
Result<int> make_file(kernel::Kernel& kernel, Kind kind, u64 length);

}  // namespace verso::check
