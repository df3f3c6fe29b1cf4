// A row of a table as a few short pieces, for where there is no room for a column each: a line in a
// terminal, a cell of the overview.
//
//   page 0 │ present → A   write  dirty  uffd-wp   reads 1   pagemap Puf
//            └ a phrase    └ flags, on or off      └ phrases
#pragma once

#include <string>
#include <vector>

#include "check/report/timeline.h"

namespace verso::check::report {

struct Piece {
    std::string text{};
    std::string was{};  // a changed phrase: what it said before, if it said anything
    Mark mark = Mark::same;
    bool flag = false;
    bool on = true;
};

/// Without what says nothing, unless it has just come to say nothing.
std::vector<Piece> pieces_of(const Table& table, const Row& row);
/// "page 0", "child mapping 0–1", "folio A", "thread t1"
std::string label_of(About about, const Row& row);
/// What a row that went is called.
std::string gone_word(About about);

}  // namespace verso::check::report
