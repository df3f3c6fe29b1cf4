// verso explain: shows what a litmus text does to a machine, step by step: every entry, folio and
// message after each step, on the model of one kernel; in the terminal, or as a page for a browser.
#pragma once

#include <string>

namespace verso::cli {

struct ExplainOptions {
    std::string file;         // a litmus text
    std::string on = "6.18";  // a preset
    std::string html;         // instead of the terminal: write this file
};
int explain(const ExplainOptions& options);

}  // namespace verso::cli
