// Litmus texts: what is printed reads back, what is wrong is shown in its place, and a verdict
// follows from all runs.
#include <gtest/gtest.h>

#include "check/check.h"

namespace verso::check {
namespace {

const char* const lost_write =
    "a write after a migration is reported\n"
    "# The end of a migration rebuilds the entry.\n"
    "about: FX-1\n"
    "SS\n"
    "  store\n"
    "  REGISTER(WP)\n"
    "  WRITEPROTECT\n"
    "  migrate -> done\n"
    "  store\n"
    "must step 5: msg [Pu]\n"
    "may page 0 = 1\n"
    "never step 5: silent and page 0 = 5\n";

Litmus read(std::string_view text) {
    const Result<Litmus> litmus = parse_litmus(text, "x");
    EXPECT_TRUE(litmus.has_value()) << (litmus ? "" : litmus.error().message);
    return litmus.value_or(Litmus{});
}

std::string error_of(std::string_view text) {
    const Result<Litmus> litmus = parse_litmus(text, "x.litmus");
    return litmus ? "no error" : litmus.error().message;
}

Judgement::Kind verdict(const char* steps_and_conditions, const char* release = "6.18") {
    return judge_on_model(*mm::preset(release), read(std::string("t\n") + steps_and_conditions), 64)
        .kind;
}

TEST(Litmus, IsPrintedAsItWasWritten) { EXPECT_EQ(to_text(read(lost_write)), lost_write); }

TEST(Litmus, APrintedOneReadsBackAsTheSameValue) {
    for (const char* const text :
         {"t\nA, 2 pages, messages\n t1 store@1 -> blocked\n messages -> missing+write@1\n"
          " ZEROPAGE@1 -> t1:done\nmust step 3: t1:done\n",
          "t\nA\nstore\nfork\nchild store\nmust child page 0 = 3 and page 0 = 1\n"}) {
        const Litmus litmus = read(text);
        EXPECT_EQ(read(to_text(litmus)), litmus) << to_text(litmus);
    }
}

TEST(Litmus, AnErrorHasLineAndColumnAndACaret) {
    EXPECT_EQ(error_of("t\nA\n  store\n  REGISTER(WQ)\n"),
              "x.litmus:4:12: 'WQ' means nothing to this step; see the words in check/program\n"
              "    REGISTER(WQ)\n"
              "             ^");
    EXPECT_TRUE(error_of("t\nX, 2 pages\nstore\n").starts_with("x.litmus:2:1: 'X'"));
    EXPECT_TRUE(error_of("t\nA\nstore\nmust step 2: done\n").starts_with("x.litmus:4:11: "));
    EXPECT_TRUE(error_of("t\nA\nstore\nmust\n").starts_with("x.litmus:4:1: "));
    EXPECT_TRUE(error_of("t\nA\nstore; load\n").starts_with("x.litmus:3:6: one step"));
    EXPECT_TRUE(error_of("t\nA\n").starts_with("x.litmus:2:1: "));
}

TEST(LitmusVerdict, IsOkWhereTheFixIsAndForbiddenWhereItIsNot) {
    EXPECT_EQ(judge_on_model(*mm::preset("6.18"), read(lost_write), 64).kind, Judgement::Kind::ok);
    const Judgement old = judge_on_model(*mm::preset("5.19"), read(lost_write), 64);
    EXPECT_EQ(old.kind, Judgement::Kind::forbidden);
    EXPECT_EQ(old.why, "must step 5: msg [Pu]");
    EXPECT_NE(old.witness.find("migrate"), std::string::npos) << old.witness;
}

TEST(LitmusVerdict, AMayThatNoRunShowsIsUnseen) {
    EXPECT_EQ(verdict("A\nstore\nmay page 0 = 1\n"), Judgement::Kind::ok);
    EXPECT_EQ(verdict("A\nstore\nmay page 0 = 2\n"), Judgement::Kind::unseen);
}

TEST(LitmusVerdict, ANeverThatOneRunShowsIsForbidden) {
    EXPECT_EQ(verdict("A\nstore\nnever page 0 = 2\n"), Judgement::Kind::ok);
    EXPECT_EQ(verdict("A\nstore\nnever page 0 = 1\n"), Judgement::Kind::forbidden);
}

TEST(LitmusVerdict, WhatIsExpectedOfAStepMustBeSoInEveryRun) {
    EXPECT_EQ(verdict("A\nstore\nREGISTER(WP)\nWRITEPROTECT\nstore -> silent\n"),
              Judgement::Kind::forbidden);
}

TEST(LitmusVerdict, TheContentsOfTheChildAreNotThoseOfItsParent) {
    EXPECT_EQ(verdict("A\nstore\nfork\nchild store\nmust page 0 = 1 and child page 0 = 3\n"),
              Judgement::Kind::ok);
}

}  // namespace
}  // namespace verso::check
