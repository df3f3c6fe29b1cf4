// A timeline as a page for a browser: one file that needs nothing else, neither a script nor
// anything from elsewhere, so that it can be mailed, kept and read offline.
//
//            │ 1 store │ 2 REGISTER │ 3 WRITEPROTECT │ 4a migrate │ …      a column for each step,
//   page 0   │ A       │ A          │ A, protected   │ on its way │ …      a row for each thing;
//   folio A  │ …       │            │                │            │        what changed stands out
//
// Below it each step in a few sentences with what it changed, and the words that occur.
#pragma once

#include <string>

#include "check/report/timeline.h"

namespace verso::check::report {

/// `comments`: what the text says of itself; a paragraph.
std::string to_html(const Timeline& timeline, const std::string& title,
                    const std::string& comments);

}  // namespace verso::check::report
