// check/: programs that try a kernel out.
//
//   program.h  a program as a value, its notation
//   run.h      running it on a World, what was seen, expectations, comparison
//
// May include: base, abi, kernel, mm, linux, engine.
#pragma once

#include "check/program/program.h"
#include "check/program/run.h"
