// What the kernel itself counts, before and after: the proof that a trigger acted. /proc/vmstat is
// the whole machine's, so on a machine that does other things, too, some of it is theirs.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/types.h"

namespace verso::check::torture {

using Counters = std::map<std::string, u64, std::less<>>;

Counters read_vmstat();

/// One thing that the kernel was made to do.
struct Acted {
    struct Counter {
        std::string name;  // the kernel's
        u64 value = 0;     // how much it grew; of a gauge, how far
    };
    std::string name;
    std::string how;
    bool acted = false;
    std::vector<Counter> counters;
    std::string why_not;  // if it did not
};

/// `proof`: one of these must have grown. `others` are told, too.
Acted compared(std::string name, std::string how, const Counters& before, const Counters& after,
               const std::vector<std::string_view>& proof,
               const std::vector<std::string_view>& others = {});

}  // namespace verso::check::torture
