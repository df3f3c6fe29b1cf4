// Token: a run as one line of text, so that it can be made again: rules, seed, and what a shrinker
// has changed of what the seed drew.
//
//   v1/5.19/1234                                     the run of that seed, as it is
//   v1/5.19/1234/pages=1,partial=0/f03a…/12.3-0.1    these knobs turned, the acts of this bit mask
//                                                    left, and a tape: 12 zeroes, a 3, no zero, a 1
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "check/swarm/run.h"

namespace verso::check::swarm {

struct Token {
    std::string rules_text;
    mm::Rules rules{};
    Case what;
};

std::string token_of(const std::string& rules_text, const Case& what);
Result<Token> parse_token(std::string_view text);

/// What is left of a plan: knobs turned, acts for whose number `kept` is false left out.
Plan without(const Plan& plan, const std::vector<bool>& kept);

}  // namespace verso::check::swarm
