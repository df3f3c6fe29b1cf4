// The address space: mapping, protecting, advising, and loads and stores into memory that may
// fault.
#include <cstring>

#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "abi/mman.h"
#include "base/check.h"
#include "linux/address.h"
#include "linux/calls.h"

namespace verso::host {
namespace {
using kernel::Advice;
using kernel::MapFlag;

int protection_of(u64 flags) {
    return ((flags & MapFlag::read) != 0 ? PROT_READ : 0) |
           ((flags & MapFlag::write) != 0 ? PROT_WRITE : 0);
}

int number_of(Advice advice) {
    switch (advice) {
        case Advice::drop: return MADV_DONTNEED;
        case Advice::remove: return MADV_REMOVE;
        case Advice::no_huge_page: return MADV_NOHUGEPAGE;
        case Advice::make_writable: return abi::Madvise::populate_write;
        case Advice::free: return MADV_FREE;
        case Advice::cold: return abi::Madvise::cold;
        case Advice::pageout: return abi::Madvise::pageout;
        case Advice::collapse: return abi::Madvise::collapse;
        case Advice::huge_page: return MADV_HUGEPAGE;
        case Advice::mergeable: return MADV_MERGEABLE;
        case Advice::unmergeable: return MADV_UNMERGEABLE;
        case Advice::populate_read: return abi::Madvise::populate_read;
        case Advice::guard_install: return abi::Madvise::guard_install;
        case Advice::guard_remove: return abi::Madvise::guard_remove;
    }
    VERSO_CHECK(false, "no such advice: {}", static_cast<u64>(advice));
    return -1;
}

int mapping_flags_of(const Call& call) {
    constexpr int map_droppable = 8;  // instead of MAP_PRIVATE (6.11); the headers may be older
    int flags = (call.aux & MapFlag::shared) != 0 ? MAP_SHARED : 0;
    flags |= (call.aux & MapFlag::droppable) != 0 ? map_droppable : 0;
    flags = flags == 0 ? MAP_PRIVATE : flags;
    if (call.fd < 0) {
        flags |= MAP_ANONYMOUS;
    }
    if ((call.aux & MapFlag::fixed) != 0) {
        flags |= MAP_FIXED;
    } else if (call.address != 0) {
        flags |= MAP_FIXED_NOREPLACE;  // an address is a demand; what is there already is not ours
    }
    if ((call.aux & MapFlag::huge) != 0) {
        flags |= MAP_HUGETLB;
    }
    if ((call.aux & MapFlag::no_reserve) != 0) {
        flags |= MAP_NORESERVE;
    }
    return flags;
}
}  // namespace

Outcome map(const Call& call) {
    // Why safe: without `fixed` no existing mapping can be replaced; with it, the caller names a
    // range that it owns.
    void* const at = ::mmap(pointer_to(call.address), call.length, protection_of(call.aux),
                            mapping_flags_of(call), call.fd, static_cast<off_t>(call.offset));
    if (at == MAP_FAILED) {
        return failure(errno);
    }
    const bool demanded = call.address != 0;
    // Kernels before 4.17 take MAP_FIXED_NOREPLACE for a mere hint.
    if (demanded && address_of(at) != call.address) {
        // Why safe: the mapping was made a moment ago by this function, nobody else knows it.
        VERSO_CHECK(::munmap(at, call.length) == 0, "munmap: errno {}", errno);
        return failure(EEXIST);
    }
    // Why safe: advice about the mapping just made; at worst it is refused.
    if ((call.aux & MapFlag::no_fork) != 0 && ::madvise(at, call.length, MADV_DONTFORK) != 0) {
        const int error = errno;
        // Why safe: as above. A half-made mapping must not stay behind a failed call.
        VERSO_CHECK(::munmap(at, call.length) == 0, "munmap: errno {}", errno);
        return failure(error);
    }
    return Outcome::done(static_cast<i64>(address_of(at)));
}

Outcome unmap(const Call& call) {
    // Why safe: the caller owns the range.
    const int result = ::munmap(pointer_to(call.address), call.length);
    return result_of(result);
}

Outcome protect(const Call& call) {
    // Why safe: the caller owns the range; faults that follow are the purpose.
    const int result = ::mprotect(pointer_to(call.address), call.length, protection_of(call.aux));
    return result_of(result);
}

/// A kernel that was built without them refuses every advice about them.
bool knows_huge_pages() {
    static const bool known = ::access("/sys/kernel/mm/transparent_hugepage", F_OK) == 0;
    return known;
}

Outcome advise(const Call& call) {
    const int advice = number_of(static_cast<Advice>(call.aux));
    // Why safe: the caller owns the range and asks for what it does to the contents.
    const int result = ::madvise(pointer_to(call.address), call.length, advice);
    if (result != 0 && errno == EINVAL && advice == MADV_NOHUGEPAGE &&
        is_page_aligned(call.address) && !knows_huge_pages()) {
        return Outcome::done();  // there are none to forbid
    }
    return result_of(result);
}

Outcome remap(const Call& call) {
    // Why safe: the caller owns both ranges, and the range that MREMAP_FIXED replaces.
    void* const at = ::mremap(pointer_to(call.address), call.length, call.offset,
                              static_cast<int>(call.aux), pointer_to(call.target));
    return at == MAP_FAILED ? failure(errno) : Outcome::done(static_cast<i64>(address_of(at)));
}

/// MS_ASYNC starts no I/O since 2.6.19: what is left of the call is a walk over the mappings, which
/// answers ENOMEM at a gap. Its cost is that of the number of mappings, not of pages.
Outcome check_mapped(const Call& call) {
    // Why safe: reads the process' list of mappings, and neither the memory nor its pages.
    const int result = ::msync(pointer_to(call.address), call.length, MS_ASYNC);
    return result_of(result);
}

Outcome memory_read(const Call& call, const Payload& payload) {
    VERSO_CHECK(call.length <= payload.out.size(), "{} bytes into {}", call.length,
                payload.out.size());
    const ::iovec to{payload.out.data(), call.length};
    const ::iovec from{pointer_to(call.address), call.length};
    // Why safe: copies between two ranges of our own that the caller owns. It may wait for a
    // userfault; whoever calls this is not the thread that serves it. A page that was declared
    // lost answers EFAULT here, where a plain load would raise SIGBUS.
    const ssize_t copied = ::process_vm_readv(::getpid(), &to, 1, &from, 1, 0);
    if (copied >= 0) {
        return static_cast<u64>(copied) == call.length ? Outcome::done(copied) : failure(EFAULT);
    }
    if (errno != EPERM && errno != ENOSYS) {
        return failure(errno);
    }
    // Why safe: as above. Where a sandbox refuses the call, a lost page is not told from a crash.
    std::memcpy(payload.out.data(), pointer_to(call.address), call.length);
    return Outcome::done(static_cast<i64>(call.length));
}

Outcome memory_write(const Call& call, const Payload& payload) {
    VERSO_CHECK(call.length <= payload.in.size(), "{} bytes from {}", call.length,
                payload.in.size());
    // Why safe: as memory_read, for a range mapped writable.
    std::memcpy(pointer_to(call.address), payload.in.data(), call.length);
    return Outcome::done(static_cast<i64>(call.length));
}

}  // namespace verso::host
