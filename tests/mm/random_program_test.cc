// Random programs keep all oracles silent on "mended", and with a rule off some program makes one
// speak: what random programs reach is not little. On 6.18 they speak often, and each time one of
// the rules that it lacks is the reason: the same calls with that rule on leave them silent.
//
// The programs that show the mistakes are also the seeds of the fuzzer (fuzz/model.cc), a byte for
// each choice. Where the calls that are drawn have changed, they show nothing any more; then:
//   VERSO_WRITE_SEEDS=1 build/dev/test_mm --gtest_filter='RandomPrograms.*'
#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <vector>

#include <fmt/core.h>
#include <gtest/gtest.h>

#include "mm/missing_rule.h"
#include "mm/random_program.h"
#include "mm/watched.h"

namespace verso::mm {
namespace {

u64 number(const char* name, u64 fallback) {
    const char* const text = std::getenv(name);
    return text == nullptr ? fallback : std::strtoull(text, nullptr, 10);
}

struct Ran {
    std::string broken;   ///< by which oracle
    std::string program;  ///< up to there
    std::array<u64, exception_count> looked_away{};
};

/// `more` says whether there is a next step.
template <typename More>
Ran run(Choice& choice, const Rules& rules, More more) {
    Watched watched(random_machine(choice), rules);
    Ran run;
    while (run.broken.empty() && more()) {
        const Call call = random_call(watched.state(), choice);
        run.broken = watched.step(call, choice);
        run.program += fmt::format("  {}\n", line_of(call, watched.outcome()));
    }
    if (run.broken.empty()) {
        run.broken = watched.finish(choice);
    }
    for (std::size_t i = 0; i < exception_count; ++i) {
        run.looked_away[i] = watched.history().met(static_cast<Exception>(i));
    }
    return run;
}

template <typename Source>
Ran run_steps(Source& choice, const Rules& rules, unsigned steps) {
    return run(choice, rules, [&steps] { return steps-- > 0; });
}

TEST(RandomPrograms, KeepEveryOracleSilentOnMended) {
    const Rules rules = *preset("mended");
    const u64 first = number("VERSO_SEED", 1);
    const u64 count = number("VERSO_RUNS", std::getenv("VERSO_SEED") == nullptr ? 3000 : 1);
    std::array<u64, exception_count> looked_away{};
    for (u64 seed = first; seed < first + count; ++seed) {
        RandomChoice choice(seed);
        const Ran one = run_steps(choice, rules, 150);
        std::ranges::transform(looked_away, one.looked_away, looked_away.begin(), std::plus{});
        ASSERT_EQ(one.broken, "") << one.program << "replay: VERSO_SEED=" << seed
                                  << " test_mm --gtest_filter='RandomPrograms.*Mended'";
    }
    for (std::size_t i = 0; i < exception_count; ++i) {
        const KnownException& one = known(static_cast<Exception>(i));
        fmt::print("{} ({}): looked away {} times; {}\n", one.name, one.rows, looked_away[i],
                   one.reason);
        EXPECT_TRUE(count == 1 || looked_away[i] != 0) << one.name << " is not met any more";
    }
}

/// Calls up to the first that makes an oracle speak; none: they stay silent.
std::vector<Made> calls_that_break(Recorded& choice, const State& machine, const Rules& rules,
                                   unsigned steps) {
    Watched watched(machine, rules);
    std::vector<Made> made;
    while (steps-- > 0) {
        const Call call = random_call(watched.state(), choice);
        const std::size_t before = choice.bytes.size();
        const bool broken = !watched.step(call, choice).empty();
        const auto from = choice.bytes.begin() + static_cast<std::ptrdiff_t>(before);
        made.push_back({call, {from, choice.bytes.end()}});
        if (broken) {
            return made;
        }
    }
    return {};
}

TEST(RandomPrograms, BreakOn618WhatTheRulesThatItLacksWouldKeep) {
    const u64 first = number("VERSO_SEED", 1);
    const u64 count = number("VERSO_RUNS", std::getenv("VERSO_SEED") == nullptr ? 3000 : 1);
    std::map<std::string_view, u64> reasons;
    for (u64 seed = first; seed < first + count; ++seed) {
        RandomChoice random(seed);
        Recorded choice(random);
        const State machine = random_machine(choice);
        const std::vector<Made> calls = calls_that_break(choice, machine, *preset("6.18"), 150);
        if (calls.empty()) {
            ++reasons["none"];
            continue;
        }
        const std::string_view rule = missing_rule(calls, machine);
        ++reasons[rule];
        ASSERT_NE(rule, "") << broken_by(calls, machine, *preset("6.18"))
                            << "\nreplay: VERSO_SEED=" << seed
                            << " test_mm --gtest_filter='RandomPrograms.*618*'";
    }
    for (const auto& [rule, times] : reasons) {
        fmt::print("{}: {}\n", rule, times);
    }
    EXPECT_TRUE(count == 1 || reasons.size() > 8) << "few of the rules matter";
}

struct Mistake {
    const char* seed;
    std::vector<bool Rules::*> off;
    const char* oracle;
};
const Mistake mistakes[] = {
    {"fx_1", {&Rules::prot_wp_writenotify}, "I6"},
    {"fx_2", {&Rules::unprotect_uses_page_prot}, "E-SD8"},
    {"fx_4", {&Rules::copy_wp_ignores_vm_write}, "I9"},
    {"fx_5", {&Rules::swap_compare_ignores_u}, "progress"},
    {"fx_6", {&Rules::unregister_clears_u}, "I4"},
    {"fx_7", {&Rules::close_clears_u}, "I4"},
    {"fx_8", {&Rules::fork_drops_markers}, "I4"},
    {"fx_9", {&Rules::huge_zero_split_keeps_u}, "I9"},
    {"fx_10", {&Rules::scan_reads_swap_u}, "SC"},
    {"fx_11", {&Rules::mremap_clears_u}, "I4"},
    {"fx_12", {&Rules::softdirty_writenotify}, "E-SD8"},
    {"fx_13", {&Rules::can_change_softdirty_test}, "E-SD8"},
    {"fx_15", {&Rules::markers_exist}, "I9"},
    {"s3_10", {&Rules::zap_is_write}, "I10"},
};

Rules without(const Mistake& mistake) {
    Rules rules = *preset("mended");
    for (bool Rules::*const rule : mistake.off) {
        rules.*rule = false;
    }
    return rules;
}

std::string path_of(const Mistake& mistake) {
    return fmt::format("{}/fuzz/corpus/model/{}", VERSO_SOURCE_DIR, mistake.seed);
}

/// The shortest of many that makes this oracle speak.
void write_seed(const Mistake& mistake) {
    std::vector<u8> shortest;
    for (u64 seed = 1; seed <= 8000; ++seed) {
        RandomChoice random(seed);
        Recorded choice(random);
        const Ran one = run_steps(choice, without(mistake), 60);
        const bool shows = one.broken.starts_with(mistake.oracle);
        if (shows && (shortest.empty() || choice.bytes.size() < shortest.size())) {
            shortest = choice.bytes;
        }
    }
    std::ofstream(path_of(mistake), std::ios::binary)
        .write(reinterpret_cast<const char*>(shortest.data()),
               static_cast<std::streamsize>(shortest.size()));
}

TEST(RandomPrograms, OfTheFuzzersSeedsShowTheirMistakeAndNothingElse) {
    for (const Mistake& mistake : mistakes) {
        if (std::getenv("VERSO_WRITE_SEEDS") != nullptr) {
            write_seed(mistake);
        }
        std::ifstream in(path_of(mistake), std::ios::binary);
        const std::string text{std::istreambuf_iterator<char>(in), {}};
        const std::vector<u8> bytes(text.begin(), text.end());
        ByteChoice off(bytes);
        const Ran wrong = run(off, without(mistake), [&] { return off.any(); });
        EXPECT_EQ(wrong.broken.substr(0, wrong.broken.find(':')), mistake.oracle)
            << mistake.seed << "\n"
            << wrong.program << wrong.broken;
        ByteChoice on(bytes);
        const Ran right = run(on, *preset("mended"), [&] { return on.any(); });
        EXPECT_EQ(right.broken, "") << mistake.seed << "\n" << right.program;
    }
}

}  // namespace
}  // namespace verso::mm
