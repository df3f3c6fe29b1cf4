// A timeline for a terminal: the steps from top to bottom, and after each every page, mapping,
// folio and message, a line each. What the step changed has a sign before it:
//
//    + is new    ~ is not what it was    - is gone
//    ! a promise is broken     ? one is in danger
#pragma once

#include <string>

#include "check/report/timeline.h"

namespace verso::check::report {

struct TerminalStyle {
    bool colours = false;  // also: bold for what changed, grey for what did not
    std::size_t columns = 100;
};
std::string to_terminal(const Timeline& timeline, const std::string& title,
                        const TerminalStyle& style);

}  // namespace verso::check::report
