// Marks: when each page was last made writable, for written(). Four bytes a page (1 MiB per GiB),
// allocated by the first call, because a region that nobody asks need not pay.
//
// Generations count protection passes. A page that is released during generation g carries g; Mark
// m asks for pages that carry more than m. Any number of independent askers may hold marks.
// Guarded by Region::stripes_: a page's entry by its stripe, the generation by all of them.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "base/types.h"
#include "verso/verso.hpp"

namespace verso::engine {

class Marks {
public:
    explicit Marks(u64 pages) : pages_(pages) {}

    bool kept() const { return generations_ != nullptr; }
    /// From now on pages are noted; until now everything counts as written.
    void keep() { generations_ = std::make_unique<std::atomic<u32>[]>(pages_); }
    u64 bytes() const { return kept() ? pages_ * sizeof(u32) : 0; }

    void note(u64 first, u64 count) {
        if (kept()) {
            for (u64 page = first; page < first + count; ++page) {
                generations_[page].store(generation_, std::memory_order_relaxed);
            }
        }
    }
    /// Ends the current generation and returns its mark.
    Mark advance() { return Mark{generation_++}; }
    Mark latest() const { return Mark{generation_ - 1}; }

    Written since(Mark mark, Mark now) const {
        Written written{now, {}, 0};
        for (u64 page = 0; page < pages_; ++page) {
            const bool hit = mark == Mark{} ||
                             generations_[page].load(std::memory_order_relaxed) > mark.generation;
            if (!hit) {
                continue;
            }
            ++written.pages;
            if (!written.ranges.empty() &&
                written.ranges.back().first + written.ranges.back().count == page) {
                ++written.ranges.back().count;
            } else {
                written.ranges.push_back({page, 1});
            }
        }
        return written;
    }

private:
    u64 pages_;
    u32 generation_ = 1;
    std::unique_ptr<std::atomic<u32>[]> generations_;
};

}  // namespace verso::engine
