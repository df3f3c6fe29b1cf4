// check/: programs that try a kernel out.
//
//   program.h  a program as a value, its notation
//   run.h      running it on a World, what was seen, expectations, comparison
//   where.h    … on the model under some rules, on the running kernel
//   litmus/    one claim as a small text, its verdict over all runs
//   explore/   all programs of a scope on the model, shortest counterexample first
//   report/    what a program does to a machine, step by step, in words
//   shrink/    the shortest program that shows the same
//   conform/   random programs on the model and on the running kernel
//   swarm/     the engine on the model, many runs from seeds
//   torture/   the engine on the running kernel, under all that it does by itself
//   safety/    whether snapshots are safe on a kernel, in one line
//
// May include: base, abi, kernel, mm, linux, engine.
#pragma once

#include "check/conform/conform.h"
#include "check/litmus/litmus.h"
#include "check/program/program.h"
#include "check/program/run.h"
#include "check/program/where.h"
