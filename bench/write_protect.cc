// Write-protection through the seam, against the same ioctl made plainly: the difference is what
// the engine's way of calling adds.
#include <benchmark/benchmark.h>

#include "cli/bench/rivals/raw_async.h"
#include "cli/bench/rivals/raw_uffd.h"
#include "linux/linux_kernel.h"

namespace verso {
namespace {

constexpr u64 region_bytes = u64{64} << 20;

/// Protects and releases `range(0)` pages, so that every turn starts from the same state.
void write_protect_raw(benchmark::State& state) {
    Result<cli::bench::RawRegion> region = cli::bench::RawRegion::create(region_bytes, false);
    if (!region)
        return state.SkipWithError(region.error().message.c_str());
    const u64 length = to_bytes(static_cast<u64>(state.range(0)));
    const u64 address = region->mapping.address();
    for ([[maybe_unused]] auto turn : state) {
        benchmark::DoNotOptimize(region->uffd.write_protect(address, length, true));
        benchmark::DoNotOptimize(region->uffd.write_protect(address, length, false));
    }
    state.SetItemsProcessed(state.iterations() * state.range(0) * 2);
}
BENCHMARK(write_protect_raw)->Arg(1)->Arg(16)->Arg(512)->Arg(16384);

void write_protect_seam(benchmark::State& state) {
    Result<cli::bench::RawRegion> region = cli::bench::RawRegion::create(region_bytes, false);
    if (!region)
        return state.SkipWithError(region.error().message.c_str());
    kernel::Kernel& kernel = host::linux_kernel();
    const u64 length = to_bytes(static_cast<u64>(state.range(0)));
    const u64 address = region->mapping.address();
    const int fd = region->uffd.fd();
    for ([[maybe_unused]] auto turn : state) {
        for (const bool on : {true, false}) {
            benchmark::DoNotOptimize(
                kernel.perform(kernel::Call::uffd_write_protect(fd, address, length, on)));
        }
    }
    state.SetItemsProcessed(state.iterations() * state.range(0) * 2);
}
BENCHMARK(write_protect_seam)->Arg(1)->Arg(16)->Arg(512)->Arg(16384);

void pagemap_scan_quiet(benchmark::State& state) {
    Result<cli::bench::RawScan> raw = cli::bench::RawScan::create(region_bytes, 1024);
    if (!raw)
        return state.SkipWithError(raw.error().message.c_str());
    if (!raw->written())
        return state.SkipWithError("no PAGEMAP_SCAN in this kernel");
    for ([[maybe_unused]] auto turn : state)
        benchmark::DoNotOptimize(raw->written());
    state.SetItemsProcessed(state.iterations() * static_cast<i64>(to_pages(region_bytes)));
}
BENCHMARK(pagemap_scan_quiet);

}  // namespace
}  // namespace verso
