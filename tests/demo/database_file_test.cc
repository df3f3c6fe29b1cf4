// --db FILE: what is refused, with which sentence, and that the file is never touched.
#include <fstream>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <sqlite3.h>

#include "cli/demo/database_file.h"
#include "memory_span.h"
#include "support/shell.h"

namespace verso::cli {
namespace {

using testing::HasSubstr;

class DatabaseFiles : public testing::Test {
protected:
    std::string path(const char* name) const { return folder_.path() + "/" + name; }
    std::string write(const char* name, const std::string& text) const {
        std::ofstream(path(name), std::ios::binary) << text;
        return path(name);
    }
    static std::string content(const std::string& file) {
        std::ifstream in(file, std::ios::binary);
        return {std::istreambuf_iterator<char>(in), {}};
    }
    std::string database(const char* name, const char* mode) const {
        sqlite3* handle = nullptr;
        EXPECT_EQ(sqlite3_open(path(name).c_str(), &handle), SQLITE_OK);
        const std::string sql = fmt::format(
            "PRAGMA journal_mode={}; CREATE TABLE mine(x, y);"
            "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < 5000)"
            "INSERT INTO mine SELECT i, 'text ' || i FROM n; CREATE INDEX on_y ON mine(y)",
            mode);
        EXPECT_EQ(sqlite3_exec(handle, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK);
        sqlite3_close(handle);
        return path(name);
    }
    static std::string refusal(const std::string& file) {
        const auto looked = look_at_database(file);
        return looked ? "" : looked.error().message;
    }

private:
    test::TemporaryFolder folder_;
};

TEST_F(DatabaseFiles, GarbageIsRefused) {
    EXPECT_THAT(refusal(write("g", std::string(5000, 'x'))), HasSubstr("not a SQLite database"));
    EXPECT_THAT(refusal(write("e", "")), HasSubstr("not a SQLite database"));
}

TEST_F(DatabaseFiles, WhatIsNotAFileIsRefused) {
    EXPECT_THAT(refusal(path("missing")), HasSubstr("No such file"));
    EXPECT_THAT(refusal(path(".")), HasSubstr("not a regular file"));
    EXPECT_THAT(refusal("/dev/zero"), HasSubstr("not a regular file"));
}

TEST_F(DatabaseFiles, ATruncatedDatabaseIsRefused) {
    const std::string whole = content(database("whole", "DELETE"));
    EXPECT_THAT(refusal(write("cut", whole.substr(0, whole.size() - 100))),
                HasSubstr("cannot be whole"));
}

TEST_F(DatabaseFiles, AJournalBesideItIsRefusedWithACure) {
    const std::string file = database("j", "DELETE");
    write("j-journal", "something");
    EXPECT_THAT(refusal(file), HasSubstr("-journal says that a transaction is under way"));
}

TEST_F(DatabaseFiles, AWriteAheadLogBesideItIsRefusedWithACure) {
    const std::string file = database("w", "DELETE");
    write("w-wal", "something");
    EXPECT_THAT(refusal(file), HasSubstr("PRAGMA journal_mode=DELETE"));
}

TEST_F(DatabaseFiles, AWholeDatabaseIsLoadedAndTheBankJoinsIt) {
    const std::string file = database("mine", "DELETE");
    const std::string before = content(file);
    MemorySpan memory;
    const SpanFiles files = memory.format();
    expect_done(load_database(look_at_database(file).value(), files));
    expect_done(build_bank(files, {.database_mib = 0, .accounts = 2000}));
    const RegionVfs vfs(files);
    auto connection = Connection::open(vfs);
    ASSERT_TRUE(connection.has_value());
    EXPECT_EQ(connection->number("SELECT count(*) FROM mine").value_or(0), 5000);
    EXPECT_TRUE(check_bank(*connection).value_or(BankState{}).holds);
    EXPECT_EQ(content(file), before);
}

TEST_F(DatabaseFiles, AWriteAheadDatabaseThatIsClosedIsLoadedAsAnOrdinaryOne) {
    const std::string file = database("wal", "WAL");
    const auto looked = look_at_database(file);
    ASSERT_TRUE(looked.has_value()) << looked.error().message;
    EXPECT_TRUE(looked->write_ahead);
    MemorySpan memory;
    const SpanFiles files = memory.format();
    expect_done(load_database(*looked, files));
    expect_done(build_bank(files, {.database_mib = 0, .accounts = 2000}));
}

TEST_F(DatabaseFiles, ADamagedDatabaseIsRefusedWhenItIsLoaded) {
    std::string whole = content(database("sound", "DELETE"));
    for (std::size_t at = 5000; at < 60'000; ++at) {
        whole[at] = 'x';
    }
    const auto looked = look_at_database(write("damaged", whole));
    ASSERT_TRUE(looked.has_value());
    MemorySpan memory;
    const auto loaded = load_database(*looked, memory.format());
    ASSERT_FALSE(loaded.has_value());
    EXPECT_THAT(loaded.error().message, HasSubstr("damaged"));
}

TEST_F(DatabaseFiles, ADatabaseTooLargeForItsRegionIsRefused) {
    const auto looked = look_at_database(database("large", "DELETE"));
    ASSERT_TRUE(looked.has_value());
    MemorySpan memory(8);
    DatabaseFile larger = *looked;
    larger.bytes = u64{64} << 20;
    EXPECT_FALSE(load_database(larger, memory.format()).has_value());
}

TEST(EnoughMemory, MoreThanTheMachineHasIsRefused) {
    const auto enough = enough_memory(u64{1} << 45);
    ASSERT_FALSE(enough.has_value());
    EXPECT_THAT(enough.error().message, HasSubstr("use a smaller database"));
}

}  // namespace
}  // namespace verso::cli
