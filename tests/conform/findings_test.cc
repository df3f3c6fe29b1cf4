// docs/findings.md tells of every difference that is known, with the program that the test of
// known.cc runs on the running kernel.
#include <fstream>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

#include "check/conform/known.h"

namespace verso::check {
namespace {

std::string document() {
    std::ifstream file(VERSO_SOURCE_DIR "/docs/findings.md");
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

TEST(Findings, AreToldWithTheirPrograms) {
    const std::string text = document();
    for (const Known& one : known_differences()) {
        const bool broken = one.blame == Blame::promise;
        const std::string title = (broken ? "### " : "| ") + std::string(one.name);
        EXPECT_NE(text.find(title), std::string::npos) << one.name;
        EXPECT_NE(text.find(one.program), std::string::npos) << one.name << ": " << one.program;
    }
}

}  // namespace
}  // namespace verso::check
