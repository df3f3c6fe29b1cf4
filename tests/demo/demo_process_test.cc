// The verb as a person runs it: small runs from start to end, and what is refused.
#include <fstream>
#include <string>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <sqlite3.h>

#include <nlohmann/json.hpp>

#include "memory_span.h"
#include "support/shell.h"

namespace verso::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

test::Ran demo(const std::string& arguments) {
    return test::run(VERSO_BINARY_DIR "/verso demo " + arguments + " 2>&1");
}

/// Its rival is fork(2) of a process with threads. AddressSanitizer's allocator has no lock around
/// that (g++ 12): a child forked while the writer allocates waits for ever for a thread it has not.
#ifdef __SANITIZE_ADDRESS__
#define SKIP_IF_FORK_IS_UNSAFE() \
    GTEST_SKIP() \
        << "AddressSanitizer's allocator does not survive fork(2) of a process with threads"
#else
#define SKIP_IF_FORK_IS_UNSAFE() static_cast<void>(0)
#endif

/// The demo needs userfaultfd for other processes; where it may not be used, that is what it says.
#define SKIP_IF_UNSUPPORTED(ran) \
    if ((ran).output.find("needs userfaultfd") != std::string::npos) { \
        GTEST_SKIP() << "this process may not use userfaultfd"; \
    }

void make_database(const std::string& file) {
    sqlite3* handle = nullptr;
    ASSERT_EQ(sqlite3_open(file.c_str(), &handle), SQLITE_OK);
    EXPECT_EQ(
        sqlite3_exec(handle, "CREATE TABLE mine(x); INSERT INTO mine VALUES(randomblob(90000))",
                     nullptr, nullptr, nullptr),
        SQLITE_OK);
    sqlite3_close(handle);
}

std::string content(const std::string& file) {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

TEST(Demo, ASmallRunHoldsEveryCheckAndSaysSo) {
    SKIP_IF_FORK_IS_UNSAFE();
    const test::TemporaryFolder folder;
    const std::string json_file = folder.path() + "/demo.json";
    const test::Ran ran = demo("--size-mib 8 --snapshots 8 --interval-ms 20 --json " + json_file);
    SKIP_IF_UNSUPPORTED(ran)
    EXPECT_EQ(ran.code, 0) << ran.output;
    EXPECT_THAT(ran.output, HasSubstr("every check held"));
    EXPECT_THAT(ran.output, Not(HasSubstr("FAILED")));
    const auto json = nlohmann::json::parse(content(json_file), nullptr, false);
    ASSERT_TRUE(json.is_object());
    EXPECT_EQ(json["held"], true);
    EXPECT_EQ(json["verso"]["snapshots"].size(), 8U);
    EXPECT_EQ(json["verso"]["children"].size(), 8U);
    EXPECT_EQ(json["fork"]["children"].size(), 8U);
}

TEST(Demo, AUsersDatabaseIsUsedAndNotTouched) {
    SKIP_IF_FORK_IS_UNSAFE();
    const test::TemporaryFolder folder;
    const std::string file = folder.path() + "/mine.db";
    make_database(file);
    const std::string before = content(file);
    const test::Ran ran = demo("--quiet --snapshots 5 --interval-ms 10 --children 2 --db " + file);
    SKIP_IF_UNSUPPORTED(ran)
    EXPECT_EQ(ran.code, 0) << ran.output;
    EXPECT_EQ(content(file), before);
}

TEST(Demo, OneSnapshotAndOneChildAreEnough) {
    SKIP_IF_FORK_IS_UNSAFE();
    const test::Ran ran = demo("--quiet --size-mib 4 --snapshots 1 --interval-ms 0 --children 1");
    SKIP_IF_UNSUPPORTED(ran)
    EXPECT_EQ(ran.code, 0) << ran.output;
}

/// One line on stderr, exit code 2, nothing left behind.
void expect_refused(const std::string& arguments, const char* because) {
    const test::Ran ran = demo(arguments);
    EXPECT_EQ(ran.code, 2) << ran.output;
    EXPECT_THAT(ran.output, HasSubstr(because));
    EXPECT_EQ(std::count(ran.output.begin(), ran.output.end(), '\n'), 1) << ran.output;
}

TEST(Demo, GarbageForADatabaseIsRefused) {
    const test::TemporaryFolder folder;
    std::ofstream(folder.path() + "/garbage") << std::string(10'000, 'x');
    expect_refused("--db " + folder.path() + "/garbage", "not a SQLite database");
}

TEST(Demo, ADamagedDatabaseIsRefused) {
    const test::TemporaryFolder folder;
    const std::string file = folder.path() + "/damaged.db";
    make_database(file);
    std::fstream(file, std::ios::in | std::ios::out | std::ios::binary).seekp(4096)
        << std::string(4096, 'x');
    const test::Ran ran = demo("--db " + file);
    SKIP_IF_UNSUPPORTED(ran)
    EXPECT_EQ(ran.code, 2) << ran.output;
    EXPECT_THAT(ran.output, HasSubstr("damaged.db"));
}

TEST(Demo, AJsonFileThatCannotBeWrittenIsRefusedBeforeTheRun) {
    expect_refused("--json /nonexistent/folder/demo.json", "cannot be written");
    expect_refused("--json /", "/");
}

TEST(Demo, AChildIsNotForPeople) {
    const test::Ran ran = test::run(VERSO_BINARY_DIR "/verso demo-child 2>&1");
    EXPECT_EQ(ran.code, 2);
    EXPECT_THAT(ran.output, HasSubstr("run that instead"));
}

}  // namespace
}  // namespace verso::cli
