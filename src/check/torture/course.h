// What a writer writes where, as a function of how far it is. Nothing of it is kept anywhere: who
// knows the seed and one number, the last step that was completed, knows every byte.
//
//   step n = 1, 2, 3, …    writes one page, from its first word to its last
//
//   lap:   │ hot pages, all │ one slice of the warm ones │ hot, all │ the next slice │ …
//          every page of the lap once; the eight slices in turn; the other pages never
//
// One writer goes through its pages in order, as programs fill buffers, one jumps, as they update
// tables: the engine treats these differently (docs/engine.md, section 2).
//
//   word 0        the step
//   word i        root + i, root from (seed, page, step)
//   word 510      how many steps of the other writer had been completed when this one began
//   word 511      root and word 510, mixed
//
// So a page says itself what it should be, to the last byte, and a page that is being written is a
// beginning of the new one and an end of the old one. Words are stored one by one, in order: what a
// memory may look like at one moment is the content after some number of such stores of each
// writer, where no writer is further than the pages of the other say (judge.h).
#pragma once

#include <array>

#include "base/types.h"

namespace verso::check::torture {

/// A 64-bit mixer: a counter in, evenly spread bits out.
constexpr u64 mix(u64 value) {
    value += 0x9E37'79B9'7F4A'7C15;
    value = (value ^ (value >> 30)) * 0xBF58'476D'1CE4'E5B9;
    value = (value ^ (value >> 27)) * 0x94D0'49BB'1331'11EB;
    return value ^ (value >> 31);
}

/// Numbers from a seed; the same on every machine.
class Dice {
public:
    explicit Dice(u64 seed) : state_(mix(seed)) {}
    u64 next() { return mix(state_++); }
    u64 below(u64 bound) { return next() % bound; }
    bool chance(u64 one_in) { return below(one_in) == 0; }

private:
    u64 state_;
};

inline constexpr u64 words_per_page = page_size / sizeof(u64);
inline constexpr u64 saw_word = words_per_page - 2;
inline constexpr u64 seal_word = words_per_page - 1;
using Words = std::array<u64, words_per_page>;

constexpr u64 root_of(u64 seed, u64 page, u64 step) { return mix(seed ^ mix(page) ^ mix(~step)); }
constexpr u64 seal_of(u64 root, u64 saw) { return mix(root ^ mix(saw)); }
Words words_of(u64 seed, u64 page, u64 step, u64 saw);

inline constexpr unsigned writers_per_instance = 2;

class Course {
public:
    /// A writer that has the pages [first, first + pages) to itself; at least 32 of them.
    Course(u64 first, u64 pages, bool jumps);

    u64 page_at(u64 step) const;
    /// The newest step up to that one which wrote the page; 0 if none did.
    u64 last_step(u64 page, u64 upto) const;
    u64 first() const { return first_; }
    u64 pages() const { return pages_; }

private:
    static constexpr u64 slices = 8;
    u64 first_;
    u64 pages_;
    u64 hot_;    // pages that are written in every lap
    u64 slice_;  // warm pages that are written in a lap
    u64 stride_ = 1;
    u64 back_ = 1;  // undoes the stride, modulo the number of pages
};

/// One instance's memory: both writers' halves.
struct Layout {
    Layout(u64 seed_of_all, u64 page_count);
    unsigned owner_of(u64 page) const { return page < courses[1].first() ? 0 : 1; }

    u64 seed;
    u64 pages;
    std::array<Course, writers_per_instance> courses;
};

}  // namespace verso::check::torture
