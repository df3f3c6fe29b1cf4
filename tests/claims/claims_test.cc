// Every row of docs/mm.md is run here, on the model and, where it can be, on the running kernel;
// then the file is compared with what the rows came to.
#include <cstdlib>
#include <set>

#include <gtest/gtest.h>

#include "claims/document.h"
#include "claims/running_kernel.h"

namespace verso::claims {
namespace {

/// "…" in what a row says stands for anything but nothing, e.g. a number of states.
bool describes(std::string_view pattern, std::string_view seen) {
    const std::size_t gap = pattern.find("…");
    if (gap == std::string_view::npos) {
        return pattern == seen;
    }
    if (!seen.starts_with(pattern.substr(0, gap))) {
        return false;
    }
    pattern.remove_prefix(gap + std::string_view("…").size());
    for (std::size_t at = gap + 1; at <= seen.size(); ++at) {
        if (describes(pattern, seen.substr(at))) {
            return true;
        }
    }
    return false;
}

/// Run once, whichever test comes first.
const Results& on_the_model() {
    static const Results results = [] {
        Results all;
        for (const Table& table : every_table()) {
            for (std::size_t i = 0; i < table.rows.size(); ++i) {
                if (table.rows[i].show) {
                    all.model[key(table, i)] = table.rows[i].show();
                }
            }
        }
        return all;
    }();
    return results;
}

TEST(Claims, HoldOnTheModelWithTheirRuleOnAndOff) {
    for (const Table& table : every_table()) {
        for (std::size_t i = 0; i < table.rows.size(); ++i) {
            const Row& row = table.rows[i];
            if (!row.show) {
                EXPECT_FALSE(row.why_not_shown.empty()) << row.id;
                continue;
            }
            const Verdicts& seen = on_the_model().model.at(key(table, i));
            EXPECT_TRUE(describes(row.on, seen.on))
                << row.id << ", on: said " << row.on << ", was " << seen.on << "\n"
                << row.program;
            EXPECT_TRUE(describes(row.off, seen.off))
                << row.id << ", off: said " << row.off << ", was " << seen.off << "\n"
                << row.program;
        }
    }
}

TEST(Claims, EveryNumberOfTheDocumentsHasARow) {
    std::set<std::string> ids;
    for (const Table& table : every_table()) {
        for (const Row& row : table.rows) {
            ids.insert(row.id);
        }
    }
    const auto all = [&](const char* prefix, int last, const char* format) {
        for (int i = 1; i <= last; ++i) {
            const std::string id = prefix + fmt::format(fmt::runtime(format), i);
            EXPECT_TRUE(ids.contains(id)) << id;
        }
    };
    all("S0-", 12, "{:02}");
    all("S1-", 13, "{:02}");
    all("S2-", 26, "{:02}");
    all("S3-", 19, "{:02}");
    all("S4-", 11, "{:02}");
    all("FX-", 15, "{}");
    EXPECT_TRUE(ids.contains("FX-1b"));
    constexpr std::size_t ways_and_kinds = 4 * 5;  // section 14.1: four programs, five kinds
    EXPECT_EQ(designs().rows.size(), ways_and_kinds);
    for (const mm::Switch& one : mm::switches()) {
        EXPECT_TRUE(ids.contains(std::string(one.name))) << one.name;
    }
    for (const char* const more : {"wp_site_removal", "migration_restore", "none_policy"}) {
        EXPECT_TRUE(ids.contains(more)) << more;
    }
}

TEST(Claims, HoldOnTheRunningKernelAndInTheDocument) {
    Results results = on_the_model();
    const std::string committed = read_document();
    const std::map<std::string, std::string> column = kernel_column(committed);
    const std::string why_not = why_not_here();
    unsigned ran = 0;
    unsigned taken = 0;
    const std::vector<Table> tables = every_table();
    const Result<std::shared_ptr<host::Machine>> machine =
        why_not.empty() ? pool_of_huge_pages() : std::shared_ptr<host::Machine>();
    for (const Table& table : tables) {
        for (std::size_t i = 0; i < table.rows.size(); ++i) {
            const Row& row = table.rows[i];
            if (row.kernel.empty()) {
                continue;
            }
            const std::string where = key(table, i);
            const std::string seen = why_not.empty()
                                         ? verdict_on_the_running_kernel(row.program, row.kernel)
                                         : "not run: " + why_not;
            if (!seen.starts_with("not run: ")) {
                ++ran;
                results.kernel[where] = seen;
                EXPECT_EQ(seen, row.kernel) << row.id << "\n" << row.program;
                continue;
            }
            ++taken;
            std::printf("%s not run on this kernel: %s\n", row.id.c_str(), seen.c_str() + 9);
            const auto before = column.find(where);
            if (before != column.end()) {
                results.kernel[where] = before->second;
            }
        }
    }
    std::printf("running kernel: %u rows run, %u taken from docs/mm.md\n", ran, taken);
    const std::string wanted = document(tables, results);
    if (std::getenv("VERSO_UPDATE_DOCS") != nullptr) {
        write_document(wanted);
    }
    EXPECT_TRUE(read_document() == wanted)
        << "docs/mm.md is not what the rows come to; VERSO_UPDATE_DOCS=1 " VERSO_BINARY_DIR
           "/test_claims rewrites it";
}

}  // namespace
}  // namespace verso::claims
