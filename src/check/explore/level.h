// Level: the states that are equally many steps away from the beginning, one after the other as
// words, in blocks that workers take in turn.
#pragma once

#include <algorithm>
#include <memory>
#include <span>
#include <vector>

#include "base/types.h"

namespace verso::check::explore {

/// What led to a state: which act, and which of its outcomes where it has several.
struct Label {
    u16 act = 0;
    u16 variant = 0;
    friend bool operator==(const Label&, const Label&) = default;
};
/// From where. The beginnings have no parent; their act is their number.
struct Origin {
    static constexpr u32 none = 0xffff'ffff;
    u32 parent = none;
    Label label{};
    friend bool operator==(const Origin&, const Origin&) = default;
};

class Level {
public:
    static constexpr u32 block_words = 16'384;
    struct Block {
        std::unique_ptr<u64[]> words;
        u32 used = 0;  // words
        u32 states = 0;
        u32 first = 0;  // number of its first state, once the level is complete
    };

    void push(std::span<const u64> state) {
        if (blocks_.empty() || blocks_.back().used + state.size() > block_words) {
            // Not make_unique: 128 KiB of zeroes for a level of three states.
            blocks_.push_back({std::unique_ptr<u64[]>(new u64[block_words]), 0, 0, 0});
        }
        Block& last = blocks_.back();
        std::ranges::copy(state, last.words.get() + last.used);
        last.used += static_cast<u32>(state.size());
        ++last.states;
        ++states_;
    }
    /// Everything of `more` behind what is here.
    void append(Level&& more) {
        std::ranges::move(more.blocks_, std::back_inserter(blocks_));
        states_ += more.states_;
        more.clear();
    }
    void number(u32 first) {
        for (Block& block : blocks_) {
            block.first = first;
            first += block.states;
        }
    }
    void clear() {
        blocks_.clear();
        states_ = 0;
    }
    std::vector<Block>& blocks() { return blocks_; }
    const std::vector<Block>& blocks() const { return blocks_; }
    u64 states() const { return states_; }
    u64 bytes() const { return blocks_.size() * block_words * sizeof(u64); }

private:
    std::vector<Block> blocks_;
    u64 states_ = 0;
};

}  // namespace verso::check::explore
