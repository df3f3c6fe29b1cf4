// The raw protection pass: see the header. Where a memfd has pages is told by SEEK_DATA and
// SEEK_HOLE.
#include "cli/bench/vm/raw_pass.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <vector>

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include "base/fd.h"
#include "cli/bench/harness/clock.h"
#include "cli/bench/rivals/memory.h"
#include "cli/bench/rivals/raw_uffd.h"
#include "cli/bench/rows/rows.h"

namespace verso::cli::bench {
namespace fs = std::filesystem;

namespace {

struct Extent {
    u64 begin = 0;
    u64 size = 0;
};

Result<Fd> guest_memory_of(pid_t qemu) {
    std::error_code error;
    for (const fs::directory_entry& entry :
         fs::directory_iterator(fmt::format("/proc/{}/fd", qemu), error)) {
        const std::string target = fs::read_symlink(entry.path(), error).string();
        if (!error && target.starts_with("/memfd:memory-backend-memfd")) {
            // Why safe: opened for reading, and only asked where it has pages.
            Fd memory(::open(entry.path().c_str(), O_RDONLY | O_CLOEXEC));
            if (memory.valid()) {
                return memory;
            }
        }
    }
    return fail(ErrorKind::system, 0, "the guest memory of QEMU (pid {}) was not found", qemu);
}

std::vector<Extent> extents_of(int memory, u64 size) {
    std::vector<Extent> extents;
    const auto end = static_cast<off_t>(size);
    for (off_t at = 0; at < end;) {
        const off_t begin = ::lseek(memory, at, SEEK_DATA);
        if (begin < 0 || begin >= end) {
            break;
        }
        const off_t hole = ::lseek(memory, begin, SEEK_HOLE);
        at = hole < 0 || hole > end ? end : hole;
        extents.push_back({static_cast<u64>(begin), static_cast<u64>(at - begin)});
    }
    return extents;
}

}  // namespace

Result<RawPass> raw_pass_like(pid_t qemu, u64 size_mib) {
    Result<Fd> memory = guest_memory_of(qemu);
    if (!memory) {
        return pass(memory);
    }
    Result<Memfd> memfd = Memfd::create("verso-bench-raw", mib(size_mib));
    if (!memfd) {
        return pass(memfd);
    }
    Result<Mapping> mapping = memfd->map_shared();
    if (!mapping) {
        return pass(mapping);
    }
    Result<RawUffd> uffd = RawUffd::open(false);
    if (!uffd) {
        return pass(uffd);
    }
    if (Result<void> registered = uffd->register_write_protect(*mapping); !registered) {
        return pass(registered);
    }
    RawPass raw;
    for (const Extent& extent : extents_of(memory->get(), mib(size_mib))) {
        populate(mapping->bytes().subspan(extent.begin, extent.size));
        raw.populated_bytes += extent.size;
    }
    const u64 begun_ns = stamp_ns();
    const bool done = uffd->write_protect(mapping->address(), mapping->size(), true);
    const int error = errno;
    raw.ns = stamp_ns() - begun_ns;
    if (!done) {
        return fail(ErrorKind::system, error, "the raw UFFDIO_WRITEPROTECT failed: {}",
                    std::strerror(error));
    }
    return raw;
}

}  // namespace verso::cli::bench
