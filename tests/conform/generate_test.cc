// The generator: the same programs for the same seed, and nothing of the notation out of its reach.
#include "check/conform/generate.h"

#include <algorithm>
#include <set>

#include <gtest/gtest.h>

#include "check/program/words.h"

namespace verso::check {
namespace {

constexpr u64 many = 20'000;

TEST(Generator, GivesTheSameProgramsForTheSameSeed) {
    for (u64 i = 0; i < 200; ++i) {
        EXPECT_EQ(generate(7, i, {}, Batch::machine), generate(7, i, {}, Batch::machine));
    }
}

TEST(Generator, GivesOtherProgramsForAnotherSeed) {
    unsigned same = 0;
    for (u64 i = 0; i < 200; ++i) {
        same += generate(7, i, {}, Batch::quick) == generate(8, i, {}, Batch::quick) ? 1 : 0;
    }
    EXPECT_LT(same, 10U);
}

TEST(Generator, ReachesEveryKindAndEveryWord) {
    std::set<Kind> kinds;
    std::set<std::pair<Verb, u64>> steps;
    for (u64 i = 0; i < many; ++i) {
        for (const Batch batch : {Batch::machine, Batch::quick}) {
            const Program program = generate(1, i, {}, batch);
            kinds.insert(program.kind);
            for (const Step& step : program.steps) {
                steps.insert({step.verb, step.mode});
            }
        }
    }
    EXPECT_EQ(kinds.size(), std::size(every_kind));
    for (const std::string_view text : call_words()) {
        const auto is_word = [&](const auto& step) {
            const Step drawn{.verb = step.first, .mode = step.second};
            return to_text(drawn).starts_with(text);
        };
        EXPECT_TRUE(std::ranges::any_of(steps, is_word)) << text;
    }
}

TEST(Generator, ReachesEveryModeOfAScan) {
    u64 modes = 0;
    for (u64 i = 0; i < many; ++i) {
        for (const Step& step : generate(1, i, {}, Batch::quick).steps) {
            modes |= step.verb == Verb::scan ? step.mode : 0;
        }
    }
    for (const ModeWord& one : mode_words()) {
        if (one.verb == Verb::scan && one.text != "SOFT_DIRTY") {
            EXPECT_NE(modes & one.bits, 0U) << one.text;
        }
    }
}

TEST(Generator, WritesWhatTheNotationReads) {
    for (u64 i = 0; i < 2000; ++i) {
        const Program program = generate(3, i, {}, Batch::machine);
        const Result<Program> read = parse(to_text(program));
        ASSERT_TRUE(read.has_value()) << to_text(program) << ": " << read.error().message;
        EXPECT_EQ(*read, program);
    }
}

TEST(Generator, KeepsToItsScope) {
    const Scope scope{{Kind::SP}, {"store", "REGISTER", "arm"}};
    for (u64 i = 0; i < 500; ++i) {
        const Program program = generate(1, i, scope, Batch::quick);
        EXPECT_EQ(program.kind, Kind::SP);
        for (const Step& step : program.steps) {
            EXPECT_TRUE(step.verb == Verb::store || step.verb == Verb::register_ ||
                        step.verb == Verb::arm)
                << to_text(program);
        }
    }
}

TEST(Generator, LeavesTheMachineAloneInQuickPrograms) {
    for (u64 i = 0; i < 2000; ++i) {
        const Program program = generate(1, i, {}, Batch::quick);
        EXPECT_FALSE(is_hugetlb(program.kind));
        for (const Step& step : program.steps) {
            EXPECT_NE(step.verb, Verb::provoke) << to_text(program);
        }
    }
}

}  // namespace
}  // namespace verso::check
