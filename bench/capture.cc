// What storing old pages costs, in the ways that were weighed (src/engine/frozen.h): pwrite(2) into
// a memfd, which holds the file's lock, and UFFDIO_COPY into a mapping of it, which does not; one
// page at a time and 64, one thread and two. And what releasing leaves behind: a minor fault.

#include <atomic>

#include <benchmark/benchmark.h>

#include "abi/abi.h"
#include "cli/bench/rivals/memory.h"
#include "cli/bench/rivals/raw_uffd.h"
#include "linux/linux_kernel.h"

namespace verso {
namespace {

constexpr u64 file_bytes = u64{256} << 20;

/// A source, and a fresh file whose mapping waits for UFFDIO_COPY; emptied when it is full.
class Store {
public:
    Store() : source_(file_bytes) {
        kernel::Kernel& kernel = host::linux_kernel();
        uffd_ = Fd(static_cast<int>(
            kernel.perform(kernel::Call::uffd_open(abi::Feature::missing_shmem)).value));
        file_ = Fd(static_cast<int>(kernel.perform(kernel::Call::memfd_create()).value));
        (void)kernel.perform(kernel::Call::file_resize(file_.get(), file_bytes));
        using kernel::MapFlag;
        address_ = static_cast<u64>(
            kernel
                .perform(kernel::Call::map(file_.get(), 0, file_bytes,
                                           MapFlag::read | MapFlag::write | MapFlag::shared))
                .value);
        ready_ = kernel
                     .perform(kernel::Call::uffd_register(uffd_.get(), address_, file_bytes,
                                                          kernel::RegisterMode::missing))
                     .ok();
    }
    ~Store() { (void)host::linux_kernel().perform(kernel::Call::unmap(address_, file_bytes)); }
    Store(const Store&) = delete;
    Store& operator=(const Store&) = delete;

    bool ready() const { return ready_; }
    /// Where the next `bytes` go, not the same for two threads; every page of the file is new.
    u64 take(benchmark::State& state, u64 bytes) {
        const u64 at = next_.fetch_add(bytes);
        if (at + bytes <= file_bytes) {
            return at;
        }
        state.PauseTiming();
        (void)host::linux_kernel().perform(kernel::Call::file_punch(file_.get(), 0, file_bytes));
        next_.store(bytes);
        state.ResumeTiming();
        return 0;
    }
    bool write(u64 at, u64 bytes) {
        const std::span<const std::byte> from(source_.data() + at, bytes);
        return host::linux_kernel()
            .perform(kernel::Call::file_write(file_.get(), at, bytes), {.in = from})
            .ok();
    }
    bool copy(u64 at, u64 bytes) {
        const auto from = reinterpret_cast<u64>(source_.data() + at);  // NOLINT
        return host::linux_kernel()
            .perform(kernel::Call::uffd_copy(uffd_.get(), address_ + at, bytes, from, 0))
            .ok();
    }

private:
    std::vector<std::byte> source_;
    Fd uffd_;
    Fd file_;
    u64 address_ = 0;
    bool ready_ = false;
    std::atomic<u64> next_{0};
};

enum class How : int { pwrite, uffd_copy };

/// One thread at a time empties the file, so runs with two end before it is full.
void store_pages(benchmark::State& state, How how) {
    static std::unique_ptr<Store> store;
    if (state.thread_index() == 0) {
        store = std::make_unique<Store>();
    }
    const u64 bytes = to_bytes(static_cast<u64>(state.range(0)));
    bool good = true;
    for ([[maybe_unused]] auto turn : state) {
        if (!store->ready()) {
            state.SkipWithError("no userfaultfd here");
            return;
        }
        const u64 at = store->take(state, bytes);
        good = good && (how == How::pwrite ? store->write(at, bytes) : store->copy(at, bytes));
    }
    if (!good) {
        state.SkipWithError("a page could not be stored");
    }
    state.SetItemsProcessed(state.iterations() * state.range(0));
    if (state.thread_index() == 0) {
        store.reset();
    }
}

void store_by_pwrite(benchmark::State& state) { store_pages(state, How::pwrite); }
void store_by_uffd_copy(benchmark::State& state) { store_pages(state, How::uffd_copy); }
// As many turns as the file has room for: nothing is emptied while another thread writes.
BENCHMARK(store_by_pwrite)->Arg(64)->Iterations(512)->Threads(1)->Threads(2)->UseRealTime();
BENCHMARK(store_by_uffd_copy)->Arg(64)->Iterations(512)->Threads(1)->Threads(2)->UseRealTime();
BENCHMARK(store_by_pwrite)->Arg(1)->Iterations(16384)->UseRealTime();
BENCHMARK(store_by_uffd_copy)->Arg(1)->Iterations(16384)->UseRealTime();

/// Protect, release, then write a byte of every page: the writes take a minor fault each, because
/// the kernel leaves released pages of shared memory read-only to the processor.
void write_after_release(benchmark::State& state) {
    Result<cli::bench::RawRegion> region = cli::bench::RawRegion::create(file_bytes, false);
    if (!region) {
        return state.SkipWithError(region.error().message.c_str());
    }
    const bool released = state.range(0) != 0;
    for ([[maybe_unused]] auto turn : state) {
        state.PauseTiming();
        if (released) {
            const u64 address = region->mapping.address();
            (void)region->uffd.write_protect(address, file_bytes, true);
            (void)region->uffd.write_protect(address, file_bytes, false);
        }
        state.ResumeTiming();
        for (u64 page = 0; page < to_pages(file_bytes); ++page) {
            region->mapping.page(page)[0] = std::byte{1};
        }
    }
    state.SetItemsProcessed(state.iterations() * static_cast<i64>(to_pages(file_bytes)));
}
BENCHMARK(write_after_release)->Arg(0)->Arg(1)->Iterations(4);

/// A list of single pages, one ioctl each: what arm_later cannot go below.
void write_protect_scattered(benchmark::State& state) {
    Result<cli::bench::RawRegion> region = cli::bench::RawRegion::create(file_bytes, false);
    if (!region) {
        return state.SkipWithError(region.error().message.c_str());
    }
    constexpr u64 stride = 97;  // about 1 % of the pages
    for ([[maybe_unused]] auto turn : state) {
        for (u64 page = 0; page < to_pages(file_bytes); page += stride) {
            (void)region->uffd.write_protect(region->mapping.address() + to_bytes(page), page_size,
                                             true);
        }
    }
    state.SetItemsProcessed(state.iterations() * static_cast<i64>(to_pages(file_bytes) / stride));
}
BENCHMARK(write_protect_scattered);

}  // namespace
}  // namespace verso
