// A litmus as a C program that stands alone: it needs libc and the running kernel, makes the steps
// as check/program makes them, prints after each what came of it, and judges.
//
//   verso litmus NAME.litmus --print c > NAME.c
//   cc -Wall -Wextra -pthread -o NAME NAME.c && ./NAME
//   exit code   0 as claimed   1 not so: it prints what   77 cannot be run here: it prints why
//
// So whoever shall look at a finding, or mend it, needs nothing of Verso.
#pragma once

#include <string>

#include "base/result.h"
#include "check/litmus/litmus.h"

namespace verso::check {

/// An error names the step that C cannot make. `name` is the file's, for the comment at its head.
Result<std::string> to_c(const Litmus& litmus, std::string_view name);

}  // namespace verso::check
