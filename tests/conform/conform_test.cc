// Conformance runs on the running kernel: canaries are found, and what is known is still so.
#include "check/conform/conform.h"

#include <algorithm>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <unistd.h>

#include "check/program/where.h"

namespace verso::check {
namespace {

/// Nothing where the machine can run programs, else why not.
std::string why_not_here() {
    // Why safe: asks, changes nothing.
    if (::geteuid() != 0) {
        return "pagemap and faults of the kernel's own need root";
    }
    const Trace trace = run_on_running_kernel(*parse("A: store; REGISTER(WP)"), 10'000);
    return trace.why_not;
}

ConformOptions usual() {
    ConformOptions options;
    options.rules = rules_of_running_kernel();
    options.scope.kinds = {Kind::A, Kind::SS, Kind::SP};
    options.programs_max = 1500;
    return options;
}

bool all_known(const ConformReport& report) {
    return std::ranges::all_of(report.findings,
                               [](const Finding& one) { return one.known != nullptr; });
}

std::string unknown_ones(const ConformReport& report) {
    std::string text;
    for (const Finding& one : report.findings) {
        if (one.known == nullptr) {
            text += one.model + one.kernel + "again: verso conform --program '" +
                    to_text(one.program) + "'\n";
        }
    }
    return text;
}

/// A rule of the model is broken on purpose: a run must see it.
class Canary : public testing::TestWithParam<const char*> {};

TEST_P(Canary, IsFound) {
    if (const std::string why_not = why_not_here(); !why_not.empty()) {
        GTEST_SKIP() << why_not;
    }
    ConformOptions options = usual();
    bool turned = false;
    for (const mm::Switch& one : mm::switches()) {
        if (one.name == GetParam()) {
            options.rules.*one.value = !(options.rules.*one.value);
            turned = true;
        }
    }
    ASSERT_TRUE(turned) << GetParam();
    const ConformReport report = conform(options);
    EXPECT_FALSE(all_known(report))
        << GetParam() << " was not seen in " << report.quick
        << " programs: verso conform --seed 1 --programs 1500 --break " << GetParam();
}

INSTANTIATE_TEST_SUITE_P(Of, Canary,
                         testing::Values("mremap_clears_u", "unregister_clears_u", "close_clears_u",
                                         "fork_drops_markers", "copy_wp_ignores_vm_write",
                                         "zap_is_write"),
                         [](const auto& rule) { return std::string(rule.param); });

/// … also by programs that are made of little else than what is known.
struct Beside {
    const char* rule;
    const char* known;
    Kind kind;
    std::vector<std::string> calls;
};

class CanaryBeside : public testing::TestWithParam<Beside> {};

TEST_P(CanaryBeside, WhatIsKnownIsFound) {
    if (const std::string why_not = why_not_here(); !why_not.empty()) {
        GTEST_SKIP() << why_not;
    }
    if (running_release() != "6.18") {
        GTEST_SKIP() << "what is known is known of 6.18, this is " << running_release();
    }
    ConformOptions options = usual();
    options.scope = {{GetParam().kind}, GetParam().calls};
    for (const mm::Switch& one : mm::switches()) {
        if (one.name == GetParam().rule) {
            options.rules.*one.value = !(options.rules.*one.value);
        }
    }
    const ConformReport report = conform(options);
    EXPECT_FALSE(all_known(report)) << GetParam().rule << " was not seen";
    EXPECT_TRUE(std::ranges::any_of(report.findings,
                                    [](const Finding& one) {
                                        return one.known != nullptr &&
                                               one.known->name == GetParam().known;
                                    }))
        << GetParam().known << " did not come: the claim is empty";
}

INSTANTIATE_TEST_SUITE_P(
    Of, CanaryBeside,
    testing::Values(Beside{"unregister_clears_u",
                           "guard-is-armed",
                           Kind::A,
                           {"store", "REGISTER", "GUARD_INSTALL", "arm", "UNREGISTER"}},
                    Beside{"unregister_clears_u",
                           "any-descriptor",
                           Kind::A,
                           {"store", "REGISTER", "WRITEPROTECT", "clear", "UNREGISTER"}},
                    Beside{"close_clears_u",
                           "reregistered-stays-protected",
                           Kind::A,
                           {"store", "REGISTER", "WRITEPROTECT", "close"}},
                    Beside{"unregister_clears_u",
                           "dontunmap-forgets",
                           Kind::SS,
                           {"store", "REGISTER", "WRITEPROTECT", "mremap", "UNREGISTER"}},
                    Beside{"unregister_clears_u",
                           "dropped-copy-is-clean",
                           Kind::SP,
                           {"store", "REGISTER", "arm", "DONTNEED", "UNREGISTER"}}),
    [](const auto& one) {
        std::string name = std::string(one.param.rule) + "_" + one.param.known;
        std::ranges::replace(name, '-', '_');
        return name;
    });

TEST(Conform, WithoutACanaryNothingUnknownIsFound) {
    if (const std::string why_not = why_not_here(); !why_not.empty()) {
        GTEST_SKIP() << why_not;
    }
    if (running_release() != "6.18") {
        GTEST_SKIP() << "what is known is known of 6.18, this is " << running_release();
    }
    const ConformReport report = conform(usual());
    EXPECT_TRUE(all_known(report)) << unknown_ones(report);
    EXPECT_GT(report.steps, 5000U);
}

TEST(Conform, FindsTheSameForTheSameSeed) {
    if (const std::string why_not = why_not_here(); !why_not.empty()) {
        GTEST_SKIP() << why_not;
    }
    ConformOptions options = usual();
    options.programs_max = 300;
    options.workers = 1;
    for (const std::string_view word : call_words()) {
        if (word != "messages" && !needs_machine(word)) {  // who sleeps and who is woken is a race
            options.scope.calls.emplace_back(word);
        }
    }
    const ConformReport one = conform(options);
    const ConformReport two = conform(options);
    EXPECT_EQ(one.differences, two.differences);
    EXPECT_EQ(one.steps, two.steps);
    ASSERT_EQ(one.findings.size(), two.findings.size());
    for (std::size_t i = 0; i < one.findings.size(); ++i) {
        EXPECT_EQ(one.findings[i].program, two.findings[i].program);
        EXPECT_EQ(one.findings[i].count, two.findings[i].count);
    }
}

/// What the model does as well: it agrees with the kernel, and "mended" with neither.
void expect_both(const Known& one, const Program& program, const std::optional<Finding>& found) {
    EXPECT_EQ(found.has_value(), one.blame == Blame::promise) << one.name << " differs, or is kept";
    if (found) {
        EXPECT_EQ(found->verdict, Verdict::both_break) << one.name << ": " << found->sentence;
        ASSERT_NE(found->known, nullptr) << one.name << ": " << found->kernel;
        EXPECT_EQ(found->known->name, one.name) << found->kernel;
    }
    EXPECT_TRUE(examine(program, *mm::preset("mended")).has_value())
        << one.name << " is as it should be: take it out of known.cc";
}

/// Each is run: one that agrees with the model is known no longer.
TEST(Known, AreStillAsTheyAreDescribed) {
    if (const std::string why_not = why_not_here(); !why_not.empty()) {
        GTEST_SKIP() << why_not;
    }
    const mm::Rules rules = rules_of_running_kernel();
    unsigned ran = 0;
    for (const Known& one : known_differences()) {
        const Result<Program> program = parse(one.program);
        ASSERT_TRUE(program.has_value() || one.program.empty()) << one.program;
        if (one.program.empty() || one.release != running_release() || is_hugetlb(program->kind)) {
            continue;  // of chance; hugetlb: behaviour/divergences.h has them
        }
        std::optional<Finding> found;
        std::string ended_early;  // a trigger that had no luck, beside others that pull at it
        for (unsigned tries = 0; tries < 3 && !found; ++tries) {
            ended_early.clear();
            found = examine(*program, rules, &ended_early);
            if (ended_early.empty()) {
                break;
            }
        }
        if (!found && !ended_early.empty()) {
            std::printf("%s could not be tried: %s\n", one.name.data(), ended_early.c_str());
            continue;
        }
        if (one.rule != nullptr) {
            expect_both(one, *program, found);
            ++ran;
            continue;
        }
        if (!found && one.blame == Blame::nobody) {
            continue;  // it may go either way
        }
        ASSERT_TRUE(found.has_value()) << one.name << " agrees: take it out of known.cc";
        ASSERT_NE(found->known, nullptr) << one.name << ": " << found->kernel;
        EXPECT_EQ(found->known->name, one.name) << found->kernel;
        EXPECT_EQ(one.blame == Blame::promise, found->verdict != Verdict::differs)
            << one.name << ": " << found->sentence;
        ++ran;
    }
    std::printf("known differences of %s: %u\n", running_release().c_str(), ran);
    if (ran == 0) {
        GTEST_SKIP() << "nothing is known of " << running_release();
    }
}

}  // namespace
}  // namespace verso::check
