// The only demo file besides the VFS that includes sqlite3.h.
#include "cli/demo/sql.h"

#include <sqlite3.h>

#include "base/result.h"

namespace verso::cli {
namespace {

tl::unexpected<Error> refused(sqlite3* handle, const char* what) {
    const int code = handle != nullptr ? sqlite3_errcode(handle) : SQLITE_NOMEM;
    const ErrorKind kind = code == SQLITE_FULL || code == SQLITE_NOMEM       ? ErrorKind::resource
                           : code == SQLITE_CORRUPT || code == SQLITE_NOTADB ? ErrorKind::damaged
                                                                             : ErrorKind::system;
    return fail(kind, 0, "SQLite: {} ({})",
                handle != nullptr ? sqlite3_errmsg(handle) : "out of memory", what);
}

}  // namespace

void Statement::Finalize::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }

Statement& Statement::bind(int index, i64 value) {
    sqlite3_bind_int64(statement_.get(), index, value);
    return *this;
}

Statement& Statement::bind(int index, const std::string& text) {
    sqlite3_bind_text(statement_.get(), index, text.data(), static_cast<int>(text.size()),
                      SQLITE_TRANSIENT);
    return *this;
}

Statement& Statement::bind_blob(int index, std::span<const std::byte> bytes) {
    sqlite3_bind_blob64(statement_.get(), index, bytes.data(), bytes.size(), SQLITE_STATIC);
    return *this;
}

Result<void> Statement::run() {
    const Result<i64> done = number();
    if (!done) {
        return tl::unexpected<Error>(done.error());
    }
    return {};
}

Result<i64> Statement::number() {
    const int step = sqlite3_step(statement_.get());
    const i64 value = step == SQLITE_ROW ? sqlite3_column_int64(statement_.get(), 0) : 0;
    const int reset = sqlite3_reset(statement_.get());
    if ((step != SQLITE_ROW && step != SQLITE_DONE) || reset != SQLITE_OK) {
        return refused(sqlite3_db_handle(statement_.get()), sqlite3_sql(statement_.get()));
    }
    return value;
}

void Connection::Close::operator()(sqlite3* handle) const { sqlite3_close_v2(handle); }

Result<Connection> Connection::open(const RegionVfs& vfs) {
    sqlite3* raw = nullptr;
    const int opened =
        sqlite3_open_v2("main.db", &raw, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, vfs.name());
    Connection connection;
    connection.handle_.reset(raw);
    if (opened != SQLITE_OK) {
        return refused(raw, "opening the database in the region");
    }
    // trusted_schema=OFF: a database that somebody else made may hold anything (--db). The other
    // four are how the span's files work; synchronous has no meaning for memory.
    auto set = connection.run(
        "PRAGMA trusted_schema=OFF; PRAGMA temp_store=MEMORY; PRAGMA synchronous=OFF;"
        "PRAGMA journal_mode=TRUNCATE; PRAGMA cache_size=-4096");
    if (!set) {
        return pass(set);
    }
    return connection;
}

Result<void> Connection::run(const char* sql) {
    if (sqlite3_exec(handle_.get(), sql, nullptr, nullptr, nullptr) != SQLITE_OK) {
        return refused(handle_.get(), sql);
    }
    return {};
}

Result<Statement> Connection::prepare(const char* sql) {
    sqlite3_stmt* raw = nullptr;
    if (sqlite3_prepare_v2(handle_.get(), sql, -1, &raw, nullptr) != SQLITE_OK) {
        return refused(handle_.get(), sql);
    }
    Statement statement;
    statement.statement_.reset(raw);
    return statement;
}

Result<i64> Connection::number(const char* sql) {
    auto statement = prepare(sql);
    if (!statement) {
        return pass(statement);
    }
    return statement->number();
}

Result<std::string> Connection::text(const char* sql) {
    auto statement = prepare(sql);
    if (!statement) {
        return pass(statement);
    }
    sqlite3_stmt* raw = statement->statement_.get();
    std::string text;
    int step = sqlite3_step(raw);
    for (; step == SQLITE_ROW; step = sqlite3_step(raw)) {
        const unsigned char* cell = sqlite3_column_text(raw, 0);
        text += text.empty() ? "" : "\n";
        text += cell != nullptr ? reinterpret_cast<const char*>(cell) : "";
    }
    if (step != SQLITE_DONE) {
        return refused(handle_.get(), sql);
    }
    return text;
}

}  // namespace verso::cli
