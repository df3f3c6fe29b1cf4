// The JSON that a machine reads and the table that a person reads, from the same lines.
#include "cli/bench/harness/report.h"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace verso::cli::bench {
namespace {

using nlohmann::json;
using testing::HasSubstr;

Report sample() {
    Report report;
    report.tool = "a bench";
    report.options = {{"repeats", u64{3}}, {"sizes_mib", std::vector<u64>{8}}};
    report.method = {"said of all"};
    report.before = describe_machine();
    Line line;
    line.row = "fork_ready";
    line.variant = "this process";
    line.size_mib = 8;
    line.unit = "ms";
    line.rival = "fork(2)";
    line.method = "said in a sentence";
    line.target = {Basis::ratio, Bound::at_most, 1.5};
    line.ours_samples = {1, 2, 3};
    line.rival_samples = {4, 4, 4};
    line.ours_tail = tail_of({1, 2, 3});
    line.restores = true;
    line.times = {{1}, {2}, {3}};
    line.more = {{"something else", "ns", {5}}};
    report.lines = {line};
    return report;
}

json parsed(const Report& report) { return json::parse(json_of(report), nullptr, false); }

TEST(Json, HasMachineMethodAndLines) {
    const json root = parsed(sample());
    ASSERT_FALSE(root.is_discarded());
    for (const char* key : {"tool", "format", "machine", "options", "method", "lines"}) {
        EXPECT_TRUE(root.contains(key)) << key;
    }
    EXPECT_FALSE(root["machine"]["kernel"].get<std::string>().empty());
}
TEST(Json, ALineKeepsItsRawSamples) {
    const json line = parsed(sample())["lines"][0];
    EXPECT_EQ(line["ours"]["samples"], json({1.0, 2.0, 3.0}));
    EXPECT_EQ(line["rival"]["median"], 4.0);
    EXPECT_EQ(line["figure"], 0.5);
    EXPECT_EQ(line["verdict"], "met");
    EXPECT_EQ(line["target"]["bound"], "at_most");
    EXPECT_EQ(line["more"]["something else"]["unit"], "ns");
}
TEST(Json, ALineWithATailSaysP50P99AndMax) {
    const json tail = parsed(sample())["lines"][0]["ours_tail"];
    for (const char* key : {"p50_ns", "p99_ns", "max_ns", "count"})
        EXPECT_TRUE(tail.contains(key));
}
TEST(Json, SaysWhyALineWasNotMeasured) {
    Report report = sample();
    report.lines[0].why_not = "no \"userfaultfd\" here";
    const json line = parsed(report)["lines"][0];
    EXPECT_EQ(line["verdict"], "skipped");
    EXPECT_EQ(line["why_not"], "no \"userfaultfd\" here");
}

TEST(H16Json, TheJsonOfAForkHasFirstReadAndLastPage) {
    const json line = parsed(sample())["lines"][0];
    EXPECT_EQ(line["first_read_ns"]["median"], 2.0);
    EXPECT_EQ(line["last_page_ns"]["median"], 3.0);
}

TEST(Table, SaysRivalTargetAndVerdict) {
    const std::string table = table_of(sample());
    EXPECT_THAT(table, HasSubstr("fork(2)"));
    EXPECT_THAT(table, HasSubstr("≤ 1.5"));
    EXPECT_THAT(table, HasSubstr("met"));
    EXPECT_THAT(table, HasSubstr("first read"));
    EXPECT_THAT(table, HasSubstr("last page"));
}
TEST(Table, CountsVerdictsAtTheEnd) {
    EXPECT_THAT(table_of(sample()), HasSubstr("1 met, 0 missed, 0 incomplete"));
}

}  // namespace
}  // namespace verso::cli::bench
