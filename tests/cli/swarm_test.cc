// verso swarm and verso replay as programs: what they print, and what their exit codes say.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include "support/shell.h"

namespace verso {
namespace {

test::Ran run_verso(const std::string& arguments) {
    return test::run(fmt::format("'{}/verso' {} 2>&1", VERSO_BINARY_DIR, arguments));
}

std::string after(const std::string& text, const std::string& mark) {
    const std::size_t at = text.rfind(mark);
    return at == std::string::npos
               ? ""
               : text.substr(at + mark.size(), text.find('\n', at) - at - mark.size());
}

TEST(SwarmVerb, SaysWhatItRunsFromWhichSeedAndExitsWithZeroIfAllHeld) {
    const test::Ran ran = run_verso("swarm --seed 1 --seeds 20");
    EXPECT_EQ(ran.code, 0) << ran.output;
    EXPECT_NE(ran.output.find("rules 6.18, seeds from 1"), std::string::npos) << ran.output;
    EXPECT_NE(ran.output.find("20 runs in "), std::string::npos) << ran.output;
}

TEST(SwarmVerb, PrintsACommandThatRepeatsWhatItFound) {
    const test::Ran ran = run_verso("swarm --rules 5.19 --seed 1 --seeds 2000");
    EXPECT_EQ(ran.code, 1) << ran.output;
    EXPECT_NE(ran.output.find("knobs: pages="), std::string::npos) << ran.output;
    EXPECT_NE(ran.output.find("M1:"), std::string::npos) << ran.output;
    const std::string token = after(ran.output, "replay: verso replay ");
    const test::Ran again = run_verso("replay '" + token + "'");
    EXPECT_EQ(again.code, 1) << token;
    EXPECT_NE(again.output.find("WRONG"), std::string::npos) << again.output;
}

TEST(SwarmVerb, WritesJson) {
    const test::Ran ran = run_verso("swarm --seed 1 --seeds 5 --json");
    EXPECT_EQ(ran.code, 0);
    EXPECT_NE(ran.output.find("\"first_seed\": 1"), std::string::npos) << ran.output;
    EXPECT_NE(ran.output.find("\"runs\": 5"), std::string::npos) << ran.output;
}

TEST(SwarmVerb, RefusesRulesThatNobodyHas) {
    const test::Ran ran = run_verso("swarm --rules 2.4");
    EXPECT_EQ(ran.code, 2);
    EXPECT_NE(ran.output.find("verso: "), std::string::npos);
    EXPECT_EQ(run_verso("swarm --seeds 0").code, 2);
}

TEST(ReplayVerb, ShowsTheEnginesCallsIfAsked) {
    EXPECT_EQ(run_verso("replay v1/6.18/1").output.find("uffd_open"), std::string::npos);
    EXPECT_NE(run_verso("replay v1/6.18/1 --calls").output.find("uffd_open"), std::string::npos);
}

TEST(ReplayVerb, EndsInTheSameStateEachTime) {
    const std::string ending = after(run_verso("replay v1/6.18/2").output, "it ends in state ");
    EXPECT_FALSE(ending.empty());
    EXPECT_EQ(after(run_verso("replay v1/6.18/2").output, "it ends in state "), ending);
}

TEST(ReplayVerb, RefusesWhatIsNoToken) {
    const test::Ran ran = run_verso("replay nonsense");
    EXPECT_EQ(ran.code, 2);
    EXPECT_NE(ran.output.find("is no token"), std::string::npos) << ran.output;
}

}  // namespace
}  // namespace verso
