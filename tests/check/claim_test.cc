// What a counterexample becomes as a text: it forbids what was seen, and nothing that a text cannot
// say is in it.
#include "check/litmus/claim.h"

#include <gtest/gtest.h>

#include "check/program/where.h"
#include "support/shell.h"

namespace verso::check {
namespace {

Program program_of(const char* text) {
    Result<Program> program = parse(text);
    EXPECT_TRUE(program.has_value()) << program.error().message;
    return program ? std::move(*program) : Program{};
}

std::string condition_against(const char* text, std::size_t step) {
    const Program program = program_of(text);
    const Trace trace = run_on_model(*mm::preset("6.18"), program);
    const Litmus litmus = claim_against(program, trace, step, "t");
    return litmus.conditions.empty() ? "none" : to_text(litmus.conditions.front());
}

TEST(Claim, ForbidsTheOutcomeAndThePagesOfItsStep) {
    EXPECT_EQ(condition_against("A: store; REGISTER(WP); WRITEPROTECT; store", 3),
              "never step 4: SIGBUS [Pu]");
    EXPECT_EQ(condition_against("A, 2 pages: store@1; REGISTER(WP)", 1),
              "never step 2: done [N P]");
}

TEST(Claim, SaysWrittenOrCleanWhereWritesAreTrackedAsynchronously) {
    EXPECT_EQ(condition_against("SS, async: store; REGISTER(WP); arm; store", 2),
              "never step 3: = 1 [Puf] clean");
}

TEST(Claim, SaysWhichThreadsSleep) {
    EXPECT_EQ(condition_against("A, messages: REGISTER(MISSING); t1 store", 1),
              "never step 2: blocked [N] t1:blocked");
}

TEST(Claim, BehindTheLastStepIsAboutTheContents) {
    EXPECT_EQ(condition_against("A, 2 pages: store(7); store(8)@1", 2),
              "never page 0 = 7 and page 1 = 8");
}

TEST(Claim, IsForbiddenWhereItWasSeenAndReadsBackAsItWasWritten) {
    const Program program = program_of("SS, async: store; REGISTER(WP); arm; store; scan(WRITTEN)");
    const Trace trace = run_on_model(*mm::preset("6.18"), program);
    for (std::size_t step = 0; step <= program.steps.size(); ++step) {
        const Litmus litmus = claim_against(program, trace, step, "two\nlines");
        EXPECT_EQ(judge_on_model(*mm::preset("6.18"), litmus, 64).kind, Judgement::Kind::forbidden)
            << to_text(litmus);
        const Result<Litmus> again = parse_litmus(to_text(litmus), "x");
        ASSERT_TRUE(again.has_value()) << again.error().message;
        EXPECT_EQ(*again, litmus);
    }
}

TEST(Claim, IsWrittenAsATextAndAsCOrSaysWhyNotAsC) {
    const test::TemporaryFolder folder;
    const auto exists = [&](const char* name) {
        return std::filesystem::exists(folder.path() + "/" + name);
    };
    Litmus litmus;
    litmus.title = "t";
    litmus.program = program_of("A: store");
    const Result<std::string> both = write_claim(folder.path(), "a", litmus);
    ASSERT_TRUE(both.has_value()) << both.error().message;
    EXPECT_TRUE(exists("a.litmus") && exists("a.c"));
    litmus.program = program_of("A: store; child load");
    const Result<std::string> one = write_claim(folder.path(), "b", litmus);
    ASSERT_TRUE(one.has_value()) << one.error().message;
    EXPECT_TRUE(exists("b.litmus") && !exists("b.c"));
    EXPECT_NE(one->find("no C: step 2, child load"), std::string::npos) << *one;
    EXPECT_FALSE(write_claim(folder.path() + "/nowhere", "a", litmus).has_value());
}

}  // namespace
}  // namespace verso::check
