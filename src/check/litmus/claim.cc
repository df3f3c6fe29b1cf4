// What was seen, in words that a condition may have. Words with blanks in them cannot be told in a
// text, and are left out: what remains says less, and still forbids what was seen.
#include "check/litmus/claim.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <fstream>

#include "abi/abi.h"
#include "check/litmus/print_c/print_c.h"

namespace verso::check {
namespace {

/// "done 0x17c" → "done", "= 3" → "= 3", "partly 1" → "".
std::string word_of(std::string_view outcome) {
    if (outcome.starts_with("done")) {
        return "done";
    }
    const std::string_view rest = outcome.starts_with("= ") ? outcome.substr(2) : outcome;
    const bool is_word = rest.find(' ') == std::string_view::npos;
    return is_word && !rest.empty() ? std::string(outcome) : "";
}

std::string entries_of(const std::vector<PageFacts>& pages, u32 first) {
    std::string text;
    for (std::size_t at = first; at < pages.size(); ++at) {
        text += (text.empty() ? "" : " ") + pages[at].text();
    }
    return text.empty() ? "" : "[" + text + "]";
}

std::vector<std::string> words_of(const Program& program, const Step& step, const Seen& seen) {
    std::vector<std::string> words;
    const auto add = [&](std::string word) {
        if (!word.empty()) {
            words.push_back(std::move(word));
        }
    };
    if (step.verb == Verb::messages) {
        for (std::string_view rest = seen.outcome; !rest.empty();) {
            const std::string_view one = rest.substr(0, rest.find(' '));
            add(std::string(one));
            rest.remove_prefix(std::min(one.size() + 1, rest.size()));
        }
    } else {
        add(word_of(seen.outcome));
    }
    const std::vector<PageFacts>& pages = step.child       ? seen.child
                                          : step.at.second ? seen.second
                                                           : seen.first;
    add(entries_of(pages, step.at.first));
    if ((program.features & abi::Feature::wp_async) != 0 && step.at.first < pages.size()) {
        add(pages[step.at.first].written() ? "written" : "clean");
    }
    for (const std::string& one : seen.threads) {
        const std::size_t colon = one.find(':') + 1;
        const std::string word = word_of(std::string_view(one).substr(colon));
        add(word.empty() ? "" : one.substr(0, colon) + word);
    }
    return words;
}

/// Values alone can be told of contents.
std::vector<Clause> contents_of(const Trace& seen) {
    const bool has_child = !seen.steps.empty() && !seen.steps.back().child.empty();
    const std::size_t pages = std::max<std::size_t>(seen.contents.size() / (has_child ? 2 : 1), 1);
    std::vector<Clause> all;
    for (std::size_t i = 0; i < seen.contents.size(); ++i) {
        const std::string& text = seen.contents[i];
        Clause clause;
        clause.child = i >= pages;
        clause.page = static_cast<u32>(i % pages);
        const char* const end = text.data() + text.size();
        if (text.starts_with("= ") &&
            std::from_chars(text.data() + 2, end, clause.value).ptr == end) {
            all.push_back(clause);
        }
    }
    return all;
}

Result<void> write_file(const std::filesystem::path& path, const std::string& text) {
    std::ofstream file(path);
    file << text;
    if (!file.flush()) {
        return fail(ErrorKind::system, errno, "'{}' cannot be written; make its folder writable",
                    path.string());
    }
    return {};
}

}  // namespace

Litmus claim_against(const Program& program, const Trace& seen, std::size_t step,
                     const std::string& title) {
    Litmus litmus;
    litmus.title = title.empty() ? "this is not to be" : title;
    std::ranges::replace(litmus.title, '\n', ' ');
    litmus.program = program;
    Condition condition{.need = Need::never};
    if (step < seen.steps.size()) {
        Clause clause;
        clause.step = static_cast<u32>(step + 1);
        clause.words = words_of(program, program.steps[step], seen.steps[step]);
        condition.all.push_back(std::move(clause));
    } else {
        condition.all = contents_of(seen);
    }
    if (!condition.all.empty()) {
        litmus.conditions.push_back(std::move(condition));
    }
    return litmus;
}

Result<std::string> write_claim(const std::filesystem::path& folder, const std::string& name,
                                const Litmus& litmus) {
    const std::filesystem::path text = folder / (name + ".litmus");
    if (Result<void> written = write_file(text, to_text(litmus)); !written) {
        return pass(written);
    }
    const Result<std::string> program = to_c(litmus, name);
    if (!program) {
        return fmt::format("{}; no C: {}", text.string(), program.error().message);
    }
    const std::filesystem::path c = folder / (name + ".c");
    if (Result<void> written = write_file(c, *program); !written) {
        return pass(written);
    }
    return fmt::format("{} and {}", text.string(), c.filename().string());
}

}  // namespace verso::check
