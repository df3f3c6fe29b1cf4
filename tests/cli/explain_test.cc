// `verso explain` as a person runs it.
#include <algorithm>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "support/shell.h"

namespace verso {
namespace {

const char* const lost_write =
    "a write after a migration is reported\nSS\nstore\nREGISTER(WP)\nWRITEPROTECT\nmigrate\n"
    "store\nmust step 5: msg\n";

class ExplainVerb : public ::testing::Test {
protected:
    std::string write(const char* name, const char* text) const {
        std::ofstream(folder_.path() + "/" + name) << text;
        return folder_.path() + "/" + name;
    }
    std::string read(const char* name) const {
        std::ostringstream text;
        text << std::ifstream(folder_.path() + "/" + name).rdbuf();
        return text.str();
    }
    static test::Ran explain(const std::string& arguments) {
        return test::run(std::string("'") + VERSO_BINARY_DIR + "/verso' explain " + arguments +
                         " 2>&1");
    }

    test::TemporaryFolder folder_;
};

TEST_F(ExplainVerb, ShowsTheLostWriteOfAnOldKernelInTheTerminal) {
    const test::Ran ran = explain("--on 5.19 " + write("a.litmus", lost_write));
    EXPECT_EQ(ran.code, 0);
    EXPECT_NE(ran.output.find("! lost write (I9)"), std::string::npos) << ran.output;
}

TEST_F(ExplainVerb, TakesTheNewestPresetWithoutBeingTold) {
    const test::Ran ran = explain(write("a.litmus", lost_write));
    EXPECT_EQ(ran.code, 0);
    EXPECT_NE(ran.output.find("on the model of Linux 6.18"), std::string::npos) << ran.output;
    EXPECT_NE(ran.output.find("No promise was broken."), std::string::npos) << ran.output;
}

TEST_F(ExplainVerb, WritesAPageAndSaysNothing) {
    const std::string text = write("a.litmus", lost_write);
    const test::Ran ran = explain(text + " --html " + folder_.path() + "/a.html");
    EXPECT_EQ(ran.code, 0);
    EXPECT_EQ(ran.output, "");
    EXPECT_TRUE(read("a.html").starts_with("<!DOCTYPE html>"));
    EXPECT_TRUE(read("a.html").ends_with("</html>\n"));
}

TEST_F(ExplainVerb, WhatIsWrongIsRefusedInOneLine) {
    const std::string good = write("a.litmus", lost_write);
    const std::string many = write("many.litmus", "t\nA, 17 pages\nstore\n");
    for (const auto& [arguments, says] : std::initializer_list<std::pair<std::string, const char*>>{
             {"/nowhere.litmus", "there is no file"},
             {write("b.litmus", "t\nA\nshop\n"), "b.litmus:3:1: 'shop'"},
             {good + " --on 9.9", "there is no preset '9.9'; there are: "},
             {good + " --html /nowhere/a.html", "cannot be written"},
             {many, "17 pages; at most 16"},
             {folder_.path(), "there is no file"}}) {
        const test::Ran ran = explain(arguments);
        EXPECT_EQ(ran.code, 2) << arguments;
        EXPECT_NE(ran.output.find(says), std::string::npos) << ran.output;
        EXPECT_EQ(std::ranges::count(ran.output, '\n'), 1) << ran.output;
    }
}

}  // namespace
}  // namespace verso
