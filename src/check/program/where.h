// Where programs run: on the model under some rules, or on the running kernel, each time in a world
// of its own.
#pragma once

#include <optional>
#include <string>

#include "base/choice.h"
#include "check/program/run.h"
#include "mm/rules.h"
#include "mm/state.h"

namespace verso::check {

/// Of a simulated machine: room for three areas of a few huge pages, and for the program's threads.
mm::Shape shape_for(const Program& program);
Trace run_on_model(const mm::Rules& rules, const Program& program);
/// `choice` decides what could go either way.
Trace run_on_model(const mm::Rules& rules, const Program& program, Choice& choice);

/// A call that takes longer than the patience hangs: its process is ended, and the trace says so.
Trace run_on_running_kernel(const Program& program, u64 patience_ms = 5'000);

/// "6.18" of "6.18.44-…".
std::string running_release();
/// The rules of the running release, or of the newest before it that has a preset; soft-dirty as it
/// is configured here.
mm::Rules rules_of_running_kernel();

}  // namespace verso::check
