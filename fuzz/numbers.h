// A fuzzer's input as a stream of numbers, for targets that build something from it rather than
// read its bytes: zeroes when it has run out, so that every prefix of an input means something.
#pragma once

#include <algorithm>
#include <cstring>
#include <span>

#include "base/types.h"

namespace verso::fuzz {

class Numbers {
public:
    Numbers(const std::uint8_t* data, std::size_t size) : left_(data, size) {}
    bool any() const { return !left_.empty(); }
    /// The next `bytes` (at most 8) of them.
    u64 next(std::size_t bytes) {
        u64 value = 0;
        const std::size_t used = std::min(bytes, left_.size());
        std::memcpy(&value, left_.data(), used);
        left_ = left_.subspan(used);
        return value;
    }
    bool flag() { return next(1) % 2 != 0; }
    /// Usually `likely`; where one byte of the input says so, the next number.
    u64 or_else(u64 likely, std::size_t bytes) { return next(1) % 8 == 7 ? next(bytes) : likely; }

private:
    std::span<const std::uint8_t> left_;
};

}  // namespace verso::fuzz
