// A walk over every failure point of a verb. A verb is a scene: what there is before, the act, and
// what may be said of the memory afterwards. The walk plays it once undisturbed and counts the
// act's calls, then once for each call and each answer that the kernel documents for it:
//
//   parent (no threads of the engine, ever)        child of fork(2), one per case
//     count ──▶ {op → how often}                     census, world, prepare
//     for op, n ≤ how often, answer:                 the n-th `op` answers that; the act
//       case ──────────────────────────────────▶     check, retry, check, take down, census
//            ◀── text of what was wrong ────────     20 s at most: else it hangs
//
// A crash or a hang ends one case and names it; nothing that a case leaks reaches the next. A case
// is replayed alone with the environment that the failure prints.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "faultwalk/world.h"

namespace verso::faultwalk {

struct Scene {
    std::string name;
    std::function<void(World&)> prepare;
    /// The verb. Its error is judged and it is called once more if it failed.
    std::function<Result<void>(World&)> act;
    /// Whether a failed act is called again (one that takes something down is not).
    bool retry = true;
    /// Readers poll all the time: only their first few polls and waits are made to fail.
    u64 background_max = 3;
    /// Of one kind of call, so many at most: the 64th capture goes like the 12th.
    u64 calls_max = 12;
    /// The preparation has lost a page of a snapshot.
    bool lossy = false;
};

/// All scenes, from scenes_*.cc.
std::vector<Scene> scenes();

struct Point {
    kernel::Op op{};
    u64 nth = 1;
    std::size_t answer = 0;  // index in documented_failures(op)
    bool spawn = false;      // instead: the nth thread cannot be had
};
std::string to_string(const Scene& scene, const Point& point);

struct Verdict {
    bool reached = false;  // the call that was to fail was made
    bool failed = false;   // and the act said so
    std::string wrong;     // empty: all is well
};

/// How often the undisturbed act makes each call, and how many threads it starts.
struct Count {
    std::map<kernel::Op, u64> calls;
    u64 threads = 0;
    std::string wrong;
};
Count count_calls(const Scene& scene);
Verdict run_case(const Scene& scene, const Point& point);
std::vector<Point> points_of(const Scene& scene, const Count& count);

}  // namespace verso::faultwalk
