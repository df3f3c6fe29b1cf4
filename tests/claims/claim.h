// A row of docs/mm.md: one claim, the rule it is about, the shortest program, and what comes of it
// with the rule on, with the rule off, and on the running kernel.
//
//   row ──show()──▶ verdicts on the model ──▶ must be what the row says ──▶ a line of docs/mm.md
//       ──run()───▶ verdict of the running kernel ───────────────────────┘
//
// A verdict is either words of the notation (check/program) that describe the program's last step,
// or what a search found in one phrase. Rows are written by hand, verdicts are not: the test fails
// if the row's words do not describe what happened.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "check/check.h"
#include "mm/rules.h"

namespace verso::claims {

struct Verdicts {
    std::string on;
    std::string off;
};

struct Row {
    std::string id;
    std::string claim;
    std::string rule{};     // as people read it
    std::string program{};  // in the notation, or in words
    std::string on{};
    std::string off{};                 // empty: there is nothing to switch off
    std::function<Verdicts()> show{};  // on the model; none: the claim cannot be shown
    std::string why_not_shown{};       // then
    std::string kernel{};              // on the running kernel, where the program is run there
    std::string why_not_on_kernel{};   // otherwise
};

struct Table {
    std::string title;
    std::string text;  // between the title and the rows
    std::vector<Row> rows;
};

Table fixes();                 // section 13
Table switches();              // section 15
Table designs();               // section 14.1
Table vm_page_prot();          // S0, …
Table unprotecting();          // S1
Table migration();             // S2
Table none_means_protected();  // S3
Table unpopulated();           // S4
std::vector<Table> every_table();

/// A row whose program runs on any world. `on` and `off` describe its last step.
Row by_program(Row row, const mm::Rules& on, const std::optional<mm::Rules>& off);
/// The same, for the model alone: what the running kernel cannot be asked.
Row on_model(Row row, std::string why_not_on_kernel, const mm::Rules& on,
             const std::optional<mm::Rules>& off);
/// A row that a function of its own shows.
Row by_search(Row row, std::function<Verdicts()> show, std::string why_not_on_kernel);
Row not_shown(Row row, std::string why);

/// What the row's words say of the program's last step there: those words if they describe it, else
/// what was seen.
std::string verdict_on(kernel::World& world, const std::string& program, const std::string& words);
std::string verdict_on_model(const mm::Rules& rules, const std::string& program,
                             const std::string& words);

/// mainline() with changes: rules([](Rules& r) { r.… = false; }).
mm::Rules rules(const std::function<void(mm::Rules&)>& change);
mm::Rules neither();
mm::Rules only_writenotify();
mm::Rules only_clears_w();

inline constexpr const char* no_soft_dirty = "soft-dirty is not configured there";
inline constexpr const char* needs_model = "not visible from outside the kernel";

}  // namespace verso::claims
