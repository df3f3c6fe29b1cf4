// `verso conform` as a person runs it.
#include <fmt/core.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "support/shell.h"

namespace verso {
namespace {

test::Ran conform(const std::string& arguments) {
    return test::run(fmt::format("'{}/verso' conform {}", VERSO_BINARY_DIR, arguments));
}

TEST(Conform, ShowsOneProgramOnBoth) {
    const test::Ran ran = conform("--program 'A: store(4); load'");
    if (ran.output.find("could not go on") != std::string::npos) {
        GTEST_SKIP() << ran.output;
    }
    EXPECT_EQ(ran.code, 0) << ran.output;
    EXPECT_NE(ran.output.find("model and kernel agree"), std::string::npos) << ran.output;
    EXPECT_NE(ran.output.find("= 4"), std::string::npos) << ran.output;
}

TEST(Conform, ACanaryIsShownAsAProgramOfThreeSteps) {
    // Why safe: asks, changes nothing.
    if (::geteuid() != 0) {
        GTEST_SKIP() << "pagemap of other processes needs root";
    }
    const test::Ran ran = conform(
        "--programs 600 --kinds A --calls store,REGISTER,WRITEPROTECT,UNREGISTER "
        "--break unregister_clears_u");
    EXPECT_EQ(ran.code, 1) << ran.output;
    EXPECT_NE(ran.output.find("store; REGISTER(WP); WRITEPROTECT; UNREGISTER"), std::string::npos)
        << ran.output;
}

TEST(Conform, WritesADifferenceAsATextAndAsC) {
    // Why safe: asks, changes nothing.
    if (::geteuid() != 0) {
        GTEST_SKIP() << "pagemap of other processes needs root";
    }
    const test::TemporaryFolder folder;
    const test::Ran ran = conform(
        "--break unregister_clears_u --program 'A: store; REGISTER(WP); WRITEPROTECT; "
        "UNREGISTER' --write " +
        folder.path());
    EXPECT_EQ(ran.code, 1) << ran.output;
    EXPECT_NE(ran.output.find("difference-1.litmus and difference-1.c"), std::string::npos)
        << ran.output;
    EXPECT_TRUE(std::filesystem::exists(folder.path() + "/difference-1.c"));
}

TEST(Conform, SaysHowManyProgramsOfWhichSeed) {
    const test::Ran ran = conform("--seed 42 --programs 50 --kinds A --calls store,load");
    EXPECT_EQ(ran.code, 0) << ran.output;
    EXPECT_NE(ran.output.find("seed 42: 50 programs"), std::string::npos) << ran.output;
}

}  // namespace
}  // namespace verso
