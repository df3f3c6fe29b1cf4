// The verb as a whole: what it refuses, and one small run of every row.
#include "cli/bench/bench_engine.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "cli/bench/rows/rows.h"
#include "support/needs.h"

namespace verso::cli::bench {
namespace {

using nlohmann::json;
using testing::HasSubstr;

/// Runs the verb with what it prints caught.
struct Ran {
    int code = 0;
    std::string out;
    std::string errors;
};
Ran run(const BenchOptions& options) {
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    Ran ran;
    ran.code = bench_engine(options);
    ran.out = testing::internal::GetCapturedStdout();
    ran.errors = testing::internal::GetCapturedStderr();
    return ran;
}

BenchOptions small_options() {
    BenchOptions options;
    options.sizes_mib = {8};
    options.repeats = 1;
    options.second_ms = 30;
    return options;
}

class ScratchFile {
public:
    ScratchFile() {
        std::string pattern = std::filesystem::temp_directory_path() / "verso-bench-XXXXXX";
        folder_ = mkdtemp(pattern.data());
    }
    ~ScratchFile() { std::filesystem::remove_all(folder_); }
    std::string path() const { return folder_ / "out.json"; }

private:
    std::filesystem::path folder_;
};

void expect_refused(const BenchOptions& options, const char* flag) {
    const Ran ran = run(options);
    EXPECT_EQ(ran.code, 2);
    EXPECT_THAT(ran.errors, HasSubstr(flag));
    EXPECT_EQ(std::count(ran.errors.begin(), ran.errors.end(), '\n'), 1) << ran.errors;
    EXPECT_EQ(ran.out, "");
}

TEST(BenchRefuses, NoSizes) {
    BenchOptions options = small_options();
    options.sizes_mib = {};
    expect_refused(options, "--sizes-mib");
}
TEST(BenchRefuses, ASizeOfNothing) {
    BenchOptions options = small_options();
    options.sizes_mib = {8, 0};
    expect_refused(options, "--sizes-mib");
}
TEST(BenchRefuses, MoreMemoryThanThereIs) {
    BenchOptions options = small_options();
    for (const u64 size : {u64{1} << 30, ~u64{0}}) {
        options.sizes_mib = {size};
        expect_refused(options, "--sizes-mib");
    }
}
TEST(BenchRefuses, NoRepeats) {
    BenchOptions options = small_options();
    options.repeats = 0;
    expect_refused(options, "--repeats");
}
TEST(BenchRefuses, ARowThatIsNotThereAndNamesThoseThatAre) {
    BenchOptions options = small_options();
    options.only = "warp_speed";
    expect_refused(options, "arm_first");
}
TEST(BenchRefuses, AJsonFileInAFolderThatIsNotThere) {
    BenchOptions options = small_options();
    options.json = "/nowhere/at/all.json";
    expect_refused(options, "--json");
}
TEST(BenchRefuses, WithoutTouchingAnExistingFile) {
    const ScratchFile scratch;
    std::ofstream(scratch.path()) << "precious";
    BenchOptions options = small_options();
    options.json = scratch.path();
    options.only = "warp_speed";
    expect_refused(options, "--only");
    std::string kept;
    std::ifstream(scratch.path()) >> kept;
    EXPECT_EQ(kept, "precious");
}

TEST(BenchRows, HaveDistinctNames) {
    const std::vector<std::string_view> names = bench_row_names();
    EXPECT_EQ(std::set<std::string_view>(names.begin(), names.end()).size(), names.size());
    EXPECT_EQ(names.size(), 10U);
}

/// One row at 8 MiB: it runs, its lines are whole, and the JSON says the same as the table.
class SmallRun : public testing::TestWithParam<std::string_view> {};

TEST_P(SmallRun, MeasuresBothSidesOfEveryLine) {
    const ScratchFile scratch;
    BenchOptions options = small_options();
    options.only = GetParam();
    options.json = scratch.path();
    const Ran ran = run(options);
    ASSERT_EQ(ran.code, 0) << ran.out << ran.errors;
    std::ifstream file(scratch.path());
    const json root = json::parse(file, nullptr, false);
    ASSERT_FALSE(root.is_discarded());
    ASSERT_FALSE(root["lines"].empty());
    for (const json& line : root["lines"]) {
        if (line["verdict"] == "skipped")  // ErrorKind::unsupported only; others are "failed"
            GTEST_SKIP() << line["why_not"].get<std::string>();
        EXPECT_EQ(line["row"], GetParam());
        EXPECT_FALSE(line["ours"]["samples"].empty());
        EXPECT_FALSE(line["rival"]["samples"].empty());
        EXPECT_FALSE(line["method"].get<std::string>().empty());
        EXPECT_NE(line["verdict"], "incomplete");
    }
}

INSTANTIATE_TEST_SUITE_P(Rows, SmallRun, testing::ValuesIn(bench_row_names()),
                         [](const auto& given) { return std::string(given.param); });

// H16: every row that forks or restores says when the first byte was read and when the last page
// was there, besides when the call returned; and the last page cannot be earlier than the first
// read.
class H16 : public testing::TestWithParam<Row> {};

TEST_P(H16, ARowThatForksOrRestoresSaysFirstReadAndLastPage) {
    Result<Lines> lines = GetParam().run(small_options());
    VERSO_ASSERT_OK_OR_UNSUPPORTED(lines);
    ASSERT_FALSE(lines->empty());
    for (const Line& line : *lines) {
        EXPECT_TRUE(line.restores);
        EXPECT_FALSE(line.times.call_ns.empty());
        ASSERT_FALSE(line.times.first_read_ns.empty());
        ASSERT_EQ(line.times.first_read_ns.size(), line.times.last_page_ns.size());
        for (std::size_t i = 0; i < line.times.first_read_ns.size(); ++i) {
            EXPECT_LE(line.times.first_read_ns[i], line.times.last_page_ns[i]);
        }
    }
}

std::vector<Row> rows_that_restore() {
    std::vector<Row> rows(all_rows().begin(), all_rows().end());
    std::erase_if(rows, [](const Row& row) { return !row.restores; });
    return rows;
}
INSTANTIATE_TEST_SUITE_P(Rows, H16, testing::ValuesIn(rows_that_restore()),
                         [](const auto& given) { return std::string(given.param.name); });

TEST(BenchRows, ThoseThatForkOrRestoreSaySo) {
    for (const Row& row : all_rows()) {
        const bool expected =
            row.name == "fork_ready" || row.name == "child_scan" || row.name == "rewind";
        EXPECT_EQ(row.restores, expected) << row.name;
    }
}

}  // namespace
}  // namespace verso::cli::bench
