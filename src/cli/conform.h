// verso conform: random programs on the model of the kernel's memory management and on the kernel
// that runs, compared after every step (check/conform). What it prints of a difference is a program
// that anyone can run again: `verso conform --program '…'`.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/types.h"

namespace verso::cli {

struct ConformOptions {
    u64 seed = 1;
    u64 programs = 0;
    u64 minutes = 0;  // neither: 20,000 programs
    u64 workers = 4;  // most of a program's time is waiting for its processes
    std::vector<std::string> kinds;
    std::vector<std::string> calls;
    std::string program;      // instead: this one alone
    std::string broken_rule;  // of the model, switched on purpose
    std::string write;        // a folder: NAME.litmus and NAME.c of each finding
    bool all = false;         // print known differences in full as well
};
int conform(const ConformOptions& options);

std::vector<std::string_view> conform_kinds();
/// Words that --calls takes: those of the notation, and `quick`: all that need no trigger.
std::vector<std::string_view> conform_calls();
std::vector<std::string_view> conform_rules();

}  // namespace verso::cli
