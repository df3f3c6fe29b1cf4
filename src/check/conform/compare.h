// Where a trace of the model and a trace of the kernel part, in a form that can be counted: two
// programs that meet the same defect part with the same `key`, whatever else they do.
//
//   arm | K(GUARD) | K(GUARD) written -> K(GUARD) | first
//   ─┬─   ───┬────   ────────────┬─────────────
//    step    before             model, kernel
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "check/program/run.h"

namespace verso::check {

struct Difference {
    std::size_t step = 0;  // the number of steps: only the contents in the end differ
    std::string key;
    std::string text;  // a sentence
};

std::optional<Difference> compare(const Program& program, const Trace& model, const Trace& kernel);

enum class Area : u8 { first, second, child };

/// One thing that is otherwise after a step. A difference is as many of them as there are: who
/// explains a difference has to explain each.
struct Part {
    enum class What : u8 {
        outcome,
        thread,  // what became of one that was in a call: `one` in the model, `other` in the kernel
        page,    // `was` is the model's before the step
        area,    // that there is one at all
        contents,  // of a page in the end
        promise,   // nothing differs: both break the same promise
    };
    What what = What::outcome;
    std::string one{};
    std::string other{};
    Area area = Area::first;
    std::size_t page = 0;
    PageFacts was{};
    PageFacts model{};
    PageFacts kernel{};
};
std::vector<Part> parts_of(const Program& program, const Trace& model, const Trace& kernel,
                           std::size_t step);
/// The last step before that one after which anybody looked ("&": nobody does); nullptr: none.
const Seen* last_look(const Trace& trace, std::size_t step);

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
