// Files: the memfds that back regions and layers, and descriptors as such.
#include <algorithm>
#include <string>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "linux/calls.h"

namespace verso::host {
namespace {
constexpr unsigned memfd_noexec_seal = 8;    // MFD_NOEXEC_SEAL, 6.3
constexpr std::size_t memfd_name_max = 249;  // the kernel's limit, without "memfd:" and the zero
constexpr u64 stat_block_bytes = 512;        // what st_blocks counts, on every file system
}  // namespace

Outcome memfd_create_call(const Call& call, const Payload& payload) {
    std::string name(payload.in.size(), '\0');
    std::transform(payload.in.begin(), payload.in.end(), name.begin(),
                   [](std::byte byte) { return static_cast<char>(byte); });
    name.resize(std::min(name.size(), memfd_name_max));
    const unsigned flags = MFD_CLOEXEC | static_cast<unsigned>(call.aux);
    // Memory is data: 6.3 wants that said and 6.6 can be told to insist. Older kernels know no such
    // flag.
    // Why safe: the name is a zero-terminated string that the call only reads.
    int fd = ::memfd_create(name.c_str(), flags | memfd_noexec_seal);
    if (fd < 0 && errno == EINVAL) {
        // Why safe: as above.
        fd = ::memfd_create(name.c_str(), flags);
    }
    return result_of(fd);
}

/// O_TMPFILE: a file without a name, gone with its last descriptor.
Outcome file_create(const Payload& payload) {
    const std::string folder(reinterpret_cast<const char*>(payload.in.data()), payload.in.size());
    // Why safe: the name is a zero-terminated string that the call only reads.
    const int fd = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    return result_of(fd);
}

Outcome close_call(const Call& call) {
    // Why safe: whoever makes this call owns the number and forgets it now.
    const int result = ::close(call.fd);
    return result_of(result);
}

Outcome file_resize(const Call& call) {
    // Why safe: touches no memory of ours; pages cut off raise SIGBUS only for who still uses them.
    const int result = ::ftruncate(call.fd, static_cast<off_t>(call.length));
    return result_of(result);
}

Outcome file_size(const Call& call) {
    struct stat status {};
    // Why safe: fills our structure.
    if (::fstat(call.fd, &status) != 0) {
        return failure(errno);
    }
    return Outcome::done(status.st_size);
}

/// Where the next page that exists begins; the end of the file if none does.
Outcome file_next_data(const Call& call) {
    // Why safe: moves the file's own position, which nobody uses: all reads and writes name theirs.
    const off_t at = ::lseek(call.fd, static_cast<off_t>(call.offset), SEEK_DATA);
    if (at < 0 && errno == ENXIO) {
        return file_size(call);
    }
    return result_of(at);
}

Outcome file_used(const Call& call) {
    struct stat status {};
    // Why safe: fills our structure.
    if (::fstat(call.fd, &status) != 0) {
        return failure(errno);
    }
    return Outcome::done(static_cast<i64>(static_cast<u64>(status.st_blocks) * stat_block_bytes));
}

Outcome file_punch(const Call& call) {
    // Why safe: the size stays, so no mapping of the file loses its backing; it reads zeroes.
    const int result =
        ::fallocate(call.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                    static_cast<off_t>(call.offset), static_cast<off_t>(call.length));
    return result_of(result);
}

Outcome file_read(const Call& call, const Payload& payload) {
    VERSO_CHECK(call.length <= payload.out.size(), "{} bytes into {}", call.length,
                payload.out.size());
    u64 total = 0;
    while (total < call.length) {
        // Why safe: the destination is the caller's span, whose size was just checked.
        const ssize_t count = ::pread(call.fd, payload.out.data() + total, call.length - total,
                                      static_cast<off_t>(call.offset + total));
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0) {
            return failure(errno);
        }
        if (count == 0) {
            break;  // the file's end: the caller sees fewer bytes than it asked for
        }
        total += static_cast<u64>(count);
    }
    return Outcome::done(static_cast<i64>(total));
}

Outcome file_write(const Call& call, const Payload& payload) {
    VERSO_CHECK(call.length <= payload.in.size(), "{} bytes from {}", call.length,
                payload.in.size());
    u64 total = 0;
    while (total < call.length) {
        // Why safe: reads the caller's span, whose size was just checked. Being a system call and
        // not a store, it answers a full file system with ENOSPC instead of a SIGBUS.
        const ssize_t count = ::pwrite(call.fd, payload.in.data() + total, call.length - total,
                                       static_cast<off_t>(call.offset + total));
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0) {
            return failure(errno);
        }
        if (count == 0) {
            return failure(ENOSPC);  // no progress and no reason: never loop on it
        }
        total += static_cast<u64>(count);
    }
    return Outcome::done(static_cast<i64>(total));
}

Outcome duplicate(const Call& call) {
    // Why safe: makes a new number; the old one stays its owner's.
    const int fd = ::fcntl(call.fd, F_DUPFD_CLOEXEC, 0);
    return result_of(fd);
}

}  // namespace verso::host
