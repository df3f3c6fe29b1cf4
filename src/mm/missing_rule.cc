// Why does a program make an oracle speak on 6.18? See missing_rule.h.
#include "mm/missing_rule.h"

#include "base/check.h"
#include "mm/random_program.h"
#include "mm/watched.h"

namespace verso::mm {

u32 Recorded::choose(u32 n) {
    const u32 answer = source_.choose(n);
    VERSO_CHECK(answer < 256, "{} answers do not fit a byte", n);
    bytes.push_back(static_cast<u8>(answer));
    return answer;
}

std::string broken_by(const std::vector<Made>& calls, const State& machine, const Rules& rules,
                      bool finish) {
    Watched watched(machine, rules);
    for (const Made& one : calls) {
        ByteChoice choice(one.choices);
        if (std::string broken = watched.step(one.call, choice); !broken.empty()) {
            return broken;
        }
    }
    ByteChoice first_answers({});
    return finish ? watched.finish(first_answers) : std::string();
}

std::string_view missing_rule(const std::vector<Made>& calls, const State& machine, bool finish) {
    for (const Switch& one : switches()) {
        if (one.since != not_yet) {
            continue;
        }
        Rules rules = *preset("6.18");
        rules.*one.value = true;
        if (broken_by(calls, machine, rules, finish).empty()) {
            return one.name;
        }
    }
    return broken_by(calls, machine, *preset("mended"), finish).empty() ? "several" : "";
}

}  // namespace verso::mm
