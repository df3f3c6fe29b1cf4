// Litmus text to value and back. An error says where: the notation's own parser quotes the word
// that it does not understand, and that word is looked for in the line.
#include <algorithm>
#include <charconv>
#include <optional>

#include "check/litmus/litmus.h"

namespace verso::check {
namespace {

constexpr std::string_view blanks = " \t\r";

std::string_view trimmed(std::string_view text) {
    const std::size_t first = text.find_first_not_of(blanks);
    if (first == std::string_view::npos) {
        return {};
    }
    return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

/// The next word of `text`, which loses it.
std::string_view take(std::string_view& text) {
    text = trimmed(text);
    const std::string_view word = text.substr(0, text.find_first_of(blanks));
    text = trimmed(text.substr(word.size()));
    return word;
}

std::optional<u64> number(std::string_view text) {
    u64 value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || error != std::errc{} || end != text.data() + text.size()) {
        return std::nullopt;
    }
    return value;
}

/// Words as after "->": blanks separate, except within brackets and after "=".
std::vector<std::string> words_of(std::string_view text) {
    std::vector<std::string> words;
    while (!(text = trimmed(text)).empty()) {
        std::size_t end = text.find_first_of(blanks);
        if (text.front() == '[') {
            const std::size_t shut = text.find(']');
            end = shut == std::string_view::npos ? shut : shut + 1;
        } else if (end != std::string_view::npos && text[end - 1] == '=') {
            end = text.find_first_of(blanks, text.find_first_not_of(blanks, end));
        }
        words.emplace_back(text.substr(0, end));
        text.remove_prefix(std::min(end, text.size()));
    }
    return words;
}

/// Of a message, what stands between its first quotation marks.
std::string_view quoted(std::string_view message) {
    const std::size_t open = message.find('\'');
    const std::size_t shut = message.find('\'', open + 1);
    return open == std::string_view::npos || shut == std::string_view::npos
               ? std::string_view{}
               : message.substr(open + 1, shut - open - 1);
}

class Reader {
public:
    Reader(std::string_view text, std::string_view name) : rest_(text), name_(name) {}

    Result<Litmus> read() {
        bool kind_read = false;
        while (next_line()) {
            const std::string_view line = trimmed(line_);
            if (line.empty()) {
                continue;
            }
            Result<void> done;
            if (line.front() == '#') {
                litmus_.comments.emplace_back(trimmed(line.substr(1)));
            } else if (litmus_.title.empty()) {
                litmus_.title = line;
            } else if (line.starts_with("about:") && !kind_read) {
                litmus_.about = trimmed(line.substr(6));
            } else if (!kind_read) {
                done = kind(line);
                kind_read = true;
            } else {
                done = step_or_condition(line);
            }
            if (!done) {
                return pass(done);
            }
        }
        if (!kind_read || litmus_.program.steps.empty()) {
            return fail(ErrorKind::invalid_argument, 0,
                        "{}:{}:1: a title, a line with the kind of memory and at least one step "
                        "are needed",
                        name_, number_);
        }
        return std::move(litmus_);
    }

private:
    bool next_line() {
        if (rest_.empty()) {
            return false;
        }
        const std::size_t end = std::min(rest_.find('\n'), rest_.size());
        line_ = rest_.substr(0, end);
        rest_.remove_prefix(std::min(end + 1, rest_.size()));
        ++number_;
        return true;
    }

    /// `about` is the word that is wrong; elsewhere the line's first.
    tl::unexpected<Error> wrong(std::string_view about, std::string_view message) const {
        const std::size_t start = std::min(line_.find_first_not_of(blanks), line_.size());
        const std::size_t found = about.empty() ? std::string_view::npos : line_.find(about, start);
        const std::size_t column = found == std::string_view::npos ? start : found;
        return fail(ErrorKind::invalid_argument, 0, "{}:{}:{}: {}\n  {}\n  {}^", name_, number_,
                    column + 1, message, line_, std::string(column, ' '));
    }

    Result<void> kind(std::string_view line) {
        if (line.find(':') != std::string_view::npos) {
            return wrong(":", "the kind of memory stands alone in its line, without a colon");
        }
        Result<Program> program = parse(std::string(line) + ":");
        if (!program) {
            return wrong(quoted(program.error().message), program.error().message);
        }
        litmus_.program = std::move(*program);
        kind_ = line;
        return {};
    }

    Result<void> step_or_condition(std::string_view line) {
        const std::string_view first = line.substr(0, line.find_first_of(blanks));
        for (const Need need : {Need::must, Need::may, Need::never}) {
            if (first == name_of(need)) {
                return condition(need, line.substr(first.size()));
            }
        }
        if (!litmus_.conditions.empty()) {
            return wrong({}, "steps stand before the first must, may or never");
        }
        if (line.find(';') != std::string_view::npos) {
            return wrong(";", "one step a line");
        }
        Result<Program> one = parse(kind_ + ": " + std::string(line));
        if (!one) {
            return wrong(quoted(one.error().message), one.error().message);
        }
        litmus_.program.steps.push_back(std::move(one->steps.front()));
        return {};
    }

    Result<void> condition(Need need, std::string_view text) {
        Condition made{.need = need};
        while (!(text = trimmed(text)).empty()) {
            const std::size_t end = text.find(" and ");
            if (Result<void> done = clause(made, trimmed(text.substr(0, end))); !done) {
                return done;
            }
            text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 5);
        }
        if (made.all.empty()) {
            return wrong({}, "of what? Write 'step N: words' or 'page N = value'");
        }
        litmus_.conditions.push_back(std::move(made));
        return {};
    }

    Result<void> clause(Condition& made, std::string_view text) {
        Clause clause;
        const std::string_view whole = text;
        std::string_view word = take(text);
        if (word == "step") {
            word = text.substr(0, text.find(':'));
            const std::optional<u64> step = number(word);
            if (!step || *step == 0 || *step > litmus_.program.steps.size()) {
                return wrong(word.empty() ? whole : word,
                             fmt::format("there is no step '{}', there are {}", word,
                                         litmus_.program.steps.size()));
            }
            clause.step = static_cast<u32>(*step);
            clause.words = words_of(text.substr(std::min(word.size() + 1, text.size())));
            if (clause.words.empty()) {
                return wrong(whole, "after 'step N:' come words as behind '->'");
            }
            made.all.push_back(std::move(clause));
            return {};
        }
        clause.child = word == "child";
        word = clause.child ? take(text) : word;
        const std::optional<u64> page = number(take(text));
        const std::string_view equal = take(text);
        const std::optional<u64> value = number(text);
        if (word != "page" || !page || *page >= 4096 || equal != "=" || !value) {
            return wrong(whole, fmt::format("'{}' is neither 'step N: words' nor "
                                            "'[child] page N = value'",
                                            whole));
        }
        clause.page = static_cast<u32>(*page);
        clause.value = *value;
        made.all.push_back(std::move(clause));
        return {};
    }

    static std::string_view name_of(Need need) {
        return need == Need::must ? "must" : need == Need::may ? "may" : "never";
    }

    Litmus litmus_{};
    std::string kind_{};
    std::string_view rest_;
    std::string_view name_;
    std::string_view line_{};
    std::size_t number_ = 0;
};

}  // namespace

Result<Litmus> parse_litmus(std::string_view text, std::string_view name) {
    return Reader(text, name).read();
}

std::string to_text(const Condition& condition) {
    std::string text = condition.need == Need::must  ? "must"
                       : condition.need == Need::may ? "may"
                                                     : "never";
    for (std::size_t i = 0; i < condition.all.size(); ++i) {
        const Clause& clause = condition.all[i];
        text += i == 0 ? " " : " and ";
        if (clause.step == 0) {
            text += fmt::format("{}page {} = {}", clause.child ? "child " : "", clause.page,
                                clause.value);
            continue;
        }
        text += fmt::format("step {}:", clause.step);
        for (const std::string& word : clause.words) {
            text += " " + word;
        }
    }
    return text;
}

std::string to_text(const Litmus& litmus) {
    std::string text = litmus.title + "\n";
    for (const std::string& comment : litmus.comments) {
        text += "# " + comment + "\n";
    }
    if (!litmus.about.empty()) {
        text += "about: " + litmus.about + "\n";
    }
    Program head = litmus.program;
    head.steps.clear();
    text += to_text(head);
    text.back() = '\n';  // where its colon was
    for (const Step& step : litmus.program.steps) {
        text += "  " + to_text(step) + "\n";
    }
    for (const Condition& condition : litmus.conditions) {
        text += to_text(condition) + "\n";
    }
    return text;
}

}  // namespace verso::check
