// All oracles of the model, watching a program run: what they find is put into the program's own
// names, with a sentence why it matters.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "check/report/tables.h"
#include "check/report/timeline.h"
#include "mm/history.h"

namespace verso::check::report {

class Oracles {
public:
    void before(const mm::Machine& machine, const mm::Call& call);
    void after(const mm::Machine& machine, const mm::Call& call, const mm::Outcome& outcome);
    void wrote(u8 file, u32 index, mm::Contents now);
    /// What was found since they were last asked.
    std::vector<Violation> found(const std::vector<Area>& areas);

private:
    std::optional<mm::History> history_;  // from the first step on
    std::string broken_;                  // the invariant that did not hold after the last step
    std::vector<std::string> sentences_;
};

/// "I9: a write to page 13 of address space 0 got through, …", in the program's names.
Violation in_words(const std::string& sentence, const std::vector<Area>& areas);

}  // namespace verso::check::report
