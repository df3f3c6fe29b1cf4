// Are snapshots safe on a kernel? The part of the catalogue that decides it, run in seconds, and an
// answer in one line: safe, safe except …, unsafe because …, or that nobody can know.
//
//   essentials: what the engine itself does and    ─ one broken ─▶ unsafe because …
//     the kernel may do to it meanwhile
//   hazards: what is known to be broken, where a   ─ one shown  ─▶ safe except …
//     program that uses a region could meet it
//
// A program whose trigger this machine lacks (swap, NUMA balancing, …) is counted as not tried, and
// the answer says so: what was not tried is not known.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "check/program/run.h"

namespace verso::check {

/// A program that must go as its expectations say, or snapshots lose writes.
struct Essential {
    std::string_view program;
    std::string_view otherwise;  // what it would mean, as the end of a sentence: "unsafe because …"
};
std::span<const Essential> essentials();

/// What Verso does about a difference of conform/known.h that breaks a promise.
struct Hazard {
    std::string_view known;   // its name there
    bool reaches_users;       // a program can meet it through a region
    std::string_view answer;  // where: "safe except …"; otherwise why it cannot
};
std::span<const Hazard> hazards();

enum class Safe : u8 { yes, except, no, unknown };

struct Safety {
    struct Shown {
        std::string program;
        std::string what;
        std::string how;  // what was seen
    };
    struct NotTried {
        std::string program;
        std::string why;
    };
    Safe safe = Safe::unknown;
    u64 tried = 0;
    std::vector<NotTried> not_tried;
    std::vector<Shown> broken;  // essentials
    std::vector<Shown> exceptions;
    std::vector<Shown> avoided;  // broken, but not where the engine goes, or it goes round them

    /// One line, without its end.
    std::string line() const;
};

using Runner = std::function<Trace(const Program&)>;
Safety judge_safety(const Runner& run);

}  // namespace verso::check
