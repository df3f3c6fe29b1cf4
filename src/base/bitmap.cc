// Word-at-a-time scans and range updates of BitmapView; where Bitmap's words come from.
#include "base/bitmap.h"

#include <sys/mman.h>

namespace verso {
namespace {
constexpr u64 large_bytes = u64{32} << 10;  // below, clearing is cheaper than a mapping (3 µs)

/// The bits of one word that fall into [first, end), for the word that starts at `base`.
u64 mask_within(u64 base, u64 first, u64 end) {
    const u64 low = first > base ? first - base : 0;
    const u64 high = std::min<u64>(end - base, BitmapView::bits_per_word);
    const u64 upper = high == BitmapView::bits_per_word ? ~u64{0} : (u64{1} << high) - 1;
    return upper & (~u64{0} << low);
}
}  // namespace

u64 BitmapView::count() const {
    u64 total = 0;
    for (u64 i = 0; i < words_for(bits_); ++i) {
        total += static_cast<u64>(std::popcount(words_[i].load(std::memory_order_acquire)));
    }
    return total;
}

u64 BitmapView::next(u64 from, u64 flip) const {
    for (u64 base = round_down(from, bits_per_word); base < bits_; base += bits_per_word) {
        u64 value = words_[base / bits_per_word].load(std::memory_order_acquire) ^ flip;
        if (base < from) {
            value &= ~u64{0} << (from - base);
        }
        if (value != 0) {
            return std::min(base + static_cast<u64>(std::countr_zero(value)), bits_);
        }
    }
    return bits_;
}

bool BitmapView::any(u64 first, u64 count) const {
    const u64 end = std::min(first + count, bits_);
    for (u64 base = round_down(first, bits_per_word); base < end; base += bits_per_word) {
        if ((words_[base / bits_per_word].load(std::memory_order_acquire) &
             mask_within(base, first, end)) != 0) {
            return true;
        }
    }
    return false;
}

void BitmapView::change_range(u64 first, u64 count, bool value) {
    const u64 end = first + count;
    VERSO_CHECK(first <= end && end <= bits_, "range {}+{} of {}", first, count, bits_);
    for (u64 base = round_down(first, bits_per_word); base < end; base += bits_per_word) {
        const u64 mask = mask_within(base, first, end);
        Word& word = words_[base / bits_per_word];
        if (value) {
            word.fetch_or(mask, std::memory_order_acq_rel);
        } else {
            word.fetch_and(~mask, std::memory_order_acq_rel);
        }
    }
}

Word* Bitmap::allocate(u64 words) {
    const u64 bytes = words * sizeof(Word);
    if (bytes < large_bytes) {
        return new Word[words]();
    }
    // Not calloc, which clears by hand what an earlier bitmap freed.
    // Why safe: new anonymous memory, owned by the Bitmap alone; an atomic starts as zero bits.
    void* const at =
        ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    VERSO_CHECK(at != MAP_FAILED, "no memory for a bitmap of {} bytes", bytes);
    return static_cast<Word*>(at);
}

void Bitmap::Free::operator()(Word* first) const {
    const u64 bytes = words * sizeof(Word);
    if (bytes < large_bytes) {
        delete[] first;
        return;
    }
    // Why safe: what allocate() mapped, and nobody has it any more.
    (void)::munmap(first, bytes);
}

}  // namespace verso
