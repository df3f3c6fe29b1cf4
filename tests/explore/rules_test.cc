// docs/explore.md: every switchable rule, found by search; and that the file says what was found.
#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>

#include <gtest/gtest.h>

#include "explore/rules_table.h"

namespace verso::check::explore {
namespace {

const char* const path = VERSO_SOURCE_DIR "/docs/explore.md";

std::string read_document() {
    std::ifstream file(path);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

TEST(ExploreRules, EachRuleThatIsOffShowsInAProgramThatTheSearchFinds) {
    for (const Row& row : rows_of_rules()) {
        const Report report = run(row);
        ASSERT_EQ(report.found.size(), 1U) << row.about;
        EXPECT_FALSE(report.found.front().litmus.empty()) << row.about;
    }
}

TEST(ExploreRules, EachPromiseThat618BreaksIsFoundByTheSearchOrDiffersFromMended) {
    std::vector<Row> rows = rows_of_kept_promises();
    std::ranges::copy(rows_of_rights(), std::back_inserter(rows));
    for (const Row& row : rows) {
        const bool out_of_reach = row.about == "-locked_marker_fault_ends";
        EXPECT_EQ(run(row).found.empty(), out_of_reach) << row.about;
    }
}

TEST(ExploreRules, EveryViolationOf618IsOneThatARuleExplains) {
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) {
        EXPECT_EQ(line.find("**broken:** ?"), std::string::npos) << line;
    }
}

TEST(ExploreRules, MendedBreaksNothingInTheScopesIn618) {
    for (Row row : rows_of_618()) {
        row.rules = "mended";
        for (const Counterexample& one : run(row).found) {
            EXPECT_TRUE(one.exception) << one.sentence << " by " << one.litmus;
        }
    }
}

TEST(ExploreRules, EverySwitchIsInTheDocument) {
    std::string names;
    for (const std::vector<Row>& rows :
         {rows_of_rules(), rows_of_differences(), rows_of_kept_promises(), rows_of_rights()}) {
        for (const Row& row : rows) {
            names += row.about + " ";
        }
    }
    for (const mm::Switch& one : mm::switches()) {
        EXPECT_NE(names.find(one.name), std::string::npos) << one.name;
    }
}

/// Each searches its scope to the end, a second or two: two processors share them.
class RulesThatAreSaidToBreakNothing : public testing::TestWithParam<Row> {};

TEST_P(RulesThatAreSaidToBreakNothing, BreakNothing) {
    Row plain = GetParam();
    plain.rules = plain.rules.substr(0, plain.rules.find(':'));
    const Report report = run(plain);
    EXPECT_TRUE(report.found.empty()) << plain.about << ": " << report.found.front().sentence
                                      << " by " << report.found.front().litmus;
}

std::vector<Row> rows_that_break_nothing() {
    std::vector<Row> rows = rows_of_differences();
    std::ranges::copy(rows_of_rights(), std::back_inserter(rows));
    return rows;
}

std::string name_of(const testing::TestParamInfo<Row>& row) {
    return (row.param.about.front() == '-' ? "without_" : "with_") + row.param.about.substr(1);
}

INSTANTIATE_TEST_SUITE_P(Each, RulesThatAreSaidToBreakNothing,
                         testing::ValuesIn(rows_that_break_nothing()), name_of);

TEST(ExploreRules, TheDocumentSaysWhatTheSearchesFound) {
    std::vector<Report> reports;
    for (const std::vector<Row>& rows :
         {rows_of_rules(), rows_of_differences(), rows_of_kept_promises(), rows_of_rights(),
          rows_of_618()}) {
        std::ranges::transform(rows, std::back_inserter(reports), run);
    }
    const std::string text = document(reports);
    if (std::getenv("VERSO_UPDATE_DOCS") != nullptr) {
        std::ofstream(path) << text;
    }
    EXPECT_TRUE(without_times(text) == without_times(read_document()))
        << "docs/explore.md is not what the searches come to; VERSO_UPDATE_DOCS=1 " VERSO_BINARY_DIR
           "/test_explore rewrites it";
}

}  // namespace
}  // namespace verso::check::explore
