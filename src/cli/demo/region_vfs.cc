// SQLite's methods over SpanFiles. Each is a few lines; what is worth knowing is in region_vfs.h.
#include "cli/demo/region_vfs.h"

#include <atomic>
#include <cstring>

#include <fmt/format.h>
#include <sqlite3.h>

namespace verso::cli {
namespace {

/// What SQLite allocates per open file; it begins with SQLite's own part.
struct OpenFile {
    sqlite3_file base;
    const SpanFiles* files;
    FileKind kind;
};

OpenFile& self(sqlite3_file* file) { return *reinterpret_cast<OpenFile*>(file); }
u64 offset_of(sqlite3_int64 offset) { return static_cast<u64>(offset); }

int close_file(sqlite3_file*) { return SQLITE_OK; }

int read_file(sqlite3_file* file, void* out, int count, sqlite3_int64 offset) {
    const std::span<std::byte> bytes(static_cast<std::byte*>(out), static_cast<std::size_t>(count));
    const u64 got = self(file).files->read(self(file).kind, offset_of(offset), bytes);
    if (got == bytes.size()) {
        return SQLITE_OK;
    }
    std::memset(bytes.data() + got, 0, bytes.size() - got);  // SQLite asks for that
    return SQLITE_IOERR_SHORT_READ;
}

int write_file(sqlite3_file* file, const void* in, int count, sqlite3_int64 offset) {
    const std::span<const std::byte> bytes(static_cast<const std::byte*>(in),
                                           static_cast<std::size_t>(count));
    return self(file).files->write(self(file).kind, offset_of(offset), bytes) ? SQLITE_OK
                                                                              : SQLITE_FULL;
}

int truncate_file(sqlite3_file* file, sqlite3_int64 bytes) {
    return self(file).files->resize(self(file).kind, offset_of(bytes)) ? SQLITE_OK : SQLITE_FULL;
}

int sync_file(sqlite3_file*, int) { return SQLITE_OK; }

int file_size(sqlite3_file* file, sqlite3_int64* bytes) {
    *bytes = static_cast<sqlite3_int64>(self(file).files->size(self(file).kind));
    return SQLITE_OK;
}

int lock_file(sqlite3_file*, int) { return SQLITE_OK; }

int is_reserved(sqlite3_file*, int* reserved) {
    *reserved = 0;  // nobody else is alive who could finish the transaction: its journal is hot
    return SQLITE_OK;
}

int control_file(sqlite3_file*, int, void*) { return SQLITE_NOTFOUND; }
int sector_size(sqlite3_file*) { return 512; }

int characteristics(sqlite3_file*) {
    return SQLITE_IOCAP_SAFE_APPEND | SQLITE_IOCAP_SEQUENTIAL | SQLITE_IOCAP_POWERSAFE_OVERWRITE |
           SQLITE_IOCAP_UNDELETABLE_WHEN_OPEN;
}

const sqlite3_io_methods& file_methods() {
    static const sqlite3_io_methods methods = [] {
        sqlite3_io_methods m{};
        m.iVersion = 1;
        m.xClose = close_file;
        m.xRead = read_file;
        m.xWrite = write_file;
        m.xTruncate = truncate_file;
        m.xSync = sync_file;
        m.xFileSize = file_size;
        m.xLock = lock_file;
        m.xUnlock = lock_file;
        m.xCheckReservedLock = is_reserved;
        m.xFileControl = control_file;
        m.xSectorSize = sector_size;
        m.xDeviceCharacteristics = characteristics;
        return m;
    }();
    return methods;
}

// ── the file system ──────────────────────────────────────────────────────────────────────────────

const SpanFiles& files_of(sqlite3_vfs* vfs) { return *static_cast<SpanFiles*>(vfs->pAppData); }

FileKind kind_of(const char* name) {
    return std::string_view(name).ends_with("-journal") ? FileKind::journal : FileKind::database;
}

int open_file(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* flags_out) {
    file->pMethods = nullptr;
    const bool ours = (flags & (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_MAIN_JOURNAL)) != 0;
    if (name == nullptr || !ours) {
        return SQLITE_CANTOPEN;  // temporary files live in the heap: PRAGMA temp_store=MEMORY
    }
    const FileKind kind = kind_of(name);
    const SpanFiles& files = files_of(vfs);
    if (!files.exists(kind)) {
        if ((flags & SQLITE_OPEN_CREATE) == 0) {
            return SQLITE_CANTOPEN;
        }
        files.create(kind);
    }
    self(file) = OpenFile{.base = {.pMethods = &file_methods()}, .files = &files, .kind = kind};
    if (flags_out != nullptr) {
        *flags_out = flags;
    }
    return SQLITE_OK;
}

int delete_file(sqlite3_vfs* vfs, const char* name, int) {
    files_of(vfs).remove(kind_of(name));
    return SQLITE_OK;
}

int access_file(sqlite3_vfs* vfs, const char* name, int, int* answer) {
    const bool wal = std::string_view(name).ends_with("-wal");
    *answer = !wal && files_of(vfs).exists(kind_of(name)) ? 1 : 0;
    return SQLITE_OK;
}

int full_path(sqlite3_vfs*, const char* name, int room, char* out) {
    sqlite3_snprintf(room, out, "%s", name);
    return SQLITE_OK;
}

// Randomness, time and sleep are the platform's business.
sqlite3_vfs* platform() {
    static sqlite3_vfs* const vfs = sqlite3_vfs_find("unix");
    return vfs;
}
int randomness(sqlite3_vfs*, int count, char* out) {
    return platform()->xRandomness(platform(), count, out);
}
int sleep_for(sqlite3_vfs*, int microseconds) {
    return platform()->xSleep(platform(), microseconds);
}
int current_time(sqlite3_vfs*, double* time) { return platform()->xCurrentTime(platform(), time); }
int last_error(sqlite3_vfs*, int, char*) { return 0; }

}  // namespace

RegionVfs::RegionVfs(SpanFiles files) : files_(files), vfs_(std::make_unique<sqlite3_vfs>()) {
    static std::atomic<unsigned> next{0};
    name_ = fmt::format("verso-region-{}", next.fetch_add(1));
    platform();  // looked up now, by one thread, not in the middle of a transaction
    vfs_->iVersion = 1;
    vfs_->szOsFile = static_cast<int>(sizeof(OpenFile));
    vfs_->mxPathname = 64;
    vfs_->zName = name_.c_str();
    vfs_->pAppData = &files_;
    vfs_->xOpen = open_file;
    vfs_->xDelete = delete_file;
    vfs_->xAccess = access_file;
    vfs_->xFullPathname = full_path;
    vfs_->xRandomness = randomness;
    vfs_->xSleep = sleep_for;
    vfs_->xCurrentTime = current_time;
    vfs_->xGetLastError = last_error;
    sqlite3_vfs_register(vfs_.get(), 0);
}

RegionVfs::~RegionVfs() { sqlite3_vfs_unregister(vfs_.get()); }

}  // namespace verso::cli
