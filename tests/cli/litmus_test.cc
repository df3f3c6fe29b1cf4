// `verso litmus` as a person runs it, on the model alone.
#include <fstream>

#include <fmt/core.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "support/shell.h"

namespace verso {
namespace {

const char* const lost_write =
    "a write after a migration is reported\nSS\nstore\nREGISTER(WP)\nWRITEPROTECT\nmigrate\n"
    "store\nmust step 5: msg\n";

class LitmusVerb : public ::testing::Test {
protected:
    LitmusVerb() { std::filesystem::create_directories(folder_); }
    ~LitmusVerb() override { std::filesystem::remove_all(folder_); }

    std::string write(const char* name, const char* text) const {
        std::ofstream(folder_ / name) << text;
        return (folder_ / name).string();
    }
    static test::Ran litmus(const std::string& arguments) {
        return test::run(fmt::format("'{}/verso' litmus {} 2>&1", VERSO_BINARY_DIR, arguments));
    }

    std::filesystem::path folder_ =
        std::filesystem::temp_directory_path() / ("verso_litmus_" + std::to_string(::getpid()));
};

TEST_F(LitmusVerb, FailsWhereTheClaimIsForbiddenAndShowsTheWitness) {
    const std::string file = write("a.litmus", lost_write);
    EXPECT_EQ(litmus("--on 6.18 " + file).code, 0);
    const test::Ran old = litmus("--on 5.19 " + file);
    EXPECT_EQ(old.code, 1);
    EXPECT_NE(old.output.find("Forbidden"), std::string::npos) << old.output;
    EXPECT_NE(old.output.find("witness"), std::string::npos) << old.output;
}

TEST_F(LitmusVerb, APromotedVerdictIsTheExpectedOneFromThenOn) {
    const std::string file = write("a.litmus", lost_write);
    EXPECT_EQ(litmus("--promote --on 5.19 " + file).code, 0);
    EXPECT_EQ(litmus("--on 5.19 " + folder_.string()).code, 0);
    write("a.expected", "5.19: Ok\n");
    const test::Ran ran = litmus("--on 5.19 " + folder_.string());
    EXPECT_EQ(ran.code, 1);
    EXPECT_NE(ran.output.find("expected was Ok"), std::string::npos) << ran.output;
}

TEST_F(LitmusVerb, NoticesThatARuleDoesSomethingElseWhereTheVerdictIsTheSame) {
    const std::string file = write("a.litmus", lost_write);
    EXPECT_EQ(litmus("--promote --on 5.19 " + file).code, 0);
    EXPECT_EQ(litmus("--on 5.19 " + file).code, 0);
    write("a.expected", "5.19: Forbidden 00000001\n");
    const test::Ran ran = litmus("--on 5.19 " + file);
    EXPECT_EQ(ran.code, 1);
    EXPECT_NE(ran.output.find("and not 00000001"), std::string::npos) << ran.output;
}

TEST_F(LitmusVerb, EndsAtTheFirstSurpriseIfAskedTo) {
    write("a.litmus", lost_write);
    write("b.litmus", lost_write);
    const std::string all = "--on 5.19 " + folder_.string();
    EXPECT_NE(litmus(all).output.find("b.litmus"), std::string::npos);
    const test::Ran first = litmus("--fail-fast " + all);
    EXPECT_EQ(first.code, 1);
    EXPECT_EQ(first.output.find("b.litmus"), std::string::npos) << first.output;
}

TEST_F(LitmusVerb, PrintsACProgramOrNamesTheStepThatCannotBeOne) {
    const test::Ran ran = litmus("--print c " + write("a.litmus", lost_write));
    EXPECT_EQ(ran.code, 0);
    EXPECT_NE(ran.output.find("cc -o a a.c"), std::string::npos) << ran.output;
    EXPECT_NE(ran.output.find("must step 5: msg"), std::string::npos) << ran.output;
    const test::Ran refused = litmus("--print c " + write("b.litmus", "t\nA\nstore\nchild load\n"));
    EXPECT_EQ(refused.code, 2);
    EXPECT_NE(refused.output.find("b.litmus: step 2, child load"), std::string::npos)
        << refused.output;
    EXPECT_EQ(litmus("--print c " + folder_.string()).code, 2) << "two programs in one";
}

TEST_F(LitmusVerb, WhatIsWrongIsRefusedBeforeAnythingRuns) {
    const std::string file = write("a.litmus", "t\nA\nshop\n");
    const test::Ran ran = litmus(file);
    EXPECT_EQ(ran.code, 2);
    EXPECT_NE(ran.output.find("a.litmus:3:1: 'shop'"), std::string::npos) << ran.output;
    EXPECT_EQ(litmus("/nowhere.litmus").code, 2);
    EXPECT_EQ(litmus("--on 9.9 " + write("b.litmus", lost_write)).code, 2);
}

}  // namespace
}  // namespace verso
