// Every tag that is opened is closed and every text is escaped: the page is well-formed XML as
// well.
#include "check/report/html.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "check/report/glossary.h"
#include "check/report/html_style.h"
#include "check/report/pieces.h"

namespace verso::check::report {
namespace {

constexpr std::array every_about = {About::entries, About::mappings,     About::folios, About::file,
                                    About::swap,    About::userfaultfds, About::threads};

std::string escaped(std::string_view text) {
    std::string safe;
    for (const char c : text) {
        switch (c) {
            case '&': safe += "&amp;"; break;
            case '<': safe += "&lt;"; break;
            case '>': safe += "&gt;"; break;
            case '"': safe += "&quot;"; break;
            default: safe += c;
        }
    }
    return safe;
}

std::string_view class_of(Mark mark) {
    constexpr std::string_view names[] = {"same", "changed", "added", "gone"};
    return names[static_cast<std::size_t>(mark)];
}

std::string_view class_of(const Violation& one) { return one.promise ? "promise" : "danger"; }
std::string_view sign_of(const Violation& one) { return one.promise ? "✗" : "⚠"; }

std::string piece_html(const Piece& piece) {
    const std::string_view changed = piece.mark == Mark::changed ? " changed-piece" : "";
    if (piece.flag) {
        return fmt::format("<span class=\"flag{}{}\">{}</span>", piece.on ? "" : " off", changed,
                           escaped(piece.text));
    }
    const std::string was = piece.was.empty()
                                ? ""
                                : fmt::format("{}<span class=\"was\">{}</span>",
                                              piece.text.empty() ? "" : " ", escaped(piece.was));
    return fmt::format("<span class=\"phrase{}\">{}{}</span>", changed, escaped(piece.text), was);
}

std::string pieces_html(const Table& table, const Row& row) {
    if (row.mark == Mark::gone) {
        return gone_word(table.about);
    }
    std::string html;
    for (const Piece& piece : pieces_of(table, row)) {
        html += piece_html(piece);
    }
    return html;
}

struct Named {
    std::string key;
    std::string label;
};
/// All rows that a table ever had, in the order of its rows where they stand together.
std::vector<Named> rows_of(const Timeline& timeline, About about) {
    std::vector<Named> rows;
    for (const Moment& moment : timeline.moments) {
        const Table* const table = find_table(moment, about);
        auto after = rows.begin();
        for (const Row& row : table == nullptr ? std::vector<Row>{} : table->rows) {
            const auto found = std::ranges::find(rows, row.key, &Named::key);
            after = found != rows.end()
                        ? found + 1
                        : rows.insert(after, Named{row.key, label_of(about, row)}) + 1;
        }
    }
    return rows;
}

std::string overview_head(const Timeline& timeline) {
    std::string html = "<thead><tr><th class=\"name\">after step</th>";
    for (const Moment& moment : timeline.moments) {
        html += fmt::format(
            "<th><a href=\"#step-{0}\"><span class=\"number\">{0}</span><code>{1}</code></a>"
            "<span class=\"outcome\">{2}</span></th>",
            moment.number(), escaped(moment.title), escaped(moment.outcome));
    }
    return html + "</tr></thead>\n";
}

std::string overview_promises(const Timeline& timeline) {
    const bool any = std::ranges::any_of(timeline.moments,
                                         [](const Moment& one) { return !one.violations.empty(); });
    if (!any) {
        return {};
    }
    std::string html = "<tbody><tr><th class=\"name\">promises</th>";
    for (const Moment& moment : timeline.moments) {
        std::string names;
        for (const Violation& one : moment.violations) {
            names += fmt::format("<span class=\"phrase {}\">{} {}</span>", class_of(one),
                                 sign_of(one), escaped(one.name));
        }
        html += names.empty() ? "<td></td>" : fmt::format("<td class=\"broken\">{}</td>", names);
    }
    return html + "</tr></tbody>\n";
}

std::string overview_group(const Timeline& timeline, About about) {
    const std::vector<Named> rows = rows_of(timeline, about);
    if (rows.empty()) {
        return {};
    }
    std::string html = fmt::format("<tbody><tr><th class=\"group\" colspan=\"{}\">{}</th></tr>\n",
                                   timeline.moments.size() + 1, title_of(about));
    for (const Named& name : rows) {
        html += fmt::format("<tr><th class=\"name\">{}</th>", escaped(name.label));
        for (const Moment& moment : timeline.moments) {
            const Table* const table = find_table(moment, about);
            const Row* const row = table == nullptr ? nullptr : find_row(*table, name.key);
            html += row == nullptr ? "<td></td>"
                                   : fmt::format("<td class=\"{}\">{}</td>", class_of(row->mark),
                                                 pieces_html(*table, *row));
        }
        html += "</tr>\n";
    }
    return html + "</tbody>\n";
}

std::string changes_of(const Moment& moment) {
    std::string html;
    for (const Table& table : moment.tables) {
        for (const Row& row : table.rows) {
            if (row.mark == Mark::same) {
                continue;
            }
            std::string what;
            for (const Piece& piece : pieces_of(table, row)) {
                what +=
                    row.mark == Mark::added || piece.mark == Mark::changed ? piece_html(piece) : "";
            }
            const std::string verb = row.mark == Mark::added  ? "new"
                                     : row.mark == Mark::gone ? gone_word(table.about)
                                                              : "";
            html += fmt::format("<li><b>{}</b> ", escaped(label_of(table.about, row)));
            html += verb.empty() ? ""
                                 : fmt::format("<span class=\"key {}\">{}</span> ",
                                               class_of(row.mark), verb);
            html += (row.mark == Mark::gone ? "" : what) + "</li>\n";
        }
    }
    return html.empty() ? "" : "<ul class=\"changes\">\n" + html + "</ul>\n";
}

std::string step_html(const Moment& moment) {
    std::string html = fmt::format(
        "<li id=\"step-{0}\"><span class=\"number\">{0}</span><h3><code>{1}</code>"
        "<span class=\"outcome\">{2}</span></h3>\n",
        moment.number(), escaped(moment.title), escaped(moment.outcome));
    if (!moment.meaning.empty()) {
        html += fmt::format("<p>{}</p>\n", escaped(moment.meaning));
    }
    if (!moment.kernel.empty()) {
        html += fmt::format("<p class=\"quiet\">In the kernel: <code>{}</code></p>\n",
                            escaped(moment.kernel));
    }
    if (!moment.meanwhile.empty()) {
        html += fmt::format("<p>Meanwhile: <code>{}</code></p>\n",
                            escaped(fmt::format("{}", fmt::join(moment.meanwhile, ", "))));
    }
    for (const Violation& one : moment.violations) {
        html += fmt::format("<div class=\"violation {}\"><b>{} {}</b> ({}): {}.<p>{}</p></div>\n",
                            class_of(one), sign_of(one), escaped(one.name), escaped(one.oracle),
                            escaped(one.what), escaped(one.why));
    }
    if (!moment.unmet.empty()) {
        html += fmt::format("<div class=\"violation\">The text expected: {}</div>\n",
                            escaped(moment.unmet));
    }
    return html + changes_of(moment) + "</li>\n";
}

std::string words_html(const Timeline& timeline) {
    const std::vector<const Term*> terms = terms_of(timeline);
    std::string html = "<section><h2>Words</h2>\n";
    for (const About about : every_about) {
        std::string list;
        for (const Term* const term : terms) {
            if (term->about == about) {
                list += fmt::format("<dt>{}</dt><dd>{}</dd>\n", escaped(term->word),
                                    escaped(term->text));
            }
        }
        if (!list.empty()) {
            html += fmt::format("<h3>{}</h3>\n<dl>\n{}</dl>\n", title_of(about), list);
        }
    }
    return html + "</section>\n";
}

constexpr std::string_view legend =
    "<p class=\"legend\"><span><span class=\"changed-piece key\">yellow</span> changed by this "
    "step (what it said before is <span class=\"was\">crossed out</span>)</span> "
    "<span><span class=\"key added\">green</span> new</span> "
    "<span><span class=\"key gone\">gone</span></span> "
    "<span class=\"quiet\">grey: as it was</span> "
    "<span><span class=\"flag\">write</span> a flag that is on, "
    "<span class=\"flag off\">write</span> off</span> "
    "<span><b class=\"promise\">✗</b> a promise to programs is broken</span> "
    "<span><b class=\"danger\">⚠</b> one is in danger</span></p>\n";

std::string header_html(const Timeline& timeline, const std::string& title,
                        const std::string& comments) {
    std::string html = fmt::format("<header><h1>{}</h1>\n<p>{}</p>\n", escaped(title),
                                   escaped(heading_of(timeline)));
    if (!comments.empty()) {
        html += fmt::format("<p class=\"quiet\">{}</p>\n", escaped(comments));
    }
    html +=
        fmt::format("<p class=\"verdict{}\">{}</p>\n",
                    timeline.broken_promises() == 0 ? "" : " bad", escaped(verdict_of(timeline)));
    if (!timeline.why_not.empty()) {
        html += fmt::format("<p class=\"verdict bad\">The program could not go on: {}.</p>\n",
                            escaped(timeline.why_not));
    } else {
        html += fmt::format("<p>In the end the pages read {}.</p>\n",
                            escaped(contents_in_words(timeline)));
    }
    return html + "</header>\n";
}

}  // namespace

std::string to_html(const Timeline& timeline, const std::string& title,
                    const std::string& comments) {
    std::string html = fmt::format(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"/>\n"
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
        "<title>{}</title>\n<style>{}</style></head>\n<body>\n",
        escaped(title), html_style);
    html += header_html(timeline, title, comments);
    html += fmt::format("<section><h2>Timeline</h2>\n{}<div class=\"scroll\"><table>\n", legend);
    html += overview_head(timeline) + overview_promises(timeline);
    for (const About about : every_about) {
        html += overview_group(timeline, about);
    }
    html += "</table></div></section>\n<section><h2>Step by step</h2>\n<ol class=\"steps\">\n";
    for (const Moment& moment : timeline.moments) {
        html += step_html(moment);
    }
    return html + "</ol></section>\n" + words_html(timeline) + "</body>\n</html>\n";
}

}  // namespace verso::check::report
