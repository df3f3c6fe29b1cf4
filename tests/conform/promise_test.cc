// The promise oracles, on traces of the model: they are silent about what "mended" keeps, and speak
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

TEST(Promises, AThreadThatSleepsOnAfterUnregisteringIsFound) {  // UN-8
    const std::string_view program =
        "A, messages: store; REGISTER(WP); WRITEPROTECT; t1 store; UNREGISTER";
    const auto found = broken(program, without(&mm::Rules::unregister_wakes_all));
    ASSERT_TRUE(found.has_value());
    EXPECT_EQ(found->promise, "END");
    EXPECT_EQ(broken(program, mm::mainline()), std::nullopt);
}

TEST(Promises, ACallThatNeverReturnsIsFound) {  // E-GR2
    const std::string_view program = "SS: REGISTER(WP); WRITEPROTECT; GUARD_INSTALL";
    const auto found = broken(program, without(&mm::Rules::guard_install_ends));
    ASSERT_TRUE(found.has_value());
    EXPECT_EQ(found->promise, "END");
    EXPECT_EQ(broken(program, mm::mainline()), std::nullopt);
}

/// What is silent about everything finds nothing; what speaks of the innocent is not believed.
TEST(Promises, AreKeptByTheModelInRandomPrograms) {
    constexpr u64 programs = 3000;
    const mm::Rules rules = *mm::preset("mended");
    unsigned spoke = 0;
    for (u64 i = 0; i < programs; ++i) {
        const Program program = generate(11, i, {}, Batch::quick);
        FirstChoice first;
        const Trace trace = run_on_model(rules, program, first);
        const auto found = broken_promise(program, trace);
        if (found) {
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
