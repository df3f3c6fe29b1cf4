// Builds the bank and checks it. Building uses no journal and one transaction: nobody looks
// meanwhile.
#include "cli/demo/bank.h"

#include <vector>

#include <fmt/format.h>

#include "base/result.h"
#include "cli/demo/random.h"

namespace verso::cli {
namespace {

constexpr const char* schema = R"(
    DROP TABLE IF EXISTS verso_accounts;
    DROP TABLE IF EXISTS verso_blobs;
    DROP TABLE IF EXISTS verso_log;
    DROP TABLE IF EXISTS verso_meta;
    DROP TABLE IF EXISTS verso_children;
    CREATE TABLE verso_accounts(id INTEGER PRIMARY KEY, owner TEXT NOT NULL,
                                balance INTEGER NOT NULL);
    CREATE TABLE verso_blobs(id INTEGER PRIMARY KEY, data BLOB NOT NULL);
    CREATE TABLE verso_log(id INTEGER PRIMARY KEY, source INTEGER, target INTEGER, amount INTEGER);
    CREATE TABLE verso_meta(sequence INTEGER, accounts INTEGER, total INTEGER, log_rows INTEGER,
                            blobs INTEGER);
    CREATE TABLE verso_children(id INTEGER PRIMARY KEY, said TEXT);
)";

Result<void> add_accounts(Connection& connection, u64 accounts) {
    auto insert = connection.prepare("INSERT INTO verso_accounts VALUES(?1, ?2, ?3)");
    if (!insert) {
        return pass(insert);
    }
    for (u64 id = 1; id <= accounts; ++id) {
        insert->bind(1, static_cast<i64>(id)).bind(2, fmt::format("account holder {:08}", id));
        if (auto done = insert->bind(3, i64{balance_at_start}).run(); !done) {
            return done;
        }
    }
    return connection.run("CREATE INDEX verso_balances ON verso_accounts(balance)");
}

Result<u64> add_blobs(Connection& connection, const SpanFiles& files, u64 bytes) {
    auto insert = connection.prepare("INSERT INTO verso_blobs VALUES(?1, ?2)");
    if (!insert) {
        return pass(insert);
    }
    Random random(42);
    std::vector<std::byte> data(blob_bytes);
    // SQLite's cache hides the last pages from the file's length, so count what was inserted as
    // well.
    const u64 before = files.size(FileKind::database);
    u64 blobs = 0;
    for (u64 added = 0; blobs < small_blobs || before + added < bytes;) {
        const u64 size = blobs < small_blobs ? small_blob_bytes : blob_bytes;
        random.fill({data.data(), size});
        insert->bind(1, static_cast<i64>(++blobs)).bind_blob(2, {data.data(), size});
        if (auto done = insert->run(); !done) {
            return pass(done);
        }
        added += size + size / 64;
    }
    return blobs;
}

}  // namespace

Result<void> build_bank(const SpanFiles& files, const BankPlan& plan) {
    const RegionVfs vfs(files);
    auto connection = Connection::open(vfs);
    if (!connection) {
        return pass(connection);
    }
    if (auto begun = connection->run("PRAGMA journal_mode=OFF; BEGIN"); !begun) {
        return begun;
    }
    if (auto made = connection->run(schema); !made) {
        return made;
    }
    if (auto added = add_accounts(*connection, plan.accounts); !added) {
        return added;
    }
    const auto blobs = add_blobs(*connection, files, plan.database_mib << 20);
    if (!blobs) {
        return tl::unexpected<Error>(blobs.error());
    }
    auto meta = connection->prepare("INSERT INTO verso_meta VALUES(0, ?1, ?2, 0, ?3)");
    if (!meta) {
        return pass(meta);
    }
    const u64 total = plan.accounts * balance_at_start;
    meta->bind(1, static_cast<i64>(plan.accounts)).bind(2, static_cast<i64>(total));
    if (auto done = meta->bind(3, static_cast<i64>(*blobs)).run(); !done) {
        return done;
    }
    return connection->run("COMMIT; PRAGMA journal_mode=TRUNCATE");
}

Result<BankState> check_bank(Connection& connection) {
    struct Claim {
        const char* what;
        const char* sql;
    };
    static constexpr Claim claims[] = {
        {"the sum of balances",
         "SELECT (SELECT total(balance) FROM verso_accounts) = (SELECT total FROM verso_meta)"},
        {"the number of accounts",
         "SELECT (SELECT count(*) FROM verso_accounts) = (SELECT accounts FROM verso_meta)"},
        {"the number of log rows",
         "SELECT (SELECT count(*) FROM verso_log) = (SELECT log_rows FROM verso_meta)"},
        {"the number of blobs",
         "SELECT (SELECT count(*) FROM verso_blobs) = (SELECT blobs FROM verso_meta)"},
        {"the newest log row",
         "SELECT coalesce((SELECT max(id) FROM verso_log), 0) = (SELECT sequence FROM verso_meta)"},
    };
    BankState state;
    auto sequence = connection.number("SELECT sequence FROM verso_meta");
    if (!sequence) {
        return pass(sequence);
    }
    state.sequence = static_cast<u64>(*sequence);
    for (const Claim& claim : claims) {
        auto held = connection.number(claim.sql);
        if (!held) {
            return pass(held);
        }
        if (*held != 1) {
            state.why = fmt::format("{} is not what the bookkeeping says", claim.what);
            return state;
        }
    }
    state.holds = true;
    return state;
}

Result<std::string> integrity(Connection& connection) {
    auto answer = connection.text("PRAGMA integrity_check(1)");
    if (answer && *answer == "ok") {
        return std::string();
    }
    return answer;
}

}  // namespace verso::cli
