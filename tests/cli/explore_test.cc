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
    const test::Ran ran = run_verso("explore --rules 6.18 --scope kinds=SS,steps=3");
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

TEST(ExploreVerb, SaysInJsonWhatItSaysInText) {
    const test::Ran ran = run_verso("explore --scope kinds=A,steps=2 --json --coverage");
    EXPECT_EQ(ran.code, 0);
    for (const char* key : {"\"states\"", "\"seconds\"", "\"found\"", "\"mattered\""}) {
        EXPECT_NE(ran.output.find(key), std::string::npos) << key;
    }
}

}  // namespace
}  // namespace verso
