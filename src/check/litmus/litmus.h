// Litmus: one claim about the kernel's memory management as a small text, and whether it holds.
//
//   a write after a migration is reported          title
//   # The end of a migration rebuilds the entry.   what it shows
//   about: FX-1                                    claim, rule or release
//   SS                                             kind of memory and options, as in program.h
//     store                                        steps, one a line, numbered from 1
//     REGISTER(WP)
//     WRITEPROTECT
//     migrate -> done
//     store
//   must step 5: msg                               final conditions: in all runs,
//   may page 0 = 1                                 in one run at least,
//   never step 5: silent                           in none
//
// A program alone says what is expected of one run. A litmus says it of every run: on the model all
// ways that things could go are tried, on the running kernel as many runs are made as asked for.
// docs/litmus.md has the grammar.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "check/program/run.h"
#include "mm/rules.h"

namespace verso::check {

enum class Need : u8 { must, may, never };

/// "step 5: msg [P]", "page 0 = 2", "child page 1 = 3".
struct Clause {
    u32 step = 0;  // 0: about the contents in the end
    std::vector<std::string> words{};
    bool child = false;
    u32 page = 0;
    u64 value = 0;
    friend bool operator==(const Clause&, const Clause&) = default;
};

/// Holds of a run in which all its clauses do.
struct Condition {
    Need need = Need::must;
    std::vector<Clause> all{};
    friend bool operator==(const Condition&, const Condition&) = default;
};

struct Litmus {
    std::string title;
    std::vector<std::string> comments{};
    std::string about;
    Program program{};
    std::vector<Condition> conditions{};
    friend bool operator==(const Litmus&, const Litmus&) = default;
};

/// An error begins with "NAME:line:column:" and ends with the line and a caret below it.
Result<Litmus> parse_litmus(std::string_view text, std::string_view name);
std::string to_text(const Litmus& litmus);
std::string to_text(const Condition& condition);

/// Runs that ended alike.
struct LitmusState {
    std::string text;  // outcomes of the steps, then contents
    u64 runs = 0;
};

struct Judgement {
    enum class Kind : u8 { ok, unseen, forbidden, not_run };
    Kind kind = Kind::ok;
    std::string why;           // the condition that was not met, or what kept it from running
    std::string witness = {};  // the run that shows it
    std::vector<LitmusState> states{};
    u64 runs = 0;
    u64 could_not_go_on = 0;  // runs among them
    bool cut = false;         // there were more ways than runs
    /// Of the model: everything that was seen in all runs, and the machine's whole state after each
    /// of their steps, in one number. It changes with any change of the rules that a run meets.
    u32 course = 0;
};
std::string_view name_of(Judgement::Kind kind);

Judgement judge_on_model(const mm::Rules& rules, const Litmus& litmus, u64 runs_max);
Judgement judge_on_running_kernel(const Litmus& litmus, u64 runs);

}  // namespace verso::check
