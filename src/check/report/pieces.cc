// Which columns are flags, which name themselves, and which two are one phrase.
#include "check/report/pieces.h"

#include <algorithm>
#include <array>

#include "check/report/tables.h"

namespace verso::check::report {
namespace {

bool is_flag(std::string_view column) {
    constexpr std::array<std::string_view, 5> flags = {"write", "dirty", "soft-dirty", "uffd-wp",
                                                       "exclusive"};
    return std::ranges::find(flags, column) != flags.end();
}

/// What needs no heading: it says itself what it is.
bool speaks_for_itself(About about, std::size_t column) {
    switch (about) {
        case About::entries: return false;  // the entry itself is a phrase with what it leads to
        case About::mappings: return column <= 2 || column == 5;
        case About::folios: return column == 1 || column == 7;
        case About::file: return column == 2;
        case About::swap: return false;
        case About::userfaultfds: return column == 1;
        case About::threads: return false;
    }
    return false;
}

Piece entry_piece(const Row& row) {
    const Cell& kind = row.cells[1];
    const Cell& target = row.cells.size() > 2 ? row.cells[2] : kind;
    const auto phrase = [](const std::string& what, const std::string& where) {
        return where == nothing ? what : what + " → " + where;
    };
    Piece piece{.text = phrase(kind.text, target.text), .mark = row.mark};
    if (row.mark == Mark::changed || row.mark == Mark::same) {
        const bool changed = kind.mark == Mark::changed || target.mark == Mark::changed;
        piece.mark = changed ? Mark::changed : Mark::same;
        piece.was = !changed ? ""
                             : phrase(kind.mark == Mark::changed ? kind.was : kind.text,
                                      target.mark == Mark::changed ? target.was : target.text);
    }
    return piece;
}

}  // namespace

std::vector<Piece> pieces_of(const Table& table, const Row& row) {
    std::vector<Piece> pieces;
    std::size_t from = 1;
    if (table.about == About::entries) {
        pieces.push_back(entry_piece(row));
        from = 3;
    }
    for (std::size_t i = from; i < row.cells.size(); ++i) {
        const Cell& cell = row.cells[i];
        const bool changed = cell.mark == Mark::changed;
        if (cell.text == nothing && !changed) {
            continue;
        }
        Piece piece{.text = cell.text, .was = cell.was, .mark = cell.mark};
        if (is_flag(table.columns[i])) {
            piece = {.text = table.columns[i], .mark = cell.mark, .flag = true};
            piece.on = cell.text == "yes";
            if (changed && !piece.on && cell.was != "yes") {
                piece.mark = Mark::same;  // "no" or not there: off both times
            }
        } else if (speaks_for_itself(table.about, i)) {
            piece.text = cell.text == nothing ? "" : cell.text;
        } else {
            piece.text = table.columns[i] + " " + cell.text;
        }
        if (piece.was == nothing || piece.flag) {
            piece.was.clear();
        }
        pieces.push_back(std::move(piece));
    }
    return pieces;
}

std::string gone_word(About about) { return about == About::threads ? "goes on" : "gone"; }

std::string label_of(About about, const Row& row) {
    constexpr std::string_view kinds[] = {"page ", "mapping ", "folio ", "file page ",
                                          "swap ", "",         "thread "};
    constexpr std::string_view child = "child ";
    std::string name = row.cells.front().text;
    std::string label(kinds[static_cast<std::size_t>(about)]);
    if (about != About::threads && name.starts_with(child)) {
        name.erase(0, child.size());
        label.insert(0, child);
    }
    return label + name;
}

}  // namespace verso::check::report
