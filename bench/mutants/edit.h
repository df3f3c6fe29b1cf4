// A program changed a little at random: what meets a mutant already is a better beginning than what
// is drawn from nothing.
#pragma once

#include "base/choice.h"
#include "check/program/program.h"

namespace verso::bench {

/// One to four changes: a step of another random program put in, one left out, another page, mode,
/// process, thread, feature, kind.
void edit(check::Program& program, Choice& choice, u64 seed);

}  // namespace verso::bench
