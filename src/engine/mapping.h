// Mapping: a range of address space that the engine mapped and unmaps again.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <utility>

#include "engine/explain.h"
#include "kernel/kernel.h"

namespace verso::engine {

class Mapping {
public:
    Mapping() = default;
    Mapping(Mapping&& other) noexcept
        : kernel_(std::exchange(other.kernel_, nullptr)),
          address_(std::exchange(other.address_, 0)),
          length_(std::exchange(other.length_, 0)) {}
    Mapping& operator=(Mapping&& other) noexcept {
        if (this != &other) {
            reset();
            kernel_ = std::exchange(other.kernel_, nullptr);
            address_ = std::exchange(other.address_, 0);
            length_ = std::exchange(other.length_, 0);
        }
        return *this;
    }
    Mapping(const Mapping&) = delete;
    Mapping& operator=(const Mapping&) = delete;
    ~Mapping() { reset(); }

    static Result<Mapping> map(kernel::Kernel& kernel, int fd, u64 offset, u64 length, u64 flags,
                               std::string_view what, u64 address = 0);
    void reset();

    u64 address() const { return address_; }
    u64 length() const { return length_; }
    bool valid() const { return length_ != 0; }
    std::byte* data() const { return reinterpret_cast<std::byte*>(address_); }  // NOLINT
    std::span<std::byte> at(u64 offset, u64 length) const { return {data() + offset, length}; }

private:
    kernel::Kernel* kernel_ = nullptr;
    u64 address_ = 0;
    u64 length_ = 0;
};

}  // namespace verso::engine
