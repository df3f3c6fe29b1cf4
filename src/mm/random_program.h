// Random programs for the model: a machine of some shape, and one call after the other over the
// whole vocabulary. Everything comes from a Choice, so that a seed, a fuzzer's bytes or a list of
// answers replays the same program. Arguments are mostly such that something happens; now and then
// they are anything.
#pragma once

#include "base/choice.h"
#include "mm/call.h"

namespace verso::mm {

/// Switched on: one or two threads, little or much memory, one or two nodes, huge pages of two.
State random_machine(Choice& choice);
/// The next step. It need not be possible.
Call random_call(const State& state, Choice& choice);

}  // namespace verso::mm
