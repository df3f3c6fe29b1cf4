// Marks: when each page was last made writable, for written(). Four bytes a page (1 MiB per GiB),
// allocated by the first call, because a region that nobody asks need not pay.
//
// What a scan found is first put on a list (note_later) and goes to the pages' entries when the
// list is long or somebody asks for more than the last scan: an entry is a cache miss, 20 ns where
// the kernel's scan takes 130 a page, and most askers want to know only what is new.
//
// Generations count protection passes. A page that is released during generation g carries g; Mark
// m asks for pages that carry more than m. Any number of independent askers may hold marks.
// Guarded by Region::stripes_: a page's entry by its stripe, the generation by all of them.
#pragma once

#include <atomic>
#include <memory>
#include <span>
#include <vector>

#include "base/types.h"
#include "verso/verso.hpp"

namespace verso::engine {

class Marks {
public:
    explicit Marks(u64 pages) : pages_(pages) {}

    bool kept() const { return generations_ != nullptr; }
    /// From now on pages are noted; until now everything counts as written.
    void keep() {
        generations_ = std::make_unique<std::atomic<u32>[]>(pages_);
        later_ = std::make_unique_for_overwrite<Later[]>(later_max());
    }
    u64 bytes() const {
        return kept() ? pages_ * sizeof(u32) + later_count_.load() * sizeof(Later) : 0;
    }

    void note(u64 first, u64 count) {
        if (kept()) {
            for (u64 page = first; page < first + count; ++page) {
                generations_[page].store(generation_, std::memory_order_relaxed);
            }
            noted_.store(true, std::memory_order_relaxed);
        }
    }
    /// Whether note() was called since this was asked last: what a scan finds is then not all.
    bool take_noted() { return noted_.exchange(false, std::memory_order_relaxed); }
    /// As note(), for one thread at a time; since() knows of it after fold() only.
    void note_later(u64 first, u64 count) {
        const u64 used = later_count_.load(std::memory_order_relaxed);
        if (used == later_max()) {
            note(first, count);
            return;
        }
        later_[used] = {static_cast<u32>(first), static_cast<u32>(count), generation_};
        later_count_.store(used + 1, std::memory_order_relaxed);
    }
    /// The list is half full: folding it now keeps the next scan from the entries, too.
    bool should_fold() const { return later_count_.load() * 2 >= later_max(); }
    /// Guarded like the generation.
    void fold() {
        const u64 used = later_count_.exchange(0);
        for (const Later& late : std::span(later_.get(), used)) {
            for (u64 page = late.first; page < u64{late.first} + late.count; ++page) {
                if (generations_[page].load(std::memory_order_relaxed) < late.generation) {
                    generations_[page].store(late.generation, std::memory_order_relaxed);
                }
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
    struct Later {
        u32 first;
        u32 count;
        u32 generation;
    };
    u64 later_max() const { return pages_ / 8 + 1; }

    u64 pages_;
    u32 generation_ = 1;
    std::unique_ptr<std::atomic<u32>[]> generations_;
    std::unique_ptr<Later[]> later_;  // memory that is not written is not taken
    std::atomic<u64> later_count_{0};
    std::atomic<bool> noted_{false};
};

}  // namespace verso::engine
