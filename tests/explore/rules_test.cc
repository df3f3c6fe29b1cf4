// docs/explore.md: every switchable rule, found by search; and that the file says what was found.
#include <algorithm>
#include <cstdlib>
#include <fstream>
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

/// All searches, made once.
const std::vector<Report>& reports() {
    static const std::vector<Report> all = [] {
        std::vector<Report> made;
        for (const std::vector<Row>& rows :
             {rows_of_rules(), rows_of_differences(), rows_of_kept_promises(), rows_of_rights(),
              rows_of_618()}) {
            for (const Row& row : rows) {
                made.push_back(run(row));
            }
        }
        return made;
    }();
    return all;
}

TEST(ExploreRules, EachRuleThatIsOffShowsInAProgramThatTheSearchFinds) {
    const std::vector<Row> rows = rows_of_rules();
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const Report& report = reports().at(i);
        ASSERT_EQ(report.found.size(), 1U) << rows[i].about;
        EXPECT_FALSE(report.found.front().litmus.empty()) << rows[i].about;
    }
}

std::size_t first_of_kept_promises() {
    return rows_of_rules().size() + rows_of_differences().size();
}

TEST(ExploreRules, EachPromiseThat618BreaksIsFoundByTheSearchOrDiffersFromMended) {
    const std::vector<Row> rows = rows_of_kept_promises();
    const std::vector<Row> others = rows_of_rights();
    for (std::size_t i = 0; i < rows.size() + others.size(); ++i) {
        const Row& row = i < rows.size() ? rows[i] : others[i - rows.size()];
        const bool out_of_reach = row.about == "-locked_marker_fault_ends";
        EXPECT_EQ(reports().at(first_of_kept_promises() + i).found.empty(), out_of_reach)
            << row.about;
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

TEST(ExploreRules, RulesThatAreSaidToBreakNothingBreakNothing) {
    std::vector<Row> rows = rows_of_differences();
    std::ranges::copy(rows_of_rights(), std::back_inserter(rows));
    for (const Row& row : rows) {
        Row plain = row;
        plain.rules = row.rules.substr(0, row.rules.find(':'));
        const Report report = run(plain);
        EXPECT_TRUE(report.found.empty()) << row.about << ": " << report.found.front().sentence
                                          << " by " << report.found.front().litmus;
    }
}

TEST(ExploreRules, TheDocumentSaysWhatTheSearchesFound) {
    const std::string text = document(reports());
    if (std::getenv("VERSO_UPDATE_DOCS") != nullptr) {
        std::ofstream(path) << text;
    }
    EXPECT_TRUE(without_times(text) == without_times(read_document()))
        << "docs/explore.md is not what the searches come to; VERSO_UPDATE_DOCS=1 " VERSO_BINARY_DIR
           "/test_explore rewrites it";
}

}  // namespace
}  // namespace verso::check::explore
