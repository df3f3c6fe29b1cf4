// What `verso` answers when it is asked about itself.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include "support/shell.h"

namespace verso {
namespace {

test::Ran run_verso(const std::string& arguments) {
    return test::run(fmt::format("'{}/verso' {} 2>&1", VERSO_BINARY_DIR, arguments));
}

TEST(Help, NamesEveryVerb) {
    const test::Ran ran = run_verso("--help");
    EXPECT_EQ(ran.code, 0);
    for (const char* verb : {"demo", "bench", "conform", "doctor", "explain", "explore", "litmus",
                             "swarm", "replay", "torture", "version"}) {
        EXPECT_NE(ran.output.find(verb), std::string::npos) << verb;
    }
}

TEST(Help, HidesTheVerbsThatAreNotForPeople) {
    EXPECT_EQ(run_verso("--help").output.find("-child"), std::string::npos);
}

TEST(Help, OfAVerbNamesItsOptionsAndSucceeds) {
    const test::Ran demo = run_verso("demo --help");
    EXPECT_EQ(demo.code, 0);
    for (const char* option : {"--db", "--json", "--size-mib", "--snapshots", "--interval-ms",
                               "--children", "--quiet"}) {
        EXPECT_NE(demo.output.find(option), std::string::npos) << option;
    }
    const test::Ran bench = run_verso("bench engine --help");
    EXPECT_EQ(bench.code, 0);
    for (const char* option : {"--json", "--sizes-mib", "--repeats", "--only"}) {
        EXPECT_NE(bench.output.find(option), std::string::npos) << option;
    }
}

TEST(Version, IsTheProjectsVersion) {
    EXPECT_EQ(run_verso("version").output, "verso " VERSO_VERSION "\n");
    EXPECT_EQ(run_verso("--version").output, "verso " VERSO_VERSION "\n");
}

TEST(Output, ThatCannotBeWrittenIsNotASuccess) {
    EXPECT_NE(run_verso("version >/dev/full").code, 0);
    EXPECT_NE(run_verso("doctor >/dev/full").code, 0);
}

TEST(DemoScript, ExplainsItselfWithoutInstallingOrBuildingAnything) {
    const test::Ran ran = test::run(fmt::format("'{}/scripts/demo' --help 2>&1", VERSO_SOURCE_DIR));
    EXPECT_EQ(ran.code, 0);
    EXPECT_NE(ran.output.find("fork(2)"), std::string::npos);
    EXPECT_NE(ran.output.find("--db FILE"), std::string::npos);
}

}  // namespace
}  // namespace verso
