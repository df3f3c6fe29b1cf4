// A small generator (splitmix64) for the demo's data: seeded, so that both sides of the comparison
// work on the same database and the same kind of transactions.
#pragma once

#include <cstddef>
#include <cstring>
#include <span>

#include "base/types.h"

namespace verso::cli {

class Random {
public:
    explicit Random(u64 seed) : state_(seed) {}
    u64 next() {
        u64 z = (state_ += 0x9e3779b97f4a7c15);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
        z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
        return z ^ (z >> 31);
    }
    /// 0 … bound - 1; the bias is of no interest here.
    u64 below(u64 bound) { return next() % bound; }
    void fill(std::span<std::byte> bytes) {
        for (std::size_t at = 0; at + 8 <= bytes.size(); at += 8) {
            const u64 word = next();
            std::memcpy(bytes.data() + at, &word, 8);
        }
    }

private:
    u64 state_;
};

}  // namespace verso::cli
