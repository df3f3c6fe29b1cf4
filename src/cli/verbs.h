// cli/: the program `verso`. One file or folder per verb; main.cc is the table of contents and the
// only place that knows how a command line is parsed. A verb gets a plain struct and returns an
// exit code: 0 all held, 1 something did not, 2 the request was wrong (one line on stderr, nothing
// changed).
//
//   demo     a live SQLite database snapshotted, forked and rewound      cli/demo/
//   bench    the engine's figures, each against a rival in the same run  cli/bench/
//   conform  random programs on the model and on the running kernel      cli/conform.h
//   doctor   what this machine offers and what to change                 cli/doctor.h
//   explain  what a litmus text does to a machine, step by step       cli/explain.h
//   explore  all small programs on the model of the kernel               cli/explore.h
//   litmus   claims about the kernel, judged                             cli/litmus.h
//   swarm    the engine on the model, many runs from seeds               cli/swarm.h
//   replay   one of those runs again                                     cli/swarm.h
//   vm       virtual machines under QEMU, forked and rewound             cli/vm.h
//   torture  the engine on this kernel, under all that it does by itself cli/torture.h
//
// Locks: none of its own. May include: everything to the left.
#pragma once

#include "cli/bench/bench_engine.h"
#include "cli/bench/vm/bench_vm.h"
#include "cli/conform.h"
#include "cli/demo/demo.h"
#include "cli/doctor.h"
#include "cli/explain.h"
#include "cli/explore.h"
#include "cli/litmus.h"
#include "cli/swarm.h"
#include "cli/torture.h"
#include "cli/vm.h"
