// The notation: what is written is what is meant, and what is printed reads back.
#include <gtest/gtest.h>

#include "check/check.h"
#include "kernel/call.h"

namespace verso::check {
namespace {

Program read(std::string_view text) {
    const Result<Program> program = parse(text);
    EXPECT_TRUE(program.has_value()) << text << ": " << (program ? "" : program.error().message);
    return program.value_or(Program{});
}

TEST(Notation, APrintedProgramReadsBackAsTheSameValue) {
    for (const char* const text :
         {"SS: store; REGISTER(WP); WRITEPROTECT; migrate; store -> msg",
          "A, 2 pages, async: REGISTER(WP); arm; store@1 -> silent [P] written",
          "A: store; REGISTER(WP); WRITEPROTECT; fork; child store -> silent = 3",
          "A, huge: HUGEPAGE; load; REGISTER(WP); WRITEPROTECT; clear@0; store@1 -> msg",
          "A, move: map@'; store@'; REGISTER(MISSING|WP); MOVE(HOLES)@0; load@0'",
          "SP, 3 pages: mprotect(READ); mprotect(NONE)@1-2; COPY(WP); other UNREGISTER; store(7)",
          "SS, 2 pages: map(FILE|SHARED)@'; mremap(HERE|LONGER)@0; mremap(SHORTER)@1; DONTNEED@0+",
          "A, 2 pages: pin_to_read; merge_zeroes@1; other_node; unpin",
          "FS, USER_MODE, exact: map(FILE|SHARED|LATER); map(ASKEW|ANYWHERE); map(DROPPABLE)",
          "A, 3 pages: mremap(NEXT)@0; mremap(DONTUNMAP|ANYWHERE)@1; at_the_end; memory_full; "
          "memory_back; swap_full; device_writes@1",
          "HS: REGISTER(MISSING); other REGISTER(MISSING|MINOR) -> EBUSY; clear(DONTWAKE); "
          "close"}) {
        const Program program = read(text);
        EXPECT_EQ(read(to_text(program)), program) << text << "\n" << to_text(program);
    }
}

TEST(Notation, PrintsAsItWasWritten) {
    const char* const text = "SS, 2 pages: store@1; REGISTER(WP); mprotect(READ)@0-1 -> done [N P]";
    EXPECT_EQ(to_text(read(text)),
              "SS, 2 pages: store@1; REGISTER(WP); mprotect(READ)@0-1 -> done "
              "[N P]");
}

TEST(Notation, AnAccessIsMadeAtPageZeroAndACallOnTheWholeAreaUnlessThePlaceSaysOtherwise) {
    const Program program = read("A, 4 pages: store; DONTNEED; store@3; DONTNEED@1-2; load@'");
    EXPECT_EQ(program.steps[0].at, (Place{0, 1, false}));
    EXPECT_EQ(program.steps[1].at, (Place{0, 0, false}));
    EXPECT_EQ(program.steps[2].at, (Place{3, 1, false}));
    EXPECT_EQ(program.steps[3].at, (Place{1, 2, false}));
    EXPECT_EQ(program.steps[4].at, (Place{0, 1, true}));
    EXPECT_TRUE(read("A: DONTNEED@0+").steps[0].at.askew);
}

TEST(Notation, APlaceOfAMappingIsWhereItsWordsSay) {
    for (const auto& [text, holds] :
         {std::pair{"SS, 2 pages: store(4)@1; map(FILE|SHARED|LATER); load@'", "= 4"},
          std::pair{"SS: map(FILE|SHARED|ASKEW)", "EINVAL"},
          std::pair{"A, 2 pages: store(4); mremap(NEXT)@0; load@1", "= 4"},
          std::pair{"A, 2 pages: mremap(ANYWHERE|LONGER)@0; load", "SIGSEGV"},
          std::pair{"A: map(ANYWHERE); load@'", "SIGSEGV"}}) {
        const Trace trace = run_on_model(*mm::preset("6.18"), read(text));
        ASSERT_EQ(trace.why_not, "") << text;
        EXPECT_EQ(trace.steps.back().outcome, holds) << text;
    }
}

TEST(Notation, WhatIsWrongIsSaidWithItsWords) {
    for (const auto& [text, about] :
         {std::pair{"store; load", "kind of memory"}, std::pair{"X: store", "'X'"},
          std::pair{"A: shop", "'shop'"}, std::pair{"A: REGISTER(WQ)", "'WQ'"},
          std::pair{"A: store@x", "'x'"}, std::pair{"A, blue: store", "'blue'"},
          std::pair{"A: exit", "child exit"}, std::pair{"A: COPY(WP", "not closed"},
          std::pair{"A: DONTNEED(WP)", "parentheses"}, std::pair{"HS, huge: store", "'huge'"},
          std::pair{"A, huge: store; store@2", "'@2'"}, std::pair{"SS, huge: store@1-2", "'@2'"}}) {
        const Result<Program> program = parse(text);
        ASSERT_FALSE(program.has_value()) << text;
        EXPECT_NE(program.error().message.find(about), std::string::npos)
            << program.error().message;
    }
}

TEST(Facts, SpeakTheSpecificationsAlphabet) {
    constexpr u64 present = u64{1} << 63, swapped = u64{1} << 62, file = u64{1} << 61;
    constexpr u64 u = u64{1} << 57;
    EXPECT_EQ(PageFacts{}.text(), "N");
    EXPECT_EQ((PageFacts{present | 77, 0}.text()), "P");
    EXPECT_EQ((PageFacts{present | u | file, 0}.text()), "Puf");
    EXPECT_EQ((PageFacts{swapped | 0x40 | u, 0}.text()), "Su");
    EXPECT_EQ((PageFacts{swapped | u | 0x3f, 0}.text()), "K(WP)");
    EXPECT_EQ((PageFacts{swapped | 0x5f, 0}.text()), "K(POISONED)");
    EXPECT_EQ((PageFacts{swapped | 0x9f, 0}.text()), "K(GUARD)");
}

Seen seen(const char* outcome, std::vector<PageFacts> pages = {}) {
    return {outcome, std::move(pages), {}, {}};
}

TEST(Expectations, AreMetByWhatTheyDescribeAndByNothingElse) {
    const Program program = read("A, 2 pages: store@1");
    const Step& step = program.steps[0];
    const PageFacts protected_page{u64{1} << 63 | u64{1} << 57, 0};
    EXPECT_TRUE(matches(step, seen("done"), "silent"));
    EXPECT_FALSE(matches(step, seen("SIGBUS"), "silent"));
    EXPECT_TRUE(matches(step, seen("SIGBUS"), "msg"));
    EXPECT_FALSE(matches(step, seen("SIGSEGV"), "msg"));
    EXPECT_TRUE(matches(step, seen("EINVAL"), "EINVAL"));
    EXPECT_TRUE(matches(step, seen("done", {{}, protected_page}), "[Pu]"));
    EXPECT_FALSE(matches(step, seen("done", {protected_page, {}}), "[Pu]"));
    EXPECT_TRUE(matches(step, seen("done", {{}, {0, 2}}), "written"));
    EXPECT_FALSE(matches(step, seen("done", {{}, {0, 2}}), "clean"));
}

TEST(Traces, DifferWhereAnOutcomeAPageOrTheFinalContentsDo) {
    const Program program = read("A: store");
    Trace one{{seen("done", {{u64{1} << 63, 0}})}, {"= 1"}, {}};
    Trace two = one;
    EXPECT_EQ(difference(program, one, two), "");
    two.steps[0].first[0].word |= 12345;  // another frame
    EXPECT_EQ(difference(program, one, two), "");
    two.contents[0] = "= 2";
    EXPECT_NE(difference(program, one, two), "");
    two = one;
    two.steps[0].first[0].word |= u64{1} << 57;
    EXPECT_NE(difference(program, one, two), "");
    two = one;
    two.steps[0].outcome = "SIGBUS";
    EXPECT_NE(difference(program, one, two), "");
}

}  // namespace
}  // namespace verso::check
