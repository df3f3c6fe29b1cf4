// Program to text: what parse() reads back as the same value.
#include "base/check.h"
#include "check/program/words.h"

namespace verso::check {
namespace {

std::string place_text(const Step& step) {
    const Place& at = step.at;
    const std::string tick = fmt::format("{}{}", at.second ? "'" : "", at.askew ? "+" : "");
    const bool usual =
        !at.askew && at.first == 0 && at.count == (takes_one_page(step.verb) ? 1U : 0U);
    if (usual) {
        return at.second ? "@'" : "";
    }
    if (at.count == 0) {
        return fmt::format("@all{}", tick);
    }
    return at.count == 1 ? fmt::format("@{}{}", at.first, tick)
                         : fmt::format("@{}-{}{}", at.first, at.first + at.count - 1, tick);
}

/// The word whose mode bits are in the step's, most of them first, and the bits that are left.
const Word* word_of(const Step& step, u64& rest) {
    for (const Word& one : verb_words()) {
        const bool fits = one.whole ? one.mode == step.mode : (step.mode & one.mode) == one.mode;
        if (one.verb == step.verb && fits) {
            rest = step.mode & ~one.mode;
            return &one;
        }
    }
    return nullptr;
}

}  // namespace

std::string to_text(const Step& step) {
    u64 rest = 0;
    const Word* word = word_of(step, rest);
    VERSO_CHECK(word != nullptr, "no word for verb {} with mode {:#x}",
                static_cast<unsigned>(step.verb), step.mode);
    std::string text = fmt::format("{}{}", step.child ? "child " : "", step.other ? "other " : "");
    if (step.thread != 0) {
        text += fmt::format("t{} ", step.thread);
    }
    text += word->text;
    std::vector<std::string> inside;
    for (const ModeWord& one : mode_words()) {
        if (!word->whole && one.verb == step.verb && (rest & one.bits) == one.bits) {
            inside.emplace_back(one.text);
        }
    }
    if (step.verb == Verb::protect && inside.empty()) {
        inside.emplace_back("NONE");
    }
    if (step.value != 0) {
        inside.push_back(fmt::format("{}", step.value));
    }
    for (std::size_t i = 0; i < inside.size(); ++i) {
        text += (i == 0 ? "(" : "|") + inside[i] + (i + 1 == inside.size() ? ")" : "");
    }
    text += place_text(step);
    text += step.background ? " &" : "";
    for (std::size_t i = 0; i < step.expected.size(); ++i) {
        text += (i == 0 ? " -> " : " ") + step.expected[i];
    }
    return text;
}

std::string to_text(const Program& program) {
    std::string text(name_of(program.kind));
    if (program.pages != 1) {
        text += fmt::format(", {} pages", program.pages);
    }
    if (program.huge) {
        text += ", huge";
    }
    if (program.messages) {
        text += ", messages";
    }
    for (const Option& one : options()) {
        if ((program.features & one.feature) != 0) {
            text += fmt::format(", {}", one.text);
        }
    }
    text += ':';
    for (std::size_t i = 0; i < program.steps.size(); ++i) {
        text += (i == 0 ? " " : "; ") + to_text(program.steps[i]);
    }
    return text;
}

}  // namespace verso::check
