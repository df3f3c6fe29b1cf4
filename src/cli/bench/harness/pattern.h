// Which pages get written, and in which order: the three shapes of dirt and the three habits of
// writers.
#pragma once

#include <vector>

#include "base/types.h"

namespace verso::cli::bench {

/// Small, fast and the same in every run: one seed, one order (splitmix64).
class Dice {
public:
    explicit Dice(u64 seed) : state_(seed) {}
    u64 next() {
        u64 z = (state_ += 0x9e3779b97f4a7c15ULL);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
        return z ^ (z >> 31);
    }
    /// Uniform in [0, bound), by multiplication: no division in a writer's loop.
    u64 below(u64 bound) { return (u64{static_cast<u32>(next())} * bound) >> 32; }

private:
    u64 state_;
};

enum class Shape { scattered, runs_of_16, one_block };
const char* name_of(Shape shape);

/// `count` distinct pages of `pages`, in the order in which they are to be written.
std::vector<u64> pick_pages(Shape shape, u64 pages, u64 count, u64 seed);

enum class Habit { random, sequential, hot_set };  // hot_set: 90 % of stores to 10 % of pages
const char* name_of(Habit habit);

}  // namespace verso::cli::bench
