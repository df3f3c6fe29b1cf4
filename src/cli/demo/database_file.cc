// Reads a database file by hand, not through SQLite: opening it through SQLite may recover a
// journal or leave -wal and -shm files behind, and the demo promises not to change anything.
#include "cli/demo/database_file.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <string_view>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/result.h"
#include "cli/demo/bank.h"

namespace verso::cli {
namespace {

constexpr u64 header_bytes = 100;
constexpr std::string_view magic("SQLite format 3\0", 16);
constexpr std::size_t write_version_at = 18;  // 1 rollback journal, 2 write-ahead log
constexpr std::size_t read_version_at = 19;

u64 page_bytes_of(const std::array<u8, header_bytes>& header) {
    const u64 stored = u64{header[16]} << 8 | header[17];
    return stored == 1 ? 65536 : stored;
}

bool has_content(const std::string& path) {
    struct stat status {};
    // Why safe: only asks; the string and the struct outlive the call.
    return ::stat(path.c_str(), &status) == 0 && status.st_size > 0;
}

i64 modified(const struct stat& status) {
    return i64{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec;
}

/// Opens a regular file and stats it through the descriptor, so that both mean the same file.
Result<Fd> open_file(const std::string& path, struct stat& status) {
    // Why safe: read-only; O_NONBLOCK so that a FIFO cannot hang us before fstat refuses it.
    Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!fd.valid()) {
        return fail(ErrorKind::invalid_argument, errno,
                    "{}: {}; give a file that this user may read", path, std::strerror(errno));
    }
    // Why safe: fills a struct of ours.
    if (::fstat(fd.get(), &status) != 0 || !S_ISREG(status.st_mode)) {
        return fail(ErrorKind::invalid_argument, 0,
                    "{}: not a regular file; give a SQLite database", path);
    }
    return fd;
}

Result<void> read_exactly(int fd, u64 offset, std::span<std::byte> out, const std::string& path) {
    while (!out.empty()) {
        // Why safe: reads at most out.size() bytes into memory that out owns.
        const ssize_t got = ::pread(fd, out.data(), out.size(), static_cast<off_t>(offset));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return fail(ErrorKind::invalid_argument, got < 0 ? errno : 0, "{}: {} at byte {}", path,
                        got < 0 ? std::strerror(errno) : "ends early; is somebody truncating it?",
                        offset);
        }
        out = out.subspan(static_cast<std::size_t>(got));
        offset += static_cast<u64>(got);
    }
    return {};
}

}  // namespace

Result<DatabaseFile> look_at_database(const std::string& path) {
    struct stat status {};
    auto fd = open_file(path, status);
    if (!fd) {
        return pass(fd);
    }
    DatabaseFile file{
        .path = path, .bytes = static_cast<u64>(status.st_size), .modified_ns = modified(status)};
    std::array<u8, header_bytes> header{};
    if (file.bytes >= header_bytes) {
        auto read = read_exactly(fd->get(), 0, std::as_writable_bytes(std::span(header)), path);
        if (!read) {
            return pass(read);
        }
    }
    if (std::memcmp(header.data(), magic.data(), magic.size()) != 0) {
        return fail(ErrorKind::invalid_argument, 0,
                    "{}: not a SQLite database (an encrypted one looks like this, too); "
                    "`sqlite3 FILE .tables` must be able to read it",
                    path);
    }
    const u64 page = page_bytes_of(header);
    if (page < 512 || (page & (page - 1)) != 0 || file.bytes % page != 0) {
        return fail(ErrorKind::damaged, 0,
                    "{}: a SQLite database of {} bytes with pages of {} bytes cannot be whole; "
                    "try `sqlite3 FILE .recover`",
                    path, file.bytes, page);
    }
    if (has_content(path + "-wal")) {
        return fail(ErrorKind::invalid_argument, 0,
                    "{}: part of it is still in {}-wal; close who uses it, then run "
                    "sqlite3 '{}' 'PRAGMA journal_mode=DELETE'",
                    path, path, path);
    }
    if (has_content(path + "-journal")) {
        return fail(ErrorKind::invalid_argument, 0,
                    "{}: {}-journal says that a transaction is under way or was cut off; close who "
                    "uses it, then run sqlite3 '{}' 'PRAGMA schema_version' once",
                    path, path, path);
    }
    file.write_ahead = header[write_version_at] == 2 || header[read_version_at] == 2;
    return file;
}

Result<void> load_database(const DatabaseFile& file, const SpanFiles& files) {
    struct stat status {};
    auto fd = open_file(file.path, status);
    if (!fd) {
        return pass(fd);
    }
    files.create(FileKind::database);
    if (!files.resize(FileKind::database, file.bytes)) {
        return fail(ErrorKind::resource, 0, "{}: does not fit into the region", file.path);
    }
    const auto target = files.database_bytes();
    if (auto read = read_exactly(fd->get(), 0, target, file.path); !read) {
        return read;
    }
    // Why safe: fills a struct of ours.
    if (::fstat(fd->get(), &status) != 0 || static_cast<u64>(status.st_size) != file.bytes ||
        modified(status) != file.modified_ns) {
        return fail(ErrorKind::invalid_argument, 0,
                    "{}: was written while it was read; close who uses it, or give a copy",
                    file.path);
    }
    if (file.write_ahead) {  // its log is empty, so the file alone is the whole database
        target[write_version_at] = std::byte{1};
        target[read_version_at] = std::byte{1};
    }
    const RegionVfs vfs(files);
    auto connection = Connection::open(vfs);
    if (!connection) {
        return pass(connection, file.path);
    }
    auto complaint = integrity(*connection);
    if (!complaint) {
        return pass(complaint, file.path + ": SQLite cannot check it");
    }
    if (!complaint->empty()) {
        return fail(ErrorKind::damaged, 0, "{}: SQLite finds it damaged: {}; give a sound copy",
                    file.path, *complaint);
    }
    return {};
}

Result<void> enough_memory(u64 span_bytes) {
    std::ifstream meminfo("/proc/meminfo");
    std::string key;
    u64 available_kib = 0;
    while (meminfo >> key) {
        if (key == "MemAvailable:") {
            meminfo >> available_kib;
            break;
        }
    }
    // Source, the frozen versions (at worst as much again), the children's own pages; the other
    // side keeps a full copy instead, but starts when this one has finished.
    const u64 needed = span_bytes * 3 + (u64{128} << 20);
    if (available_kib != 0 && available_kib << 10 < needed) {
        return fail(ErrorKind::resource, 0,
                    "the demo needs {} MiB of memory for a region of {} MiB and {} MiB are free; "
                    "use a smaller database or --size-mib",
                    needed >> 20, span_bytes >> 20, available_kib >> 10);
    }
    return {};
}

}  // namespace verso::cli
