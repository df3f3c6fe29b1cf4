// Flags keep their places from line to line, so that one sees them change: a flag that is off is a
// row of dots.
#include "check/report/terminal.h"

#include <algorithm>

#include <fmt/format.h>

#include "check/report/glossary.h"
#include "check/report/pieces.h"

namespace verso::check::report {
namespace {

constexpr std::string_view bold = "\033[1m", grey = "\033[2m", red = "\033[1;31m",
                           yellow = "\033[33m", none = "\033[0m";

class Writer {
public:
    explicit Writer(const TerminalStyle& style) : style_(style) {}

    void line(std::string_view colour, const std::string& text) {
        if (style_.colours && !colour.empty() && !text.empty()) {
            text_ += fmt::format("{}{}{}\n", colour, text, none);
        } else {
            text_ += text + "\n";
        }
    }
    /// Broken between words, each line after this much of an indent.
    void paragraph(std::string_view colour, std::size_t indent, std::string_view text) {
        std::string now;
        std::size_t wide = indent;
        while (!text.empty()) {
            const std::size_t end = std::min(text.find(' '), text.size());
            const std::string word(text.substr(0, end));
            text.remove_prefix(std::min(end + 1, text.size()));
            if (!now.empty() && wide + width(word) + 1 > style_.columns) {
                line(colour, std::string(indent, ' ') + now);
                now.clear();
                wide = indent;
            }
            now += (now.empty() ? "" : " ") + word;
            wide += width(word) + 1;
        }
        if (!now.empty()) {
            line(colour, std::string(indent, ' ') + now);
        }
    }
    /// Characters, not bytes.
    static std::size_t width(std::string_view text) {
        return static_cast<std::size_t>(
            std::ranges::count_if(text, [](char c) { return (c & '\xC0') != '\x80'; }));
    }
    static std::string padded(std::string text, std::size_t to) {
        text.append(to - std::min(to, width(text)), ' ');
        return text;
    }
    std::string take() { return std::move(text_); }

private:
    TerminalStyle style_;
    std::string text_;
};

std::string words_of_row(const Table& table, const Row& row) {
    std::string text;
    for (const Piece& piece : pieces_of(table, row)) {
        std::string word = piece.text;
        if (piece.flag && !piece.on) {
            word = std::string(word.size(), '.');
        }
        if (!piece.was.empty()) {
            word += fmt::format("{}(was {})", word.empty() ? "" : " ", piece.was);
        } else if (piece.flag) {
            word += piece.mark == Mark::changed ? "*" : " ";
        }
        if (text.empty() && table.about == About::entries) {
            word = Writer::padded(std::move(word), 14);
        }
        text += (text.empty() ? "" : "  ") + word;
    }
    text.erase(text.find_last_not_of(' ') + 1);
    return text;
}

void write_row(Writer& out, const Table& table, const Row& row) {
    constexpr std::string_view signs = " ~+-";
    constexpr std::string_view colours[] = {grey, bold, bold, yellow};
    const auto mark = static_cast<std::size_t>(row.mark);
    std::string label = label_of(table.about, row);
    out.line(
        colours[mark],
        fmt::format("   {} {}  {}", signs[mark], Writer::padded(std::move(label), 15),
                    row.mark == Mark::gone ? gone_word(table.about) : words_of_row(table, row)));
}

void write_moment(Writer& out, const Moment& moment) {
    std::string head = fmt::format("{:>3}  {}", moment.number(), moment.title);
    if (!moment.outcome.empty()) {
        head = Writer::padded(head, 44) + "  " + moment.outcome;
    }
    out.line("", "");
    out.line(bold, head);
    out.paragraph("", 5, moment.meaning);
    if (!moment.kernel.empty()) {
        out.paragraph(grey, 5, "in the kernel: " + moment.kernel);
    }
    if (!moment.meanwhile.empty()) {
        out.paragraph("", 5, fmt::format("meanwhile: {}", fmt::join(moment.meanwhile, ", ")));
    }
    for (const Table& table : moment.tables) {
        for (const Row& row : table.rows) {
            write_row(out, table, row);
        }
    }
    for (const Violation& one : moment.violations) {
        out.paragraph(one.promise ? red : yellow, 3,
                      fmt::format("{} {} ({}): {}.", one.promise ? "!" : "?", one.name, one.oracle,
                                  one.what));
        out.paragraph("", 5, one.why);
    }
    if (!moment.unmet.empty()) {
        out.paragraph(red, 3, "! the program expected: " + moment.unmet);
    }
}

}  // namespace

std::string to_terminal(const Timeline& timeline, const std::string& title,
                        const TerminalStyle& style) {
    Writer out(style);
    out.line(bold, title);
    out.paragraph("", 0, heading_of(timeline));
    out.paragraph(
        "", 0,
        "After each step: + is new, ~ (or a *) is not what it was, - is gone, ! a promise "
        "is broken, ? one is in danger. A flag that is off is a row of dots.");
    for (const Moment& moment : timeline.moments) {
        write_moment(out, moment);
    }
    out.line("", "");
    if (!timeline.why_not.empty()) {
        out.paragraph(red, 0, "The program could not go on: " + timeline.why_not + ".");
    } else {
        out.paragraph("", 0, "In the end the pages read " + contents_in_words(timeline) + ".");
    }
    out.paragraph(timeline.broken_promises() == 0 ? bold : red, 0, verdict_of(timeline));
    return out.take();
}

}  // namespace verso::check::report
