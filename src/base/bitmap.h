// One bit per page, in words that several threads (and, in the ledger, several processes) share.
//
// BitmapView looks at words that live elsewhere; Bitmap owns its words. Setting and testing single
// bits is atomic: set() releases and test() acquires, so whoever sees a bit also sees what was
// stored before it was set. That order is the whole protocol of capture: bytes first, then the bit
// (hazards H7, H28). 1 TiB of pages is 32 MiB of bitmap; scanning 1 GiB worth (4,096 words) takes
// about 2 µs.
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <memory>

#include "base/check.h"
#include "base/types.h"

namespace verso {

using Word = std::atomic<u64>;
static_assert(sizeof(Word) == 8 && Word::is_always_lock_free, "words are shared between processes");

class BitmapView {
public:
    static constexpr u64 bits_per_word = 64;
    static constexpr u64 words_for(u64 bits) { return (bits + bits_per_word - 1) / bits_per_word; }

    BitmapView() = default;
    BitmapView(Word* words, u64 bits) : words_(words), bits_(bits) {}

    u64 size() const { return bits_; }
    bool test(u64 bit) const {
        return ((word(bit).load(std::memory_order_acquire) >> (bit % bits_per_word)) & 1) != 0;
    }
    /// Returns whether the bit was already set.
    bool set(u64 bit) {
        const u64 mask = u64{1} << (bit % bits_per_word);
        return (word(bit).fetch_or(mask, std::memory_order_acq_rel) & mask) != 0;
    }
    bool clear(u64 bit) {
        const u64 mask = u64{1} << (bit % bits_per_word);
        return (word(bit).fetch_and(~mask, std::memory_order_acq_rel) & mask) != 0;
    }
    /// The 64 bits that hold `bit`, as one value: pages [bit & ~63, …+64).
    u64 word_of(u64 bit) const { return word(bit).load(std::memory_order_acquire); }

    /// Sets those of the 64 bits around `bit` that `bits` has.
    void set_word(u64 bit, u64 bits) { word(bit).fetch_or(bits, std::memory_order_acq_rel); }

    void set_range(u64 first, u64 count) { change_range(first, count, true); }
    void clear_range(u64 first, u64 count) { change_range(first, count, false); }

    u64 count() const;
    /// First bit ≥ from that is set (or clear); size() if there is none.
    u64 next_set(u64 from) const { return next(from, 0); }
    u64 next_clear(u64 from) const { return next(from, ~u64{0}); }

    /// Whether any bit of [first, first + count) is set; looks no further than that.
    bool any(u64 first, u64 count) const;

    /// visit(first, count) for every maximal run of set bits in [first, first + count).
    template <class Visit>
    void for_each_run(u64 first, u64 count, Visit visit) const {
        const u64 end = std::min(first + count, bits_);
        for (u64 at = next_set(first); at < end;) {
            const u64 stop = std::min(next_clear(at), end);
            visit(at, stop - at);
            at = stop < end ? next_set(stop) : end;
        }
    }
    template <class Visit>
    void for_each_run(Visit visit) const {
        for_each_run(0, bits_, visit);
    }

private:
    Word& word(u64 bit) const {
        VERSO_CHECK(bit < bits_, "bit {} of {}", bit, bits_);
        return words_[bit / bits_per_word];
    }
    u64 next(u64 from, u64 flip) const;
    void change_range(u64 first, u64 count, bool value);

    Word* words_ = nullptr;
    u64 bits_ = 0;
};

/// Owns its words. Large ones come from the kernel untouched, and are touched where bits are set: a
/// bitmap of 4 GiB's pages costs 5 µs to make, and 500 if it were cleared (first touches are dear).
class Bitmap {
public:
    Bitmap() = default;
    explicit Bitmap(u64 bits)
        : words_(allocate(BitmapView::words_for(bits)), Free{BitmapView::words_for(bits)}),
          view_(words_.get(), bits) {}
    BitmapView& operator*() { return view_; }
    const BitmapView& operator*() const { return view_; }
    BitmapView* operator->() { return &view_; }
    const BitmapView* operator->() const { return &view_; }
    u64 bytes() const { return BitmapView::words_for(view_.size()) * sizeof(Word); }

private:
    struct Free {
        u64 words = 0;
        void operator()(Word* first) const;
    };
    static Word* allocate(u64 words);

    std::unique_ptr<Word[], Free> words_{nullptr, Free{}};
    BitmapView view_;
};

}  // namespace verso
