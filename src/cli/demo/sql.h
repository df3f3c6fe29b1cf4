// SQLite, as much of it as the demo uses: a connection and a prepared statement with one owner
// each, and errors as Result with SQLite's own words.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "base/types.h"
#include "cli/demo/region_vfs.h"
#include "verso/verso.hpp"

struct sqlite3;
struct sqlite3_stmt;

namespace verso::cli {

class Statement {
public:
    Statement& bind(int index, i64 value);
    Statement& bind(int index, const std::string& text);
    Statement& bind_blob(int index, std::span<const std::byte> bytes);  // must live until run()
    /// Executes it, and makes it ready to be bound and run again.
    Result<void> run();
    /// As run(); the first column of the first row, 0 if there is none.
    Result<i64> number();

private:
    friend class Connection;
    struct Finalize {
        void operator()(sqlite3_stmt* statement) const;
    };
    std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

class Connection {
public:
    /// Opens the span's database. The first statement rolls back what a journal says is unfinished.
    static Result<Connection> open(const RegionVfs& vfs);

    Result<void> run(const char* sql);
    Result<Statement> prepare(const char* sql);
    Result<i64> number(const char* sql);
    /// The first column of every row, a line each.
    Result<std::string> text(const char* sql);

private:
    struct Close {
        void operator()(sqlite3* handle) const;
    };
    std::unique_ptr<sqlite3, Close> handle_;
};

}  // namespace verso::cli
