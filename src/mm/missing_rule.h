// Why does a program make an oracle speak on 6.18? The newest release lacks rules that would keep
// what it promises (rules.h: `since` is not_yet). If the same calls with one of them on leave every
// oracle silent, that rule is the reason, and docs/findings.md tells of it. If none does, either
// the model has a mistake or 6.18 breaks something nobody has a name for.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/choice.h"
#include "mm/call.h"
#include "mm/rules.h"
#include "mm/state.h"

namespace verso::mm {

/// A call as it was made: what was chosen in it comes out the same again.
struct Made {
    Call call;
    std::vector<u8> choices;
};

/// Another source's answers, written down.
class Recorded final : public Choice {
public:
    explicit Recorded(Choice& source) : source_(source) {}
    u32 choose(u32 n) override;
    std::vector<u8> bytes;

private:
    Choice& source_;
};

/// What the first oracle that speaks says of these calls under these rules; empty: none speaks.
/// With `finish` what is under way is ended afterwards, and nobody may be left waiting.
std::string broken_by(const std::vector<Made>& calls, const State& machine, const Rules& rules,
                      bool finish = false);

/// The rule that 6.18 lacks and with which nothing is broken any more; "several": only all of them
/// together do; empty: not even they.
std::string_view missing_rule(const std::vector<Made>& calls, const State& machine,
                              bool finish = false);

}  // namespace verso::mm
