// The bitmap at the sizes the engine scans: 1 GiB is 262,144 bits, 4,096 words. Dirt in per mille.
#include <benchmark/benchmark.h>

#include "base/bitmap.h"
#include "cli/bench/harness/pattern.h"

namespace verso {
namespace {

constexpr u64 bits = u64{1} << 18;

Bitmap dirty_bitmap(u64 per_mille) {
    Bitmap bitmap(bits);
    cli::bench::Dice dice(1);
    for (u64 i = 0; i < bits * per_mille / 1000; ++i)
        bitmap->set(dice.below(bits));
    return bitmap;
}

void bitmap_count(benchmark::State& state) {
    const Bitmap bitmap = dirty_bitmap(static_cast<u64>(state.range(0)));
    for ([[maybe_unused]] auto turn : state)
        benchmark::DoNotOptimize(bitmap->count());
}
BENCHMARK(bitmap_count)->Arg(0)->Arg(10);

void bitmap_runs(benchmark::State& state) {
    const Bitmap bitmap = dirty_bitmap(static_cast<u64>(state.range(0)));
    for ([[maybe_unused]] auto turn : state) {
        u64 pages = 0;
        bitmap->for_each_run([&pages](u64, u64 count) { pages += count; });
        benchmark::DoNotOptimize(pages);
    }
}
BENCHMARK(bitmap_runs)->Arg(0)->Arg(1)->Arg(10)->Arg(500);

void bitmap_set_scattered(benchmark::State& state) {
    Bitmap bitmap(bits);
    cli::bench::Dice dice(1);
    for ([[maybe_unused]] auto turn : state) {
        benchmark::DoNotOptimize(bitmap->set(dice.below(bits)));
    }
}
BENCHMARK(bitmap_set_scattered);

void bitmap_test_scattered(benchmark::State& state) {
    const Bitmap bitmap = dirty_bitmap(10);
    cli::bench::Dice dice(1);
    for ([[maybe_unused]] auto turn : state) {
        benchmark::DoNotOptimize(bitmap->test(dice.below(bits)));
    }
}
BENCHMARK(bitmap_test_scattered);

void bitmap_set_range(benchmark::State& state) {
    Bitmap bitmap(bits);
    for ([[maybe_unused]] auto turn : state) {
        bitmap->set_range(7, static_cast<u64>(state.range(0)));
        benchmark::ClobberMemory();
    }
}
BENCHMARK(bitmap_set_range)->Arg(16)->Arg(4096)->Arg(200'000);

}  // namespace
}  // namespace verso
