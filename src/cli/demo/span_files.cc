// The layout of span_files.h. Every change of a length is one release store after the bytes it
// covers.
#include "cli/demo/span_files.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/result.h"

namespace verso::cli {
namespace {

constexpr u64 magic_value = 0x315346'4f53'5245'56;  // "VERSOFS1" as a little-endian word
constexpr u64 probe_bytes = u64{1} << 20;
constexpr u64 journal_min = u64{4} << 20;
constexpr u64 span_min = u64{8} << 20;

/// A rollback journal holds the old versions of the pages of one transaction. The demo's
/// transactions touch a few hundred pages at most; what is not used costs nothing.
u64 journal_bytes_for(u64 span) { return round_down(std::max(span / 16, journal_min), page_size); }

}  // namespace

struct SpanFiles::Header {
    u64 magic;
    u64 span_bytes;
    u64 database_capacity;
    u64 journal_capacity;
    u64 length[2];   // by FileKind
    u64 present[2];  // by FileKind
};

u64 SpanFiles::span_for(u64 bytes) {
    const u64 database = bytes + bytes / 8 + (u64{8} << 20);
    // The journal takes a sixteenth of the whole, so the rest must be 16/15 of the database.
    return round_up(database + database / 12 + probe_bytes + journal_min, page_size);
}

Result<SpanFiles> SpanFiles::format(std::span<std::byte> span) {
    if (span.size() < span_min || !is_page_aligned(span.size())) {
        return fail(ErrorKind::invalid_argument, 0,
                    "{} bytes are too few to keep a database in; {} are the least", span.size(),
                    span_min);
    }
    SpanFiles files(span);
    Header& header = files.header();
    const u64 journal = journal_bytes_for(span.size());
    header = Header{.magic = magic_value,
                    .span_bytes = span.size(),
                    .database_capacity = span.size() - page_size - probe_bytes - journal,
                    .journal_capacity = journal,
                    .length = {0, 0},
                    .present = {0, 0}};
    return files;
}

Result<SpanFiles> SpanFiles::open(std::span<std::byte> span) {
    if (span.size() < span_min || !is_page_aligned(span.size())) {
        return fail(ErrorKind::invalid_argument, 0, "{} bytes cannot hold a database", span.size());
    }
    SpanFiles files(span);
    const Header& header = files.header();
    const u64 journal = journal_bytes_for(span.size());
    if (header.magic != magic_value || header.span_bytes != span.size() ||
        header.journal_capacity != journal ||
        header.database_capacity != span.size() - page_size - probe_bytes - journal) {
        return fail(ErrorKind::invalid_argument, 0,
                    "this memory does not hold a database laid out by verso demo");
    }
    for (const FileKind kind : {FileKind::database, FileKind::journal}) {
        if (files.size(kind) > files.capacity(kind)) {
            return fail(ErrorKind::damaged, 0, "a file of {} bytes in an extent of {}: damaged",
                        files.size(kind), files.capacity(kind));
        }
    }
    return files;
}

SpanFiles::Header& SpanFiles::header() const {
    static_assert(sizeof(Header) <= page_size);
    return *reinterpret_cast<Header*>(span_.data());
}

std::atomic_ref<u64> SpanFiles::length(FileKind kind) const {
    return std::atomic_ref<u64>(header().length[static_cast<unsigned>(kind)]);
}

std::atomic_ref<u64> SpanFiles::present(FileKind kind) const {
    return std::atomic_ref<u64>(header().present[static_cast<unsigned>(kind)]);
}

u64 SpanFiles::capacity(FileKind kind) const {
    return kind == FileKind::database ? header().database_capacity : header().journal_capacity;
}

std::byte* SpanFiles::extent(FileKind kind) const {
    std::byte* database = span_.data() + page_size + probe_bytes;
    return kind == FileKind::database ? database : database + header().database_capacity;
}

std::span<std::byte> SpanFiles::probe_area() const { return span_.subspan(page_size, probe_bytes); }

std::span<std::byte> SpanFiles::database_bytes() const {
    return {extent(FileKind::database), size(FileKind::database)};
}

bool SpanFiles::exists(FileKind kind) const {
    return present(kind).load(std::memory_order_acquire) != 0;
}

void SpanFiles::create(FileKind kind) const { present(kind).store(1, std::memory_order_release); }

void SpanFiles::remove(FileKind kind) const {
    length(kind).store(0, std::memory_order_release);
    present(kind).store(0, std::memory_order_release);
}

u64 SpanFiles::size(FileKind kind) const { return length(kind).load(std::memory_order_acquire); }

u64 SpanFiles::read(FileKind kind, u64 offset, std::span<std::byte> out) const {
    const u64 end = size(kind);
    if (offset >= end) {
        return 0;
    }
    const u64 count = std::min<u64>(out.size(), end - offset);
    std::memcpy(out.data(), extent(kind) + offset, count);
    return count;
}

bool SpanFiles::write(FileKind kind, u64 offset, std::span<const std::byte> in) const {
    const u64 room = capacity(kind);
    if (offset > room || in.size() > room - offset) {
        return false;
    }
    const u64 end = size(kind);
    if (offset > end) {  // a truncated file leaves its old bytes behind; a gap reads as zeroes
        std::memset(extent(kind) + end, 0, offset - end);
    }
    std::memcpy(extent(kind) + offset, in.data(), in.size());
    // Nothing that SQLite does later may be seen without these bytes, also where no length changes.
    std::atomic_thread_fence(std::memory_order_release);
    if (offset + in.size() > end) {
        length(kind).store(offset + in.size(), std::memory_order_release);
    }
    return true;
}

bool SpanFiles::resize(FileKind kind, u64 bytes) const {
    const u64 end = size(kind);
    if (bytes > capacity(kind)) {
        return false;
    }
    if (bytes > end) {
        std::memset(extent(kind) + end, 0, bytes - end);
    }
    length(kind).store(bytes, std::memory_order_release);
    return true;
}

bool SpanFiles::journal_is_hot() const {
    // SQLite's own rule: a journal that exists and whose first byte is not zero.
    std::byte first{};
    return exists(FileKind::journal) && read(FileKind::journal, 0, {&first, 1}) == 1 &&
           first != std::byte{0};
}

}  // namespace verso::cli
