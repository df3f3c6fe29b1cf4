// SQLite on a span: ordinary use, and above all the hot journal, which is what a snapshot is full
// of.
#include <array>

#include "memory_span.h"

namespace verso::cli {
namespace {

constexpr BankPlan small_bank{.database_mib = 0, .accounts = 3000};

TEST(RegionVfs, KeepsADatabaseAcrossConnections) {
    MemorySpan memory;
    const SpanFiles files = memory.format();
    const RegionVfs vfs(files);
    {
        auto connection = Connection::open(vfs);
        ASSERT_TRUE(connection.has_value());
        expect_done(connection->run("CREATE TABLE t(x); INSERT INTO t VALUES(41), (1)"));
    }
    auto connection = Connection::open(vfs);
    ASSERT_TRUE(connection.has_value());
    EXPECT_EQ(connection->number("SELECT sum(x) FROM t").value_or(0), 42);
}

TEST(RegionVfs, ABankThatWasJustBuiltHolds) {
    MemorySpan memory;
    const SpanFiles files = memory.format();
    expect_done(build_bank(files, small_bank));
    const RegionVfs vfs(files);
    auto connection = Connection::open(vfs);
    ASSERT_TRUE(connection.has_value());
    const auto state = check_bank(*connection);
    ASSERT_TRUE(state.has_value());
    EXPECT_TRUE(state->holds) << state->why;
    EXPECT_EQ(integrity(*connection).value_or("?"), "");
}

TEST(RegionVfs, ACommitLeavesNoHotJournal) {
    MemorySpan memory;
    const SpanFiles files = memory.format();
    expect_done(build_bank(files, small_bank));
    const RegionVfs vfs(files);
    auto connection = Connection::open(vfs);
    ASSERT_TRUE(connection.has_value());
    expect_done(connection->run("BEGIN; UPDATE verso_accounts SET balance = 1 WHERE id = 1"));
    EXPECT_TRUE(files.journal_is_hot());
    expect_done(connection->run("COMMIT"));
    EXPECT_FALSE(files.journal_is_hot());
}

/// Copies of the span taken in the middle of a transaction that has already overwritten the
/// database.
struct HalfDone {
    MemorySpan original;
    MemorySpan copy;
};

HalfDone half_done() {
    HalfDone both;
    const SpanFiles files = both.original.format();
    expect_done(build_bank(files, small_bank));
    const RegionVfs vfs(files);
    auto connection = Connection::open(vfs);
    EXPECT_TRUE(connection.has_value());
    expect_done(
        connection->run("PRAGMA cache_size=10; BEGIN;"
                        "UPDATE verso_accounts SET balance = balance + 1"));
    both.copy = both.original;
    expect_done(connection->run("ROLLBACK"));
    return both;
}

TEST(RegionVfs, AHalfDoneTransactionReallyIsInTheCopiedDatabase) {
    HalfDone both = half_done();
    const SpanFiles copy = both.copy.open();
    ASSERT_TRUE(copy.journal_is_hot());
    copy.remove(FileKind::journal);  // without its journal nothing can save it
    const RegionVfs vfs(copy);
    auto connection = Connection::open(vfs);
    ASSERT_TRUE(connection.has_value());
    const auto state = check_bank(*connection);
    EXPECT_TRUE(!state.has_value() || !state->holds);
}

TEST(RegionVfs, ACopyTakenInATransactionIsRolledBackByWhoOpensIt) {
    HalfDone both = half_done();
    const SpanFiles copy = both.copy.open();
    ASSERT_TRUE(copy.journal_is_hot());
    const RegionVfs vfs(copy);
    auto connection = Connection::open(vfs);
    ASSERT_TRUE(connection.has_value());
    const auto state = check_bank(*connection);
    ASSERT_TRUE(state.has_value());
    EXPECT_TRUE(state->holds) << state->why;
    EXPECT_EQ(integrity(*connection).value_or("?"), "");
    EXPECT_FALSE(copy.journal_is_hot());
}

TEST(RegionVfs, ACopyWithACutOffLastJournalRecordIsRolledBack) {
    HalfDone both = half_done();
    const SpanFiles copy = both.copy.open();
    // A record that was being appended when the copy was made: its database page was not yet
    // written.
    const std::array<std::byte, 1000> torn{std::byte{1}};
    ASSERT_TRUE(copy.write(FileKind::journal, copy.size(FileKind::journal), torn));
    const RegionVfs vfs(copy);
    auto connection = Connection::open(vfs);
    ASSERT_TRUE(connection.has_value());
    EXPECT_TRUE(check_bank(*connection).value_or(BankState{}).holds);
}

TEST(RegionVfs, AFullRegionIsSaidToBeFullAndLosesNothing) {
    MemorySpan memory(12);
    const SpanFiles files = memory.format();
    expect_done(build_bank(files, small_bank));
    const RegionVfs vfs(files);
    auto connection = Connection::open(vfs);
    ASSERT_TRUE(connection.has_value());
    const auto grown = connection->run("INSERT INTO verso_log VALUES(1, 1, 1, zeroblob(12000000))");
    ASSERT_FALSE(grown.has_value());
    EXPECT_EQ(grown.error().kind, ErrorKind::resource);
    EXPECT_TRUE(check_bank(*connection).value_or(BankState{}).holds);
}

TEST(RegionVfs, AWriteAheadLogIsNotToBeHad) {
    MemorySpan memory;
    const RegionVfs vfs(memory.format());
    auto connection = Connection::open(vfs);
    ASSERT_TRUE(connection.has_value());
    EXPECT_NE(connection->text("PRAGMA journal_mode=WAL").value_or("wal"), "wal");
}

}  // namespace
}  // namespace verso::cli
