// What a step means: the kernel functions that the model mirrors there, and what happened, said
// from the entry that the step met and from what it left.
#pragma once

#include <string>

#include "check/report/tables.h"
#include "check/report/timeline.h"

namespace verso::check::report {

/// The step's first page, before and after.
struct Met {
    mm::Entry entry{};
    bool mapped = false;
    mm::Vma vma{};
    bool leaf = false;  // a THP, or hugetlb
    bool hugetlb = false;
};
Met meet(const mm::State& state, const Area& area, u32 page);

struct Meaning {
    std::string kernel;
    std::string text;
};
/// `half`: 'a' begins, 'b' ends what the kernel does in two halves.
Meaning meaning_of(const Step& step, char half, const Met& before, const Met& after,
                   const std::string& outcome);

}  // namespace verso::check::report
