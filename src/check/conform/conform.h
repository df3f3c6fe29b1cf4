// Conformance: random programs run on the model and on the running kernel, compared after every
// step; what differs is confirmed, shrunk, and told apart.
//
//   generate ─▶ model ─┬▶ compare ─▶ same ─▶ promise oracles on the kernel's trace
//            ─▶ kernel ┘        └──▶ differs ─▶ again? ─▶ does the model allow it? ─▶ shrink
//                                                 │               │                    │
//                                                 ▼               ▼                    ▼
//                                          not repeatable     allowed        known, or a finding
//
// The model runs with the first answer to each of its choices (which of two threads goes on first,
// whether a page stays in the swap cache). Where the kernel then shows something else, all answers
// are tried, up to a few hundred: one of them must show all that the kernel showed, or it counts as
// a difference. So a step with "&" is compared with every order that the model knows, and a race
// that it does not know is reported, not passed over.
//
// Each program has processes of its own, so that a crash or a hang costs one program. A difference
// is shrunk at most twice for each way of differing (compare.h's key); the rest is counted. The
// step that differs is then taken out and the program run again, so that what lies behind a known
// difference is seen as well.
//
// Programs that need the machine's settings have a worker of their own, which takes the machine's
// lock in turns of seconds: others want it as well.
//
// Locks: Findings' own, a leaf. Each worker has worlds of its own.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "check/conform/compare.h"
#include "check/conform/generate.h"
#include "check/conform/known.h"
#include "check/conform/promise.h"
#include "check/litmus/litmus.h"
#include "mm/rules.h"

namespace verso::check {

enum class Verdict : u8 {
    breaks_promise,  // the kernel does, the model does not
    both_break,      // … a promise, in the same way
    differs,         // nobody breaks a promise; one of the two is not as documented
    model_breaks,    // the model does, the kernel does not
};
std::string_view name_of(Verdict verdict);

struct Finding {
    Verdict verdict = Verdict::differs;
    Program program;  // the shortest
    std::string key;  // of its difference
    std::string promise;
    std::string sentence;  // which promise is broken, or where they differ
    std::string model;     // both traces, as text
    std::string kernel;
    Litmus claim{};  // that the step which shows it must not come to that
    u64 index = 0;   // of the program that it was found in
    u64 count = 0;   // of differences that look like it
    const Known* known = nullptr;
};

struct ConformReport {
    std::vector<Finding> findings;
    u64 quick = 0;        // programs run
    u64 machine = 0;      // … with triggers or hugetlb
    u64 steps = 0;        // on both
    u64 differences = 0;  // all, known or not
    u64 allowed = 0;      // by the model, with other choices
    u64 unrepeatable = 0;
    /// What was never shown a second time.
    struct Unshown {
        std::string key;  // or the name of what is known
        u64 count = 0;    // of how often it came
        std::string program;
    };
    std::vector<Unshown> unshown;
    u64 cut_short = 0;  // the machine would not go on: a trigger that did not act, …
    double quick_seconds = 0;
    double machine_seconds = 0;
    std::string machine_missing;  // why no program with triggers was run
};

struct ConformOptions {
    u64 seed = 1;
    u64 programs_max = 0;  // 0: until the time is over
    double seconds_max = 0;
    unsigned workers = 2;
    Scope scope{};
    mm::Rules rules{};
    /// Told of every new finding, by whichever worker has it.
    std::function<void(const Finding&)> on_finding = [](const Finding&) {};
};

ConformReport conform(const ConformOptions& options);
/// One program, examined as the runs do it; nothing: no difference and no promise broken. `note`:
/// what kept the kernel's run from going on, or by which of the model's choices they agree. Where
/// the program pages out, swap is on meanwhile; where it is hugetlb, there is a pool.
std::optional<Finding> examine(const Program& program, const mm::Rules& rules,
                               std::string* note = nullptr);

}  // namespace verso::check
