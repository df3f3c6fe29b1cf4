// Words become calls of the functions of judge.cc; which is which is matches() of check/program.
#include "check/litmus/print_c/conditions.h"

#include "check/litmus/print_c/pieces.h"

namespace verso::check::print_c {
namespace {

std::string quoted(std::string_view text) {
    std::string in_quotes = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') {
            in_quotes += '\\';
        }
        in_quotes += c;
    }
    return in_quotes + "\"";
}

std::string_view area_of(const Step& step) {
    return step.child ? "CHILD" : step.at.second ? "SECOND" : "FIRST";
}

/// "[Pu N]": an entry for each page from the step's first on.
std::string entries(const Step& step, std::size_t number, std::string_view wanted) {
    std::string text;
    u32 page = step.at.first;
    wanted.remove_prefix(1);
    wanted.remove_suffix(1);
    while (!wanted.empty()) {
        const std::string_view one = wanted.substr(0, wanted.find(' '));
        wanted.remove_prefix(std::min(one.size() + 1, wanted.size()));
        text += fmt::format("{}entry_is({}, {}, {}, {})", text.empty() ? "" : " && ", number,
                            area_of(step), page++, quoted(one));
    }
    return text.empty() ? "1" : text;
}

std::string word_text(const Step& step, std::size_t number, std::string_view word) {
    if (word.starts_with('[')) {
        return entries(step, number, word);
    }
    const std::string page = fmt::format("{}, {}, {}", number, area_of(step), step.at.first);
    if (word == "written" || word == "clean") {
        return fmt::format("written({}) == {}", page, word == "written" ? 1 : 0);
    }
    if (word == "dirty" || word == "undirtied") {
        return fmt::format("soft_dirty({}) == {}", page, word == "dirty" ? 1 : 0);
    }
    if (const std::size_t colon = word.find(':'); colon != std::string_view::npos) {
        return fmt::format("thread_said({}, {}, {})", number, quoted(word.substr(0, colon + 1)),
                           quoted(word.substr(colon + 1)));
    }
    if (step.verb == Verb::messages) {
        return fmt::format("(said({0}, {1}) || named({0}, {1}))", number, quoted(word));
    }
    return fmt::format("said({}, {})", number, quoted(word));
}

std::string clause_text(const Program& program, const Clause& clause) {
    if (clause.step == 0) {
        return fmt::format("holds({}, {}, \"= {}\")", clause.child ? 1 : 0, clause.page,
                           clause.value);
    }
    std::string text = fmt::format("{} <= steps_made", clause.step);
    for (const std::string& word : clause.words) {
        text += fmt::format(" &&\n         {}",
                            word_text(program.steps[clause.step - 1], clause.step, word));
    }
    return text;
}

/// What stands behind "->". A step that was not come to expects nothing.
std::string expectations(const Program& program) {
    std::string text;
    for (std::size_t i = 0; i < program.steps.size(); ++i) {
        const Step& step = program.steps[i];
        Step bare = step;
        bare.expected.clear();
        std::string named;
        for (const std::string& word : step.expected) {
            text += fmt::format("    must({} > steps_made || ({}),\n         {});\n", i + 1,
                                word_text(step, i + 1, word),
                                quoted(fmt::format("step {}, {}: {}", i + 1, to_text(bare), word)));
            named +=
                fmt::format("{}named({}, {})", named.empty() ? "" : " + ", i + 1, quoted(word));
        }
        if (step.verb == Verb::messages && !step.expected.empty()) {
            text += fmt::format(
                "    must({0} > steps_made || {1} == 0 || {1} == count_words({0}),\n         "
                "\"step {0}: there are more messages than that\");\n",
                i + 1, fmt::format("({})", named));
        }
    }
    return text;
}

}  // namespace

std::string judge_text(const Litmus& litmus) {
    std::string text = "static void judge(void)\n{\n" + expectations(litmus.program);
    for (const Condition& condition : litmus.conditions) {
        std::string all;
        for (const Clause& clause : condition.all) {
            all += fmt::format("{}{}", all.empty() ? "" : " &&\n         ",
                               clause_text(litmus.program, clause));
        }
        const std::string_view need = condition.need == Need::must  ? "must"
                                      : condition.need == Need::may ? "may"
                                                                    : "never";
        text += fmt::format("    {}({},\n         {});\n", need, all, quoted(to_text(condition)));
    }
    return text + "}\n";
}

bool asks_for_soft_dirty(std::string_view judge) { return mentions(judge, "soft_dirty"); }

}  // namespace verso::check::print_c
