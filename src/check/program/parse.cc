// Text to Program. What is wrong is said with the words that it is about.
#include <algorithm>
#include <charconv>
#include <optional>

#include "check/program/words.h"

namespace verso::check {
namespace {

std::string_view trimmed(std::string_view text) {
    const std::size_t first = text.find_first_not_of(" \n\t");
    if (first == std::string_view::npos) {
        return {};
    }
    return text.substr(first, text.find_last_not_of(" \n\t") - first + 1);
}

/// Cuts `text` at every `mark`; the parts are trimmed.
std::vector<std::string_view> split(std::string_view text, char mark) {
    std::vector<std::string_view> parts;
    while (true) {
        const std::size_t at = text.find(mark);
        parts.push_back(trimmed(text.substr(0, at)));
        if (at == std::string_view::npos) {
            return parts;
        }
        text.remove_prefix(at + 1);
    }
}

/// Takes `word` and a space off the front of `text`.
bool take_word(std::string_view& text, std::string_view word) {
    if (!text.starts_with(word) || text.size() <= word.size() || text[word.size()] != ' ') {
        return false;
    }
    text = trimmed(text.substr(word.size()));
    return true;
}

std::optional<u64> number(std::string_view text);

/// "t1 store": the thread's number, and its word off the front.
u32 take_thread(std::string_view& text) {
    const std::size_t blank = text.find(' ');
    if (!text.starts_with('t') || blank == std::string_view::npos) {
        return 0;
    }
    const std::optional<u64> which = number(text.substr(1, blank - 1));
    if (!which || *which == 0 || *which > threads_max) {
        return 0;
    }
    text = trimmed(text.substr(blank));
    return static_cast<u32>(*which);
}

std::optional<u64> number(std::string_view text) {
    u64 value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) {
        return std::nullopt;
    }
    return value;
}

template <class... Args>
tl::unexpected<Error> wrong(fmt::format_string<Args...> format, Args&&... args) {
    return fail(ErrorKind::invalid_argument, 0, format, std::forward<Args>(args)...);
}

/// "2", "0-1", "all", each with a tick behind it for the second area.
Result<Place> parse_place(std::string_view text) {
    Place place;
    if (text.ends_with('+')) {
        place.askew = true;
        text.remove_suffix(1);
    }
    if (text.ends_with('\'')) {
        place.second = true;
        text.remove_suffix(1);
    }
    if (text == "all" || text.empty()) {
        return place;
    }
    const std::size_t dash = text.find('-');
    const std::optional<u64> first = number(text.substr(0, dash));
    const std::optional<u64> last =
        dash == std::string_view::npos ? first : number(text.substr(dash + 1));
    if (!first || !last || *last < *first || *last > 4096) {
        return wrong("'{}' is no place: write a page, first-last, or all", text);
    }
    place.first = static_cast<u32>(*first);
    place.count = static_cast<u32>(*last - *first + 1);
    return place;
}

Result<void> parse_mode(Step& step, std::string_view text) {
    for (const std::string_view part : split(text, '|')) {
        if (const std::optional<u64> value = number(part)) {
            step.value = *value;
            continue;
        }
        bool known = part == "NONE" && step.verb == Verb::protect;
        for (const ModeWord& one : mode_words()) {
            if (one.verb == step.verb && one.text == part) {
                step.mode |= one.bits;
                known = true;
            }
        }
        if (!known) {
            return wrong("'{}' means nothing to this step; see the words in check/program", part);
        }
    }
    return {};
}

/// Blanks separate, except within brackets.
std::vector<std::string> parse_expected(std::string_view text) {
    std::vector<std::string> words;
    std::string word;
    bool bracket = false;
    for (const char c : text) {
        if (c == '[' || c == ']') {
            bracket = c == '[';
        }
        if (c != ' ' || bracket || word.ends_with('=')) {
            word += c;
        } else if (!word.empty()) {
            words.push_back(std::move(word));
            word.clear();
        }
    }
    if (!word.empty()) {
        words.push_back(std::move(word));
    }
    return words;
}

Result<Step> parse_step(std::string_view text) {
    Step step;
    const std::size_t arrow = text.find("->");
    if (arrow != std::string_view::npos) {
        step.expected = parse_expected(trimmed(text.substr(arrow + 2)));
    }
    std::string_view head = trimmed(text.substr(0, arrow));
    step.child = take_word(head, "child");
    step.other = take_word(head, "other");
    step.thread = take_thread(head);
    if (head.ends_with('&')) {
        step.background = true;
        head = trimmed(head.substr(0, head.size() - 1));
    }
    const std::size_t place = head.find('@');
    const std::size_t open = head.find('(');
    const std::string_view verb = trimmed(head.substr(0, std::min(place, open)));
    const Word* found = nullptr;
    for (const Word& one : verb_words()) {
        found = one.text == verb ? &one : found;
    }
    if (found == nullptr) {
        return wrong("'{}' is no step; see the words in check/program", verb);
    }
    step.verb = found->verb;
    step.mode = found->mode;
    step.at.count = takes_one_page(step.verb) ? 1 : 0;
    if (open != std::string_view::npos) {
        const std::size_t shut = head.find(')', open);
        if (shut == std::string_view::npos || found->whole) {
            return wrong("'{}': no parentheses here, or one that is not closed", head);
        }
        if (Result<void> mode = parse_mode(step, head.substr(open + 1, shut - open - 1)); !mode) {
            return pass(mode);
        }
    }
    if (step.thread != 0 && !may_sleep(step)) {
        return wrong("'{}' cannot be a further thread's step", verb);
    }
    if (step.verb == Verb::exit && !step.child) {
        return wrong("'{}' would end the program's own process; the child's is 'child exit'", verb);
    }
    if (step.background && step.thread == 0) {
        return wrong("'{} &': only a further thread's step may be left running; name it (t1)",
                     verb);
    }
    if (place != std::string_view::npos) {
        const Result<Place> at = parse_place(trimmed(head.substr(place + 1)));
        if (!at) {
            return tl::unexpected<Error>(at.error());
        }
        const bool named = at->first != 0 || at->count != 0;
        const u32 usual = step.at.count;
        step.at = *at;
        if (!named && head.ends_with("@'")) {
            step.at.count = usual;
        }
    }
    return step;
}

Result<void> parse_head(Program& program, std::string_view text) {
    bool kind_read = false;
    for (const std::string_view part : split(text, ',')) {
        if (!kind_read) {
            for (const Kind kind : every_kind) {
                if (name_of(kind) == part) {
                    program.kind = kind;
                    kind_read = true;
                }
            }
            if (!kind_read) {
                return wrong("'{}' is no kind of memory: A, SS, SP, HS, HP, FS or FP", part);
            }
            continue;
        }
        bool known = part == "huge" || part == "messages";
        program.huge = program.huge || part == "huge";
        program.messages = program.messages || part == "messages";
        for (const Option& one : options()) {
            if (one.text == part) {
                program.features |= one.feature;
                known = true;
            }
        }
        const std::optional<u64> pages = number(part.substr(0, part.find(' ')));
        if (pages && part.ends_with(" pages") && *pages >= 1 && *pages <= 4096) {
            program.pages = static_cast<u32>(*pages);
            known = true;
        }
        if (!known) {
            return wrong("'{}' is no option of a program", part);
        }
    }
    return {};
}

/// What the parts say together.
Result<void> check_huge(const Program& program) {
    if (program.huge && is_hugetlb(program.kind)) {
        return wrong(
            "'huge' means nothing to {}: its pages are huge already, and '2 pages' are two "
            "of them",
            name_of(program.kind));
    }
    for (const Step& step : program.steps) {
        if (program.huge && step.at.first + std::max(step.at.count, 1U) > 2) {
            return wrong(
                "'@{}' is no place in a huge page: it has two, 0 and 1, its first page and "
                "another one",
                step.at.first + std::max(step.at.count, 1U) - 1);
        }
    }
    return {};
}

}  // namespace

Result<Program> parse(std::string_view text) {
    const std::size_t colon = text.find(':');
    if (colon == std::string_view::npos) {
        return wrong("a program begins with a kind of memory and a colon: '{}'", text);
    }
    Program program;
    if (Result<void> head = parse_head(program, trimmed(text.substr(0, colon))); !head) {
        return pass(head);
    }
    for (const std::string_view part : split(text.substr(colon + 1), ';')) {
        if (part.empty()) {
            continue;
        }
        Result<Step> step = parse_step(part);
        if (!step) {
            return pass(step);
        }
        program.steps.push_back(std::move(*step));
    }
    if (Result<void> fits = check_huge(program); !fits) {
        return pass(fits);
    }
    return program;
}

}  // namespace verso::check
