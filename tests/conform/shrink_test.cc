// The shrinker, asked questions that need no kernel.
#include "check/shrink/shrink.h"

#include <algorithm>

#include <gtest/gtest.h>

namespace verso::check {
namespace {

Program read(std::string_view text) { return *parse(text); }

bool has(const Program& program, Verb verb) {
    return std::ranges::any_of(program.steps, [&](const Step& step) { return step.verb == verb; });
}

TEST(Shrinker, KeepsTheStepsThatAreNeeded) {
    Shrinker shrinker([](const Program& program) {
        return has(program, Verb::fork) && has(program, Verb::move);
    });
    const Program long_one = read("A: load; store; fork; scan; MOVE; store; load; load");
    EXPECT_EQ(to_text(shrinker.shrink(long_one, long_one.steps.size() - 1)), "A: fork; MOVE");
}

TEST(Shrinker, TakesSimplerArguments) {
    Shrinker shrinker([](const Program& program) { return has(program, Verb::copy); });
    const Program fine = read("SS, 3 pages, async: other COPY(WP|DONTWAKE|9)@2");
    EXPECT_EQ(to_text(shrinker.shrink(fine, 0)), "SS: COPY");
}

TEST(Shrinker, KeepsArgumentsThatAreNeeded) {
    Shrinker shrinker([](const Program& program) {
        return std::ranges::any_of(program.steps, [](const Step& step) {
            return step.verb == Verb::copy && (step.mode & 1) != 0 && step.at.first == 1;
        });
    });
    const Program fine = read("SS, 3 pages: store; COPY(WP|DONTWAKE)@1");
    EXPECT_EQ(to_text(shrinker.shrink(fine, 1)), "SS: COPY(WP)@1");
}

TEST(Shrinker, DropsTwoStepsThatOnlyGoTogether) {
    Shrinker shrinker([](const Program& program) {
        const bool balanced = std::ranges::count(program.steps, Verb::pin, &Step::verb) ==
                              std::ranges::count(program.steps, Verb::unpin, &Step::verb);
        return balanced && has(program, Verb::load);
    });
    const Program pairs = read("A: load; pin; unpin");
    EXPECT_EQ(to_text(shrinker.shrink(pairs, 2)), "A: load");
}

TEST(Shrinker, AsksAboutEachProgramOnce) {
    std::vector<std::string> asked;
    Shrinker shrinker([&](const Program& program) {
        asked.push_back(to_text(program));
        return has(program, Verb::load);
    });
    const Program program = read("A, 2 pages: store; load; store@1; load@1");
    static_cast<void>(shrinker.shrink(program, 3));
    std::ranges::sort(asked);
    EXPECT_EQ(std::ranges::adjacent_find(asked), asked.end());
    EXPECT_EQ(asked.size(), shrinker.questions());
}

TEST(Shrinker, StopsAtItsLimit) {
    Shrinker shrinker([](const Program&) { return true; }, {.questions_max = 3});
    const Program program = read("A, 2 pages: store; load; store; load; store; load");
    static_cast<void>(shrinker.shrink(program, 5));
    EXPECT_EQ(shrinker.questions(), 3U);
}

}  // namespace
}  // namespace verso::check
