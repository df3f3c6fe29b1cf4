// verso torture as a program: what it prints, what its JSON holds, what its exit codes say, and
// that Ctrl-C ends it with a report. What a run itself does: tests/torture.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include "support/needs.h"
#include "support/shell.h"

namespace verso {
namespace {

constexpr const char* small_run = "torture --instances 2 --size 4M --minutes 0.05 --seed 7";

TEST(TortureVerb, ReportsAndWritesFiguresAndExitsWithZeroIfAllHeld) {
    VERSO_NEEDS_USERFAULTFD();
    const test::TemporaryFolder folder;
    const test::Ran ran =
        test::run(fmt::format("'{}/verso' {} --json '{}/figures.json' 2>&1; code=$?; "
                              "cat '{}/figures.json'; exit $code",
                              VERSO_BINARY_DIR, small_run, folder.path(), folder.path()));
    EXPECT_EQ(ran.code, 0) << ran.output;
    for (const char* text :
         {"seed 7: 2 instances of 4 MiB", "bytes verified, 0 mismatches", "during snapshots",
          "compaction", "migration", "page-out", "memory pressure", "KSM", "NUMA hinting",
          "huge pages", "\"mismatches\": 0", "\"stores_during_snapshots\"", "\"triggers\"",
          "\"command\": \"verso torture --instances 2 --size 4M --minutes 0.05 --seed 7\""}) {
        EXPECT_NE(ran.output.find(text), std::string::npos) << text << " in\n" << ran.output;
    }
}

TEST(TortureVerb, EndsWithAReportWhenItIsInterrupted) {
    VERSO_NEEDS_USERFAULTFD();
    const test::Ran ran = test::run(fmt::format(
        "timeout --signal=INT --kill-after=60 3 '{}/verso' torture --instances 2 --size 4M "
        "--minutes 60 2>&1",
        VERSO_BINARY_DIR));
    EXPECT_EQ(ran.code, 124) << ran.output;  // of timeout(1): it had to ask
    EXPECT_NE(ran.output.find("interrupted, nothing wrong so far"), std::string::npos)
        << ran.output;
}

}  // namespace
}  // namespace verso
