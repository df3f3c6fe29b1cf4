// verso explore as a program: what it prints, and what its exit code says.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include "support/shell.h"

namespace verso {
namespace {

test::Ran run_verso(const std::string& arguments) {
    return test::run(fmt::format("'{}/verso' {} 2>/dev/null", VERSO_BINARY_DIR, arguments));
}

TEST(ExploreVerb, PrintsLitmusAndTokenOfWhatItFoundAndExitsWithOne) {
    const test::Ran ran = run_verso("explore --rules 5.19 --scope kinds=SS --oracle I9");
    EXPECT_EQ(ran.code, 1);
    EXPECT_NE(ran.output.find("litmus   SS: "), std::string::npos) << ran.output;
    EXPECT_NE(ran.output.find("verso explore --replay 'v1/5.19/"), std::string::npos);
}

TEST(ExploreVerb, ExitsWithZeroIfNothingWasFound) {
    const test::Ran ran = run_verso("explore --rules mended --scope kinds=SS,steps=3");
    EXPECT_EQ(ran.code, 0);
    EXPECT_NE(ran.output.find("all programs of 3 steps"), std::string::npos) << ran.output;
    EXPECT_NE(ran.output.find("odds"), std::string::npos);
}

TEST(ExploreVerb, ReplaysTheTokenThatItPrinted) {
    const std::string found = run_verso("explore --rules 5.19 --scope kinds=SS --oracle I9").output;
    const std::size_t at = found.find("--replay '") + 10;
    const std::string token = found.substr(at, found.find('\'', at) - at);
    const test::Ran ran = run_verso("explore --replay '" + token + "'");
    EXPECT_EQ(ran.code, 1);
    EXPECT_NE(ran.output.find("I9: a write to page 0"), std::string::npos) << ran.output;
}

TEST(ExploreVerb, WritesWhatItFoundAsATextThatTheModelForbidsAndAsC) {
    const test::TemporaryFolder folder;
    const std::string write = " --write " + folder.path();
    EXPECT_EQ(run_verso("explore --rules 5.19 --scope kinds=SS --oracle I9" + write).code, 1);
    const std::string text = folder.path() + "/counterexample-1.litmus";
    EXPECT_EQ(run_verso("litmus --on 5.19 " + text).code, 1);
    EXPECT_EQ(run_verso("litmus --on 6.18 " + text).code, 0);
    EXPECT_TRUE(std::filesystem::exists(folder.path() + "/counterexample-1.c"));
    EXPECT_EQ(run_verso("explore --scope kinds=SS,steps=1 --write /nowhere").code, 2);
}

/// The value of a key of the JSON text that it prints.
std::string value_of(const std::string& json, const std::string& key) {
    const std::size_t at = json.find("\"" + key + "\": ");
    return at == std::string::npos ? "none" : json.substr(at, json.find('\n', at) - at);
}

TEST(ExploreVerb, GoesOnToTheSameCountsAfterItWasKilled) {
    const test::TemporaryFolder folder;
    const std::string file = folder.path() + "/checkpoint";
    const std::string scope = "explore --rules mended --scope kinds=A+SS,steps=7 --json";
    // Killed as soon as there is a checkpoint: several levels are still to come.
    const test::Ran killed = test::run(
        fmt::format("'{}/verso' {} --checkpoint {} >/dev/null 2>&1 & search=$!; "
                    "while [ ! -s {} ]; do sleep 0.01; done; kill -9 $search; wait $search",
                    VERSO_BINARY_DIR, scope, file, file));
    ASSERT_EQ(killed.code, 137) << "it was over before it could be killed";
    const std::string resumed = run_verso(scope + " --resume " + file).output;
    const std::string whole = run_verso(scope).output;
    for (const char* const key : {"states", "steps", "tried", "ending"}) {
        EXPECT_EQ(value_of(resumed, key), value_of(whole, key));
        EXPECT_NE(value_of(whole, key), "none");
    }
    EXPECT_NE(value_of(resumed, "resumed_depth"), value_of(whole, "resumed_depth"));
}

TEST(ExploreVerb, ExitsWithThreeIfTheMemoryThatItMayUseDoesNotSuffice) {
    const test::Ran ran = test::run(fmt::format(
        "'{}/verso' explore --rules mended --scope kinds=all,pages=2,steps=9 --memory 64M "
        "2>&1 >/dev/null",
        VERSO_BINARY_DIR));
    EXPECT_EQ(ran.code, 3);
    EXPECT_NE(ran.output.find("verso: the 64M of --memory did not suffice"), std::string::npos)
        << ran.output;
}

TEST(ExploreVerb, SaysInJsonWhatItSaysInText) {
    const test::Ran ran = run_verso("explore --scope kinds=A,steps=2 --json --coverage");
    EXPECT_EQ(ran.code, 0);
    for (const char* key : {"\"states\"", "\"seconds\"", "\"found\"", "\"mattered\""}) {
        EXPECT_NE(ran.output.find(key), std::string::npos) << key;
    }
}

}  // namespace
}  // namespace verso
