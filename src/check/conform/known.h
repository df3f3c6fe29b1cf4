// What is known of the running kernel, by what it looks like: a difference that these explain is
// counted under its name, and runs go on past it. docs/findings.md tells each in full.
//
//   step: arm, a guard, a store elsewhere      difference ─▶ parts: outcome, threads, pages, …
//                                              each part must be explained by one of the list
//
// An entry speaks of what differs (which page, what it was, what either side makes of it), never of
// the program alone: a program that contains what is known may differ in something else, too.
//
// What the model of that release does as well is no difference, and here by its rule (`rule`): both
// may break a promise by it, and a promise that the model keeps once the rule is on was broken by
// that.
//
// A test runs the program of each: a difference that agrees with the model no longer belongs here,
// and what is here by a rule must differ from "mended".
#pragma once

#include <span>
#include <string_view>

#include "check/conform/compare.h"
#include "mm/rules.h"

namespace verso::check {

/// A step that went otherwise, and what it was made upon, as the model had it.
struct Occasion {
    const Program& program;
    const Step& step;
    std::size_t index;  // of the step
    const Trace& model;
    const Trace& kernel;
    std::span<const Part> parts;  // all that differs

    /// nullptr: nobody looked yet. Of the contents in the end: after the last.
    const Seen* before() const { return last_look(model, index); }
    const Seen* said() const {
        return index < kernel.steps.size() ? &kernel.steps[index] : nullptr;
    }
};

enum class Blame : u8 {
    promise,  // the kernel breaks one of the promises
    kernel,   // it is not as documented, or as it is itself elsewhere
    model,    // the model has less than the kernel
    nobody,   // either may be
};

struct Known {
    std::string_view name;  // as in docs/findings.md
    Blame blame;
    std::string_view release;  // that shows it
    std::string_view rows;     // of the specification
    std::string_view program;  // that shows it; empty: it comes by chance
    std::string_view what;
    bool (*explains)(const Occasion& occasion, const Part& part);  // nullptr: no difference
    /// The model's, which is off in that release: it does the same.
    bool mm::Rules::*rule = nullptr;
};

std::span<const Known> known_differences();
/// Of its parts: those by which the kernel breaks a promise, all others.
std::span<const Known> known_broken_promises();
std::span<const Known> known_other_differences();

/// That of the first part; nullptr: some part is explained by none.
const Known* known(const Program& program, const Trace& model, const Trace& kernel,
                   std::size_t step, std::string_view release);

/// Would this step, on these pages, keep the running kernel busy for good? Trying costs the whole
/// patience, so of such programs only a few are run to that step.
bool is_known_to_hang(const Program& program, std::size_t step, const Trace& model);
/// Does it take a huge page from the machine for good (docs/findings.md: mremap of a part)? Of such
/// programs only a few are run to that step, too.
bool is_known_to_leak(const Program& program, std::size_t step);

}  // namespace verso::check
