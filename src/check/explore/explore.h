// explore: breadth-first over all programs of a scope, shortest counterexample first.
//
//   Request ──▶ beginnings, acts ──▶ BreadthFirst<ModelWorker> ──▶ findings ──▶ Counterexample
//                                     level by level                            litmus, token
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "check/explore/scope.h"
#include "check/explore/worker.h"

namespace verso::check::explore {

struct Request {
    std::string rules = "6.18";  ///< "A:B": and look for where they part from B
    Scope scope{};
    mm::Oracles oracles = mm::Oracles::all();
    bool every = false;  ///< go on after the first, list all kinds of violations
    bool estimate_only = false;
    bool coverage = false;  ///< also say which rules mattered
    unsigned workers = 2;
    u64 memory_bytes = u64{4} << 30;
    std::string checkpoint{};  ///< a file, written whenever a level ends; empty: never
    std::string resume{};      ///< such a file to go on from
};

/// A violation, and the shortest program that shows it.
struct Counterexample {
    std::string sentence;
    std::string beginning;  ///< "SS, sync"
    std::vector<std::string> acts{};
    std::string litmus{};  ///< in the notation; empty: it has a step that no program can make
    std::string token{};
    bool exception = false;
    u64 times = 1;
};

enum class Ending : u8 { complete, found, steps, memory, estimated };

struct Estimate {
    double states = 0;
    double seconds = 0;
    double bytes = 0;
    unsigned levels = 0;  ///< that it rests on
};

struct Report {
    Ending ending = Ending::complete;
    std::vector<Counterexample> found{};  ///< shortest first
    std::vector<std::string> skipped{};   ///< beginnings that this kernel does not have
    unsigned depth = 0;                   ///< all programs of so many steps were searched
    u64 states = 0;
    u64 tried = 0;  ///< acts, at all states
    u64 edges = 0;  ///< that led to a state
    u64 outside = 0;
    unsigned resumed_depth = 0;  ///< of the checkpoint that it went on from
    double seconds = 0;
    u64 bytes = 0;
    std::size_t acts = 0;
    std::vector<u64> level_states{};
    Estimate estimate{};
    Mattered mattered{};
};

struct Progress {
    unsigned depth = 0;
    u64 states = 0;
    double expected = 0;  ///< states in the end, as the last level lets guess; 0: too early
    double seconds = 0;
};

/// Hears of the estimate once, if the search is not over by then, and of progress now and then.
struct Listener {
    std::function<void(const Estimate&)> estimate{};
    std::function<void(const Progress&)> progress{};
};

Result<Report> explore(const Request& request, const Listener& listener = {});

/// What a search needs, from what was asked.
/// `rules`: "A" or "A:B", where B are those that A is compared with.
Result<Task> task_of(const std::string& rules, const Scope& scope, mm::Oracles oracles, bool every);
Node node_of(const Task& task, const Beginning& beginning);
/// Odds that two of so many states had the same fingerprint.
double collision_odds(u64 states);

}  // namespace verso::check::explore
