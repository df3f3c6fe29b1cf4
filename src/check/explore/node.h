// Node: what a search calls a state: the machine, and what its oracles remember. Within a scope
// both are blocks of bytes, and a node differs from the first one in a few words only. That
// difference is what is kept, hashed and compared:
//
//   ┌ 151 bits: which words differ ┬ those words ┐     about 200 of 1208 bytes
//
// Equal nodes have equal differences, and the other way round.
#pragma once

#include <array>
#include <bit>
#include <cstring>
#include <span>

#include "mm/history.h"
#include "mm/state.h"

namespace verso::check::explore {

struct Node {
    mm::State state;
    mm::Past past;

    bool flat() const { return state.flat() && past.flat(); }
};
static_assert(sizeof(Node) == sizeof(mm::State) + sizeof(mm::Past) && sizeof(Node) % 8 == 0);

class Packer {
public:
    static constexpr std::size_t words = sizeof(Node) / 8;
    static constexpr std::size_t bitmap_words = (words + 63) / 64;
    using Packed = std::array<u64, bitmap_words + words>;

    /// `first` is flat.
    explicit Packer(const Node& first) {
        std::memcpy(first_.data(), reinterpret_cast<const std::byte*>(&first), sizeof(Node));
    }

    /// How many words a packed node has.
    static std::size_t size(const u64* packed) {
        std::size_t size = bitmap_words;
        for (std::size_t i = 0; i < bitmap_words; ++i) {
            size += static_cast<std::size_t>(std::popcount(packed[i]));
        }
        return size;
    }

    /// `node` is flat.
    std::span<const u64> pack(const Node& node, Packed& into) const {
        const auto* const bytes = reinterpret_cast<const std::byte*>(&node);
        std::size_t at = bitmap_words;
        for (std::size_t i = 0; i < bitmap_words; ++i) {
            into[i] = 0;
        }
        for (std::size_t i = 0; i < words; i += step) {
            // Most words are as they were: asked for eight at a time. The last eight overlap.
            const std::size_t from = std::min(i, words - step);
            std::array<u64, step> now;
            std::memcpy(now.data(), bytes + from * 8, sizeof(now));
            u64 differs = 0;
            for (std::size_t k = 0; k < step; ++k) {
                differs |= now[k] ^ first_[from + k];
            }
            for (std::size_t k = i - from; differs != 0 && k < step; ++k) {
                if (now[k] != first_[from + k]) {
                    into[(from + k) / 64] |= u64{1} << ((from + k) % 64);
                    into[at++] = now[k];
                }
            }
        }
        return {into.data(), at};
    }

    /// `node` was flat, too.
    void unpack(const u64* packed, Node& node) const {
        auto* const bytes = reinterpret_cast<std::byte*>(&node);
        std::memcpy(bytes, first_.data(), sizeof(Node));
        const u64* next = packed + bitmap_words;
        for (std::size_t i = 0; i < bitmap_words; ++i) {
            for (u64 bits = packed[i]; bits != 0; bits &= bits - 1) {
                const auto word = i * 64 + static_cast<std::size_t>(std::countr_zero(bits));
                std::memcpy(bytes + word * 8, next++, 8);
            }
        }
    }

private:
    static constexpr std::size_t step = 8;
    std::array<u64, words> first_{};
};

}  // namespace verso::check::explore
