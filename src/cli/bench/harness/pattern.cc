// Drawing pages without repetition, in the three shapes of dirt.
#include "cli/bench/harness/pattern.h"

#include <algorithm>
#include <numeric>

#include "base/check.h"

namespace verso::cli::bench {

namespace {

/// The first `count` of a shuffle of 0 … universe-1.
std::vector<u64> draw(u64 universe, u64 count, u64 seed) {
    std::vector<u64> all(universe);
    std::iota(all.begin(), all.end(), u64{0});
    Dice dice(seed);
    for (u64 i = 0; i < count; ++i)
        std::swap(all[i], all[i + dice.below(universe - i)]);
    all.resize(count);
    return all;
}

}  // namespace

const char* name_of(Shape shape) {
    switch (shape) {
        case Shape::scattered: return "scattered";
        case Shape::runs_of_16: return "runs of 16";
        case Shape::one_block: return "one block";
    }
    return "?";
}

const char* name_of(Habit habit) {
    switch (habit) {
        case Habit::random: return "random pages";
        case Habit::sequential: return "sequential";
        case Habit::hot_set: return "90/10 hot set";
    }
    return "?";
}

std::vector<u64> pick_pages(Shape shape, u64 pages, u64 count, u64 seed) {
    VERSO_CHECK(count <= pages, "{} of {} pages", count, pages);
    if (shape == Shape::scattered)
        return draw(pages, count, seed);
    const bool block = shape == Shape::one_block;
    const u64 run = block ? std::max<u64>(count, 1) : 16;
    // The last run of a region may be short; one run more than needed makes up for it.
    const u64 slots = block ? std::max<u64>(pages / run, 1) : (pages + run - 1) / run;
    const u64 runs = block ? 1 : std::min(slots, (count + run - 1) / run + 1);
    std::vector<u64> picked;
    picked.reserve(count);
    for (const u64 slot : draw(slots, runs, seed)) {
        for (u64 i = 0; i < run && picked.size() < count && slot * run + i < pages; ++i)
            picked.push_back(slot * run + i);
    }
    return picked;
}

}  // namespace verso::cli::bench
