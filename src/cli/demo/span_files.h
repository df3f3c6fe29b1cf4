// Two files in one span of memory: a database and its rollback journal, and everything that says
// how long they are. Nothing that matters lies outside the span, so a copy of the bytes (a
// snapshot, a forked child, a rewound region) is a copy of both files at that moment.
//
//      0        4 KiB        +1 MiB                                            span
//      ┌────────┬────────────┬───────────────────────────────┬─────────────────┐
//      │ header │ probe area │ database, room to grow        │ journal         │
//      └────────┴────────────┴───────────────────────────────┴─────────────────┘
//
// ORDER. SQLite survives a power failure because it knows in which order things reach the disk.
// Here the "disk" is memory and the "failure" a snapshot taken between any two stores, so the order
// must be that of the stores: bytes first, then the length that covers them, with a release store.
// Ending a transaction is one store of eight bytes (the journal's length becomes 0): it happened or
// it did not.
#pragma once

#include <atomic>
#include <span>

#include "base/types.h"
#include "verso/verso.hpp"

namespace verso::cli {

enum class FileKind : u8 { database, journal };

class SpanFiles {
public:
    /// What a span must hold so that a database of `bytes` fits with room to grow by an eighth.
    static u64 span_for(u64 bytes);
    /// Lays both files out, empty. The rest of the span is not touched.
    static Result<SpanFiles> format(std::span<std::byte> span);
    /// Finds files that are there already, and believes nothing of the header before checking it.
    static Result<SpanFiles> open(std::span<std::byte> span);

    bool exists(FileKind kind) const;
    void create(FileKind kind) const;
    void remove(FileKind kind) const;
    u64 size(FileKind kind) const;
    u64 capacity(FileKind kind) const;
    /// How many of the bytes asked for were there.
    u64 read(FileKind kind, u64 offset, std::span<std::byte> out) const;
    /// false: the file would outgrow its extent; then nothing was written.
    bool write(FileKind kind, u64 offset, std::span<const std::byte> in) const;
    bool resize(FileKind kind, u64 bytes) const;

    /// A transaction was under way: SQLite must roll it back before anyone may look.
    bool journal_is_hot() const;
    /// Written by the stall probe and by nobody else.
    std::span<std::byte> probe_area() const;
    /// The database's extent up to its present length, for loading a file into it.
    std::span<std::byte> database_bytes() const;
    std::span<std::byte> bytes() const { return span_; }

private:
    struct Header;
    explicit SpanFiles(std::span<std::byte> span) : span_(span) {}
    Header& header() const;
    std::atomic_ref<u64> length(FileKind kind) const;
    std::atomic_ref<u64> present(FileKind kind) const;
    std::byte* extent(FileKind kind) const;

    std::span<std::byte> span_;
};

}  // namespace verso::cli
