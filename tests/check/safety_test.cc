// Whether snapshots are safe: one judgement, over the model, where rules can be broken, and over
// the running kernel.
#include "check/safety/safety.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "check/conform/known.h"
#include "check/program/where.h"
#include "mm/rules.h"

namespace verso::check {
namespace {

Safety of_model(const mm::Rules& rules) {
    return judge_safety([&](const Program& program) { return run_on_model(rules, program); });
}
Safety of_preset(std::string_view name) { return of_model(*mm::preset(name)); }

TEST(Safety, AKernelThatKeepsEveryPromiseIsSafe) {
    const Safety safety = of_preset("mended");
    EXPECT_EQ(safety.safe, Safe::yes) << safety.line();
    EXPECT_EQ(safety.avoided.size(), 0U) << safety.line();
    EXPECT_GE(safety.tried, essentials().size());
}

TEST(Safety, TheModelOf618IsSafeButForWhatUsersMustAvoid) {
    const Safety safety = of_preset("6.18");
    EXPECT_EQ(safety.safe, Safe::except) << safety.line();
    EXPECT_EQ(safety.broken.size(), 0U) << safety.line();
    for (const Hazard& one : hazards()) {
        const auto& list = one.reaches_users ? safety.exceptions : safety.avoided;
        EXPECT_TRUE(std::ranges::any_of(list, [&](const Safety::Shown& shown) {
            return shown.what == one.answer;
        })) << one.known;
    }
    for (const Safety::NotTried& one : safety.not_tried) {
        ADD_FAILURE() << one.program << ": " << one.why;
    }
    EXPECT_GE(safety.tried, essentials().size());
}

TEST(Safety, TheKernelThatLostDataIsUnsafe) {
    const Safety safety = of_preset("5.19");
    EXPECT_EQ(safety.safe, Safe::no);
    EXPECT_TRUE(safety.line().starts_with("unsafe because a store goes unnoticed"))
        << safety.line();
}

TEST(Safety, AKernelThatCannotProtectSharedMemoryIsUnknownAndNotSafe) {
    const Safety safety = of_preset("5.7");
    EXPECT_NE(safety.safe, Safe::yes);
    EXPECT_GT(safety.not_tried.size(), 0U);
}

TEST(Safety, ARuleThatIsBrokenOnPurposeIsFound) {
    mm::Rules canary = *mm::preset("6.18");
    canary.u_bit_exists = false;
    EXPECT_EQ(of_model(canary).safe, Safe::no);
}

TEST(Safety, WhereNothingCanBeRunNothingIsKnown) {
    const Safety safety = judge_safety([](const Program&) {
        Trace trace;
        trace.why_not = "no userfaultfd";
        return trace;
    });
    EXPECT_EQ(safety.safe, Safe::unknown);
    EXPECT_NE(safety.line().find("no userfaultfd"), std::string::npos) << safety.line();
}

TEST(Safety, EveryKnownBrokenPromiseHasAnAnswer) {
    for (const Known& known : known_differences()) {
        const bool answered = std::ranges::any_of(
            hazards(), [&](const Hazard& one) { return one.known == known.name; });
        EXPECT_TRUE(answered || known.blame != Blame::promise) << known.name;
    }
    for (const Hazard& one : hazards()) {
        EXPECT_TRUE(std::ranges::any_of(
            known_differences(), [&](const Known& known) { return known.name == one.known; }))
            << one.known << " is no longer known";
    }
}

TEST(Safety, TheRunningKernelLosesNoWriteOfTheEngines) {
    const Safety safety =
        judge_safety([](const Program& program) { return run_on_running_kernel(program, 1'000); });
    if (safety.safe == Safe::unknown) {
        GTEST_SKIP() << safety.line();
    }
    for (const Safety::NotTried& one : safety.not_tried) {
        std::printf("not tried: %s: %s\n", one.program.c_str(), one.why.c_str());
    }
    std::printf("%s\n", safety.line().c_str());
    for (const Safety::Shown& one : safety.broken) {
        ADD_FAILURE() << one.program << ": " << one.how;
    }
}

}  // namespace
}  // namespace verso::check
