// The promise oracles, on traces of the model: they are silent about what mainline keeps, and speak
// where a rule is off that keeps a promise.
#include "check/conform/promise.h"

#include <gtest/gtest.h>

#include "check/conform/generate.h"
#include "check/program/where.h"

namespace verso::check {
namespace {

std::optional<Broken> broken(std::string_view text, const mm::Rules& rules) {
    const Program program = *parse(text);
    FirstChoice first;
    return broken_promise(program, run_on_model(rules, program, first));
}

mm::Rules without(bool mm::Rules::*rule) {
    mm::Rules rules = mm::mainline();
    rules.*rule = false;
    return rules;
}

TEST(Promises, AStoreThroughALostProtectionIsFound) {  // FX-1: the data loss of 2022
    mm::Rules rules = without(&mm::Rules::prot_wp_writenotify);
    rules.mkuffd_wp_clears_w = false;
    const auto found = broken("SS: load; REGISTER(WP); WRITEPROTECT; migrate; store", rules);
    ASSERT_TRUE(found.has_value());
    EXPECT_EQ(found->promise, "I9");
    EXPECT_EQ(broken("SS: load; REGISTER(WP); WRITEPROTECT; migrate; store", mm::mainline()),
              std::nullopt);
}

TEST(Promises, AProtectionThatOutlivesItsRegistrationIsFound) {
    const auto found = broken("A: store; REGISTER(WP); WRITEPROTECT; UNREGISTER",
                              without(&mm::Rules::unregister_clears_u));
    ASSERT_TRUE(found.has_value());
    EXPECT_EQ(found->promise, "I4");
}

TEST(Promises, MemoryThatMovedWithoutTellingIsFound) {
    const auto found =
        broken("A: store; REGISTER(WP); WRITEPROTECT; close", without(&mm::Rules::close_clears_u));
    ASSERT_TRUE(found.has_value());
    EXPECT_EQ(found->promise, "I4");
}

TEST(Promises, AChangeThatIsCalledCleanIsFound) {
    const std::string_view program = "SP, async: store; REGISTER(WP); arm; DONTNEED";
    const auto found = broken(program, without(&mm::Rules::zap_is_write));
    ASSERT_TRUE(found.has_value());
    EXPECT_EQ(found->promise, "I10");
    EXPECT_EQ(broken(program, mm::mainline()), std::nullopt);
}

/// UN-8, as a trace: no rule of the model's forgets to wake.
TEST(Promises, AThreadThatSleepsOnAfterUnregisteringIsFound) {
    const Program program =
        *parse("A, messages: store; REGISTER(WP); WRITEPROTECT; t1 store; UNREGISTER");
    Trace trace = run_on_model(mm::mainline(), program);
    ASSERT_FALSE(broken_promise(program, trace).has_value());
    ASSERT_EQ(trace.steps[4].threads, std::vector<std::string>{"t1:done"});
    trace.steps[4].threads = {"t1:blocked"};
    const auto found = broken_promise(program, trace);
    ASSERT_TRUE(found.has_value());
    EXPECT_EQ(found->promise, "END");
}

/// What is silent about everything finds nothing; what speaks of the innocent is not believed.
TEST(Promises, AreKeptByTheModelInRandomPrograms) {
    constexpr u64 programs = 3000;
    const mm::Rules rules = *mm::preset("6.18");
    unsigned spoke = 0;
    for (u64 i = 0; i < programs; ++i) {
        const Program program = generate(11, i, {}, Batch::quick);
        FirstChoice first;
        const Trace trace = run_on_model(rules, program, first);
        const auto found = broken_promise(program, trace);
        // A scan that fails half way, SC-9, is as the documents have it.
        const bool half_way = found && program.steps[found->step].verb == Verb::arm &&
                              trace.steps[found->step].outcome == "EPERM";
        if (found && !half_way) {
            ++spoke;
            ADD_FAILURE() << found->promise << ": " << found->text << "\n"
                          << to_text(program, trace);
        }
        if (spoke == 3) {
            return;
        }
    }
}

}  // namespace
}  // namespace verso::check
