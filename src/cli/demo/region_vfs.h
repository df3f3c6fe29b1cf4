// A file system for SQLite that has two files, both in memory that somebody else owns
// (span_files.h).
//
// What it must get right is the hot journal. A child of a snapshot gets the bytes of a database
// whose writer was anywhere in a transaction; no file system told SQLite about a crash. The child
// opens a connection of its own, SQLite finds a journal that nobody holds a lock for, and rolls
// back. So:
//   – locks are trivial: a span has one connection at a time, so no lock is ever seen;
//   – no shared memory (iVersion 1), hence no write-ahead log: journal_mode=TRUNCATE it is;
//   – xDeviceCharacteristics says what is true of memory: appends are safe, order is kept.
// SQLite's page cache stays in the process' ordinary heap and is never part of a snapshot.
#pragma once

#include <memory>
#include <string>

#include "cli/demo/span_files.h"

struct sqlite3_vfs;

namespace verso::cli {

/// Registers with SQLite while it lives. Connections through it must be closed before it goes.
class RegionVfs {
public:
    explicit RegionVfs(SpanFiles files);
    ~RegionVfs();
    RegionVfs(const RegionVfs&) = delete;
    RegionVfs& operator=(const RegionVfs&) = delete;

    const SpanFiles& files() const { return files_; }
    const char* name() const { return name_.c_str(); }

private:
    SpanFiles files_;
    std::string name_;
    std::unique_ptr<sqlite3_vfs> vfs_;
};

}  // namespace verso::cli
