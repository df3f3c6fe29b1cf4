// Where a trace of the model and a trace of the kernel part, in a form that can be counted: two
// programs that meet the same defect part with the same `key`, whatever else they do.
//
//   arm | K(GUARD) | K(GUARD) written -> K(GUARD) | first
//   ─┬─   ───┬────   ────────────┬─────────────
//    step    before             model, kernel
#pragma once

#include <optional>
#include <string>

#include "check/program/run.h"

namespace verso::check {

struct Difference {
    std::size_t step = 0;  // the number of steps: only the contents in the end differ
    std::string key;
    std::string text;  // a sentence
};

std::optional<Difference> compare(const Program& program, const Trace& model, const Trace& kernel);

/// Pages of the trace before a step; nullptr: there were none, or it was not looked at.
const PageFacts* page_before(const Trace& trace, std::size_t step, std::size_t page);
/// The pages that a step is about, [first, end), as indices of the trace's pages.
struct PageRange {
    std::size_t first = 0;
    std::size_t end = 0;
};
PageRange pages_of(const Program& program, const Step& step);

/// The word of a step alone, without place and value: "REGISTER(WP)".
std::string word_of(const Step& step);
/// "Puf written", the categories that text() does not say.
std::string facts_text(const PageFacts& page);

}  // namespace verso::check
