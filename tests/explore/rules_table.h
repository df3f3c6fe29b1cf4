// docs/explore.md: which searches are in it, what they came to, and how that is written down.
#pragma once

#include <string>
#include <vector>

#include "check/explore/explore.h"

namespace verso::check::explore {

/// One search. `rules`: as the command line takes them, "A:B" to compare.
struct Row {
    std::string about;  // the switch
    std::string rules;
    std::string scope;
    std::string oracles = "all";
};

std::vector<Row> rows_of_rules();        // a rule off: something breaks
std::vector<Row> rows_of_differences();  // nothing breaks: where the two part
// The rules that no release has yet: what an oracle finds of each, and what none counts as lost.
std::vector<Row> rows_of_kept_promises();
std::vector<Row> rows_of_rights();
std::vector<Row> rows_of_618();  // everything that 6.18 itself does

Report run(const Row& row);
/// The document, from the reports of all rows in that order.
std::string document(const std::vector<Report>& reports);
/// Without what is another on each machine: the times.
std::string without_times(const std::string& document);

}  // namespace verso::check::explore
