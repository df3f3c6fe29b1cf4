// Memory that the application made itself, which the engine is asked to adopt.
#pragma once

#include <span>
#include <vector>

#include <sys/mman.h>
#include <unistd.h>

#include "base/base.h"
#include "verso/verso.hpp"

namespace verso::test {

/// A descriptor and a shared mapping of it, as an application would bring.
struct Brought {
    Brought(int descriptor, u64 pages) : fd(descriptor), bytes(to_bytes(pages)) {
        if (fd.valid() && ::ftruncate(fd.get(), static_cast<off_t>(bytes)) == 0) {
            at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
        }
    }
    ~Brought() {
        std::size_t begin = 0;
        for (const std::size_t hole : holes) {
            unmap(begin, hole);
            begin = hole + hole_bytes;
        }
        unmap(begin, bytes);
    }
    Brought(const Brought&) = delete;
    Brought& operator=(const Brought&) = delete;
    Result<Region> adopt(Tracking tracking = Tracking::contents) const {
        AdoptOptions options;
        options.memfd = fd.get();
        options.address = at;
        options.size = bytes;
        options.tracking = tracking;
        return Region::adopt(options);
    }
    std::span<std::byte> memory() const { return {static_cast<std::byte*>(at), bytes}; }
    Fd fd;
    std::size_t bytes;
    void* at = MAP_FAILED;
    /// Where a test has taken four pages out of the mapping, ascending: whatever was mapped there
    /// since is somebody else's (a thread's stack, a sanitizer's memory) and stays.
    static constexpr std::size_t hole_bytes = to_bytes(4);
    std::vector<std::size_t> holes;

private:
    void unmap(std::size_t begin, std::size_t end) const {
        if (at != MAP_FAILED && begin < end) {
            (void)::munmap(static_cast<std::byte*>(at) + begin, end - begin);
        }
    }
};

}  // namespace verso::test
