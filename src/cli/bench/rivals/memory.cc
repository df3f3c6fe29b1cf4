// memfds and mappings by the plain system calls.
#include "cli/bench/rivals/memory.h"

#include <cerrno>
#include <cstring>

#include <sys/mman.h>
#include <unistd.h>

namespace verso::cli::bench {

namespace {

Result<Mapping> map(int fd, u64 size, int flags, const char* what) {
    // Why safe: a new mapping at an address of the kernel's choice replaces nothing.
    void* address = mmap(nullptr, size, PROT_READ | PROT_WRITE, flags | MAP_NORESERVE, fd, 0);
    if (address == MAP_FAILED) {
        return fail(ErrorKind::resource, errno, "cannot map {} MiB of {} ({}); try smaller sizes",
                    size >> 20, what, std::strerror(errno));
    }
    return Mapping(static_cast<std::byte*>(address), size);
}

}  // namespace

Mapping::~Mapping() {
    // Why safe: address and size are those of one mapping that only this object knows.
    if (address_ != nullptr)
        munmap(address_, size_);
}

Result<Memfd> Memfd::create(const std::string& name, u64 size) {
    // Why safe: makes a new descriptor and touches nothing else.
    Fd fd(memfd_create(name.c_str(), MFD_CLOEXEC));
    // Why safe: the file is ours and empty.
    if (!fd.valid() || ftruncate(fd.get(), static_cast<off_t>(size)) != 0) {
        return fail(ErrorKind::resource, errno, "cannot make a memfd of {} MiB ({})", size >> 20,
                    std::strerror(errno));
    }
    return Memfd(std::move(fd), size);
}

Result<Mapping> Memfd::map_shared() const { return map(fd_.get(), size_, MAP_SHARED, "a memfd"); }
Result<Mapping> Memfd::map_private() const { return map(fd_.get(), size_, MAP_PRIVATE, "a memfd"); }

bool Memfd::write_page(u64 index, const std::byte* page) const {
    // Why safe: reads one whole page of the caller's and writes it inside our own file.
    return pwrite(fd_.get(), page, page_size, static_cast<off_t>(to_bytes(index))) ==
           static_cast<ssize_t>(page_size);
}

Result<Mapping> map_anonymous(u64 size) {
    Result<Mapping> mapping = map(-1, size, MAP_PRIVATE | MAP_ANONYMOUS, "anonymous memory");
    if (!mapping)
        return mapping;
    // Why safe: advice about a mapping that nobody else has yet.
    if (madvise(mapping->page(0), size, MADV_NOHUGEPAGE) != 0) {
        return fail(ErrorKind::system, errno, "cannot ask for 4 KiB pages ({})",
                    std::strerror(errno));
    }
    return mapping;
}

void populate(std::span<std::byte> bytes) {
    for (u64 at = 0; at < bytes.size(); at += page_size) {
        const u64 value = at * 0x9e3779b97f4a7c15ULL + 1;
        std::memcpy(bytes.data() + at, &value, sizeof value);
    }
}

u64 read_every_page(std::span<const std::byte> bytes) {
    u64 sum = 0;
    for (u64 at = 0; at < bytes.size(); at += page_size) {
        sum += static_cast<u64>(*const_cast<const volatile std::byte*>(bytes.data() + at));
    }
    return sum;
}

Result<void> warm_memory(u64 bytes) {
    // Through a memfd, as 4 KiB pages: the rows will ask the kernel for the same kind.
    Result<Memfd> memfd = Memfd::create("verso-bench-warm", round_up(bytes, page_size));
    if (!memfd)
        return pass(memfd);
    Result<Mapping> mapping = memfd->map_shared();
    if (!mapping)
        return pass(mapping);
    populate(mapping->bytes());
    return {};
}

}  // namespace verso::cli::bench
