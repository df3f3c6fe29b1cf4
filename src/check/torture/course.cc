// The arithmetic of laps.
#include "check/torture/course.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace verso::check::torture {
namespace {
/// x with a·x ≡ 1, modulo m; a and m have no common divisor.
u64 inverse(u64 a, u64 m) {
    i64 old_rest = static_cast<i64>(a % m);
    i64 rest = static_cast<i64>(m);
    i64 old_factor = 1;
    i64 factor = 0;
    while (rest != 0) {
        const i64 quotient = old_rest / rest;
        old_rest = std::exchange(rest, old_rest - quotient * rest);
        old_factor = std::exchange(factor, old_factor - quotient * factor);
    }
    return static_cast<u64>(old_factor < 0 ? old_factor + static_cast<i64>(m) : old_factor);
}
}  // namespace

Words words_of(u64 seed, u64 page, u64 step, u64 saw) {
    const u64 root = root_of(seed, page, step);
    Words words;
    for (u64 i = 0; i < words_per_page; ++i) {
        words[i] = root + i;
    }
    words[0] = step;
    words[saw_word] = saw;
    words[seal_word] = seal_of(root, saw);
    return words;
}

Course::Course(u64 first, u64 pages, bool jumps)
    : first_(first), pages_(pages), hot_(pages / 16), slice_(pages / 16) {
    constexpr std::array strides = {u64{1'000'003}, u64{7919}, u64{104'729}};
    if (jumps) {  // one of three primes divides no number of pages that fits into memory
        stride_ = *std::find_if(strides.begin(), strides.end() - 1,
                                [&](u64 prime) { return std::gcd(prime, pages) == 1; });
        back_ = inverse(stride_, pages);
    }
}

u64 Course::page_at(u64 step) const {
    const u64 lap = (step - 1) / (hot_ + slice_);
    const u64 at = (step - 1) % (hot_ + slice_);
    const u64 index = at < hot_ ? at : hot_ + lap % slices * slice_ + (at - hot_);
    return first_ + index * (stride_ % pages_) % pages_;
}

u64 Course::last_step(u64 page, u64 upto) const {
    const u64 index = (page - first_) * back_ % pages_;
    const u64 steps = hot_ + slice_;
    u64 at = index;
    u64 apart = 1;  // laps between two visits
    u64 first_lap = 0;
    if (index >= hot_) {
        if (index >= hot_ + slices * slice_) {
            return 0;
        }
        first_lap = (index - hot_) / slice_;
        at = hot_ + (index - hot_) % slice_;
        apart = slices;
    }
    const u64 first_step = first_lap * steps + at + 1;
    return upto < first_step ? 0 : upto - (upto - first_step) % (apart * steps);
}

Layout::Layout(u64 seed_of_all, u64 page_count)
    : seed(seed_of_all),
      pages(page_count),
      courses{Course(0, page_count / 2, true),
              Course(page_count / 2, page_count - page_count / 2, false)} {}

}  // namespace verso::check::torture
