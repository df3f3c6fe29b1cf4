// Plain kernel memory for the rivals: memfds, shared, private and anonymous mappings, undone in
// reverse order. Rivals never use the engine's own code, not even its seam, so that a slow seam
// shows.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <utility>

#include "base/fd.h"
#include "base/result.h"
#include "base/types.h"

namespace verso::cli::bench {

class Mapping {
public:
    Mapping() = default;
    Mapping(std::byte* address, u64 size) : address_(address), size_(size) {}
    Mapping(Mapping&& other) noexcept
        : address_(std::exchange(other.address_, nullptr)), size_(std::exchange(other.size_, 0)) {}
    Mapping& operator=(Mapping&& other) noexcept {
        std::swap(address_, other.address_);
        std::swap(size_, other.size_);
        return *this;
    }
    Mapping(const Mapping&) = delete;
    Mapping& operator=(const Mapping&) = delete;
    ~Mapping();

    std::span<std::byte> bytes() const { return {address_, size_}; }
    std::byte* page(u64 index) const { return address_ + to_bytes(index); }
    u64 address() const { return reinterpret_cast<u64>(address_); }
    u64 size() const { return size_; }

private:
    std::byte* address_ = nullptr;
    u64 size_ = 0;
};

class Memfd {
public:
    static Result<Memfd> create(const std::string& name, u64 size);
    Result<Mapping> map_shared() const;
    Result<Mapping> map_private() const;
    int fd() const { return fd_.get(); }
    u64 size() const { return size_; }
    bool write_page(u64 index, const std::byte* page) const;

private:
    Memfd(Fd fd, u64 size) : fd_(std::move(fd)), size_(size) {}
    Fd fd_;
    u64 size_;
};

/// Private anonymous memory in 4 KiB pages: what fork(2) copies. Huge pages would make fork
/// cheaper and the first write dearer; the table compares like with like.
Result<Mapping> map_anonymous(u64 size);

/// Gives every page of `bytes` a page table entry and contents that differ from page to page.
void populate(std::span<std::byte> bytes);
/// Loads one byte of every page, in order; returns their sum, so that no load can be left out.
u64 read_every_page(std::span<const std::byte> bytes);

/// Touches and frees `bytes` of memory. In a virtual machine the host gives memory on first touch
/// (about 10 µs a page against 1 µs): without this the first row pays for all that follow.
Result<void> warm_memory(u64 bytes);

}  // namespace verso::cli::bench
