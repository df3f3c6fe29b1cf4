// Token: a program that a search found, as one line of text that holds all that the program depends
// on, so that it can be made again: rules, scope, oracles, where it began, the acts with the
// answers that the kernel chose, and a hash of what was reached in the end.
//
//   v1/5.19/kinds=SS,modes=sync,steps=5/I9/0/store;REGISTER(WP);WRITEPROTECT;migrate;store/1f3a…
//
// The hash is the audit: a replay that ends elsewhere was made by another model.
#pragma once

#include <string>
#include <vector>

#include "check/explore/worker.h"

namespace verso::check::explore {

struct Made {
    u16 act = 0;
    u16 variant = 0;
};

/// A way through the scope: from which of the task's beginnings, by which acts.
struct Path {
    std::size_t beginning = 0;
    std::vector<Made> made{};
};

struct ReplayStep {
    std::string act;
    std::string outcome;
    std::string entries;  ///< of each address space, after it
};
struct Replay {
    std::string beginning;
    std::vector<ReplayStep> steps{};
    std::string broken{};  ///< after the last step
    std::string litmus{};
    u64 end = 0;           ///< hash of the machine
    bool same_end = true;  ///< as the token says
};

std::string token_of(const std::string& rules, const Task& task, const Path& path, u64 end);
/// From the beginning, step by step, nothing renumbered.
Replay replay(const Task& task, const Path& path);
/// Of a token. An error: it is no token, or the model has no such act.
Result<Replay> replay(std::string_view token);

/// The path as a program in the notation; empty: one of its acts has no word there.
std::string litmus_of(const Task& task, const Path& path);
/// Searches go by canonical nodes; here in the names that a program began with.
Path in_own_names(const Task& task, const Path& canonical);

}  // namespace verso::check::explore
