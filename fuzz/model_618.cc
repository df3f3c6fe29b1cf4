// The model of the newest release under random calls: as fuzz/model.cc, on the preset 6.18. What
// the oracles say there must be explained: one of the rules that 6.18 lacks is the reason, which is
// what docs/findings.md tells (mm/missing_rule.h). An input that no missing rule explains ends the
// run.
//
// How often each rule was the reason is written when the fuzzer ends and VERSO_REASONS names a
// file. An input's program is printed when VERSO_PROGRAM is set, as in fuzz/model.cc.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>

#include <fmt/core.h>

#include "mm/missing_rule.h"
#include "mm/random_program.h"
#include "mm/watched.h"

namespace mm = verso::mm;

namespace {

class Reasons {
public:
    Reasons() = default;
    Reasons(const Reasons&) = delete;
    Reasons& operator=(const Reasons&) = delete;
    ~Reasons() {
        const char* const path = std::getenv("VERSO_REASONS");
        if (path == nullptr) {
            return;
        }
        std::ofstream out(path);
        for (const auto& [reason, times] : times_) {
            out << times << ' ' << reason << '\n';
        }
    }
    void count(std::string_view reason) { ++times_[reason]; }

private:
    std::map<std::string_view, verso::u64> times_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const mm::Rules rules = *mm::preset("6.18");
    static const bool tells = std::getenv("VERSO_PROGRAM") != nullptr;
    static Reasons reasons;
    mm::ByteChoice bytes({data, size});
    const mm::State machine = mm::random_machine(bytes);
    mm::Watched watched(machine, rules);
    std::vector<mm::Made> made;
    std::string broken;
    while (broken.empty() && bytes.any()) {
        const mm::Call call = mm::random_call(watched.state(), bytes);
        mm::Recorded choice(bytes);
        broken = watched.step(call, choice);
        made.push_back({call, std::move(choice.bytes)});
        if (tells) {
            fmt::print(stderr, "{}\n", line_of(call, watched.outcome()));
        }
    }
    const bool at_the_end = broken.empty();
    if (at_the_end) {
        broken = watched.finish(bytes);
    }
    const std::string_view reason =
        broken.empty() ? "none" : mm::missing_rule(made, machine, at_the_end);
    VERSO_CHECK(!reason.empty(), "no missing rule explains: {}", broken);
    reasons.count(reason);
    return 0;
}
