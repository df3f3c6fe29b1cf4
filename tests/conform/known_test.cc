// The list of what is known, asked about traces: it names the rule by which a promise is broken,
// and explains what it is about, but nothing that happens beside that in the same step.
#include "check/conform/known.h"

#include <gtest/gtest.h>

#include "abi/abi.h"
#include "check/conform/promise.h"
#include "check/program/where.h"

namespace verso::check {
namespace {

using abi::PageIs;

/// The model's trace of a program, and one of a kernel that is otherwise in the last step.
struct Traces {
    Program program;
    Trace model;
    Trace kernel;

    explicit Traces(std::string_view text)
        : program(*parse(text)), model(run_on_model(*mm::preset("6.18"), program)), kernel(model) {}
    Seen& last() { return kernel.steps.back(); }
    std::string_view name() const {
        const std::optional<Difference> difference = compare(program, model, kernel);
        EXPECT_TRUE(difference.has_value());
        const Known* const one = known(program, model, kernel, program.steps.size() - 1, "6.18");
        return one == nullptr ? "" : one->name;
    }
};

void lose_protection(PageFacts& page) {
    page.word &= ~abi::PagemapBit::uffd_wp;
    page.categories |= PageIs::written;
}

/// Where the model breaks a promise as the kernel does, nothing differs.
TEST(Known, NamesEachBrokenPromiseOfTheModelsByItsRule) {
    for (const Known& one : known_broken_promises()) {
        const Program program = *parse(one.program);
        const Trace trace = run_on_model(*mm::preset(one.release), program);
        const std::optional<Broken> broken = broken_promise(program, trace);
        ASSERT_TRUE(broken.has_value()) << one.name << " is kept by the model";
        const Known* const named = known(program, trace, trace, broken->step, one.release);
        ASSERT_NE(named, nullptr) << one.name;
        EXPECT_EQ(named->name, one.name);
        const Trace kept = run_on_model(*mm::preset("mended"), program);
        EXPECT_FALSE(broken_promise(program, kept).has_value()) << one.name;
    }
}

TEST(Known, NamesNothingWhereNoRuleIsTheReason) {
    const Program program = *parse("A: store; REGISTER(WP); WRITEPROTECT; UNREGISTER");
    mm::Rules canary = *mm::preset("6.18");
    canary.unregister_clears_u = false;
    const Trace trace = run_on_model(canary, program);
    ASSERT_TRUE(broken_promise(program, trace).has_value());
    EXPECT_EQ(known(program, trace, trace, 3, "6.18"), nullptr);
}

TEST(Known, NamesARuleOfTwoThatBreakAPromiseTogether) {
    const Program program =
        *parse("A, 2 pages, async: store; REGISTER(WP); GUARD_INSTALL@1; arm; REGISTER(MISSING)");
    const Trace trace = run_on_model(*mm::preset("6.18"), program);
    const std::optional<Broken> broken = broken_promise(program, trace);
    ASSERT_TRUE(broken.has_value());
    const Known* const named = known(program, trace, trace, broken->step, "6.18");
    ASSERT_NE(named, nullptr);
    EXPECT_TRUE(named->name == "guard-is-armed" || named->name == "reregistered-stays-protected")
        << named->name;
}

TEST(Known, ExplainsAScanThatLooksOnPastWhatWasEnough) {
    Traces traces("SS, 2 pages, async: REGISTER(WP)@0; arm(ONE)");
    ASSERT_EQ(traces.last().outcome, "= 1 to 1");
    traces.last().outcome = "EPERM";
    EXPECT_EQ(traces.name(), "failed-scan-arms");
}

TEST(Known, DoesNotExplainAPageThatIsNotArmedBesideAGuard) {
    Traces traces("A, 2 pages, async: store@1; REGISTER(WP); GUARD_INSTALL@0; arm");
    lose_protection(traces.last().first[1]);
    EXPECT_EQ(traces.name(), "");
}

TEST(Known, DoesNotExplainAnErrorBesideAGuard) {
    Traces traces("A, 2 pages, async: store@1; REGISTER(WP); GUARD_INSTALL@0; arm");
    traces.last().outcome = "EFAULT";
    EXPECT_EQ(traces.name(), "");
}

TEST(Known, DoesNotExplainAPageThatRegisteringTakesAway) {
    Traces traces("A: store; REGISTER(WP); WRITEPROTECT; REGISTER(MISSING)");
    traces.last().first[0] = PageFacts{};
    EXPECT_EQ(traces.name(), "");
}

TEST(Known, DoesNotExplainWhatHappensElsewhereMeanwhile) {
    Traces traces("A, 2 pages: store; store@1; REGISTER(WP); WRITEPROTECT; other clear@0");
    lose_protection(traces.last().first[1]);
    EXPECT_EQ(traces.name(), "");
}

TEST(Known, DoesNotExplainWhatLosesProtectionWhereAPageWasAheadOnce) {
    Traces traces("SS, 2 pages: store; store@1; REGISTER(WP); WRITEPROTECT; mprotect(READ)");
    traces.kernel.steps[0].first[1] = traces.kernel.steps[0].first[0];  // mapped ahead
    lose_protection(traces.last().first[1]);
    EXPECT_EQ(traces.name(), "");
}

TEST(Known, DoesNotExplainAThreadThatIsWokenWhereNobodyWas) {
    Traces traces("A, messages: store; REGISTER(WP); WRITEPROTECT; t1 store; UNREGISTER");
    ASSERT_EQ(traces.last().threads, std::vector<std::string>{"t1:blocked"});
    traces.last().threads = {"t1:done"};
    EXPECT_EQ(traces.name(), "");
}

TEST(Known, DoesNotExplainAMarkerThatIsLostBesideADroppedCopy) {
    Traces traces("SP, 2 pages, async: store; load@1; REGISTER(WP); arm; DONTNEED");
    ASSERT_EQ(traces.last().first[1].text(), "K(WP)");
    lose_protection(traces.last().first[1]);
    EXPECT_EQ(traces.name(), "");
}

}  // namespace
}  // namespace verso::check
