// The two that are compared: the model under the rules of a release, and the running kernel.
#pragma once

#include <string>

#include "base/choice.h"
#include "check/program/run.h"
#include "check/program/where.h"
#include "linux/world/machine.h"
#include "mm/rules.h"

namespace verso::check {

/// The preset of the running release, or of the newest one before it, with what this kernel is
/// configured for.
mm::Rules running_rules();

Trace on_the_model(const Program& program, const mm::Rules& rules, Choice& choice);
/// A call that takes longer than the patience hangs: its process is ended, and the trace says so.
Trace on_the_running_kernel(const Program& program, u64 patience_ms);

/// Is there an answer to the model's choices under which it shows what the kernel did? At most so
/// many are tried.
bool model_allows(const Program& program, const mm::Rules& rules, const Trace& kernel,
                  unsigned tries_max);

}  // namespace verso::check
