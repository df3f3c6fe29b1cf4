// What a store to a protected page costs a guest under KVM, beside the same store of a thread:
//
//   thread   trap ─▶ message ─▶ engine copies, releases ─▶ wake-up ─▶ store
//   guest    exit from the guest ─▶ KVM asks for the page ─▶ the same ─▶ KVM's own entry ─▶ store
//
// Each store is timed by whoever makes it (RDTSC), or with the run of the guest around it by the
// host. Pages are 128 apart, so that each store is a fault of its own; every turn takes a snapshot
// and drops the one before. p50_us and the others are over all stores of all turns.
#include <algorithm>
#include <chrono>
#include <cstring>
#include <optional>
#include <vector>

#include <benchmark/benchmark.h>
#include <x86intrin.h>

#include "verso/verso.hpp"
#include "vm/guest_code.h"
#include "vm/kvm_guest.h"

namespace verso {
namespace {

using test::KvmGuest;

constexpr u64 stores = 64;  // a turn
constexpr u64 apart = 128;
constexpr u64 first_page = apart;
constexpr u64 pages = first_page + stores * apart;
constexpr u64 ticks_at = to_bytes(1);  // where the guest says what each store took
constexpr int turns = 32;

double now_ns() {
    return static_cast<double>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                   std::chrono::steady_clock::now().time_since_epoch())
                                   .count());
}

double ns_per_tick() {
    static const double known = [] {
        constexpr double long_enough_ns = 20e6;
        const double begin_ns = now_ns();
        const u64 begin = __rdtsc();
        while (now_ns() - begin_ns < long_enough_ns) {}
        return (now_ns() - begin_ns) / static_cast<double>(__rdtsc() - begin);
    }();
    return known;
}

/// A region whose pages to be stored to are there and protected, turn after turn.
class Turns {
public:
    explicit Turns(benchmark::State& state) : state_(state) {
        Result<Region> made = Region::create({.size = to_bytes(pages)});
        if (!made) {
            state_.SkipWithError(made.error().message.c_str());
            return;
        }
        region_.emplace(std::move(*made));
        for (u64 i = 0; i < stores; ++i) {
            region_->bytes()[place(i)] = std::byte{1};
        }
    }
    ~Turns() {
        std::ranges::sort(ns_);
        for (const auto& [name, share] :
             {std::pair("p50_us", 0.5), std::pair("p99_us", 0.99), std::pair("max_us", 1.0)}) {
            if (!ns_.empty()) {
                const auto last = static_cast<double>(ns_.size() - 1);
                state_.counters[name] = ns_[static_cast<std::size_t>(share * last)] / 1e3;
            }
        }
        state_.counters["stores"] = static_cast<double>(ns_.size());
    }
    Turns(const Turns&) = delete;
    Turns& operator=(const Turns&) = delete;

    static u64 place(u64 store) { return to_bytes(first_page + store * apart); }
    bool can() const { return region_.has_value(); }
    std::span<std::byte> bytes() const { return region_->bytes(); }
    std::optional<KvmGuest> guest(KvmGuest::Mode mode, std::span<const u8> code) {
        Result<KvmGuest> made = KvmGuest::create(bytes(), mode);
        if (!made) {
            state_.SkipWithError(made.error().message.c_str());
            return std::nullopt;
        }
        test::load_code(bytes(), code);
        return std::move(*made);
    }
    bool protect() {
        Result<Snapshot> taken = region_->snapshot();
        if (!taken) {
            state_.SkipWithError(taken.error().message.c_str());
            return false;
        }
        before_.emplace(std::move(*taken));
        bytes()[ticks_at] = std::byte{0};  // the guest's own notes are no first write
        return true;
    }
    void took(double ns) { ns_.push_back(ns); }
    void end_of_turn() {
        double sum = 0;
        for (std::size_t i = ns_.size() - stores; i < ns_.size(); ++i) {
            sum += ns_[i];
        }
        state_.SetIterationTime(sum / 1e9);
    }
    bool ran(const Result<KvmGuest::End>& end) {
        if (!end) {
            state_.SkipWithError(end.error().message.c_str());
        }
        return end.has_value();
    }

private:
    benchmark::State& state_;
    std::optional<Region> region_;
    std::optional<Snapshot> before_;
    std::vector<double> ns_;
};

void thread_store(benchmark::State& state) {
    Turns all(state);
    for ([[maybe_unused]] auto turn : state) {
        if (!all.can() || !all.protect()) {
            break;
        }
        for (u64 i = 0; i < stores; ++i) {
            auto* const word =
                reinterpret_cast<volatile u32*>(all.bytes().data() + Turns::place(i));
            _mm_lfence();
            const u64 begin = __rdtsc();
            *word = static_cast<u32>(i);
            _mm_mfence();
            _mm_lfence();
            all.took(static_cast<double>(__rdtsc() - begin) * ns_per_tick());
        }
        all.end_of_turn();
    }
}
BENCHMARK(thread_store)->UseManualTime()->Iterations(turns);

void guest_store(benchmark::State& state, KvmGuest::Mode mode) {
    Turns all(state);
    std::optional<KvmGuest> guest =
        all.can() ? all.guest(mode, test::time_stores) : std::optional<KvmGuest>{};
    kvm_regs arguments = test::walk(Turns::place(0), stores, to_bytes(apart));
    arguments.rdi = ticks_at;
    for ([[maybe_unused]] auto turn : state) {
        if (!guest || !all.protect()) {
            break;
        }
        guest->set_registers(arguments);
        if (!all.ran(guest->run())) {
            break;
        }
        for (u64 i = 0; i < stores; ++i) {
            u32 ticks = 0;
            std::memcpy(&ticks, all.bytes().data() + ticks_at + i * sizeof ticks, sizeof ticks);
            all.took(ticks * ns_per_tick());
        }
        all.end_of_turn();
    }
}
BENCHMARK_CAPTURE(guest_store, long_mode, KvmGuest::Mode::long_64)
    ->UseManualTime()
    ->Iterations(turns);
BENCHMARK_CAPTURE(guest_store, protected_mode, KvmGuest::Mode::protected_32)
    ->UseManualTime()
    ->Iterations(turns);

/// The host's view: KVM_RUN, in which the guest makes one store and ends. On pages that are
/// protected, or have just been written in another such run.
void guest_run(benchmark::State& state, KvmGuest::Mode mode, bool protect) {
    Turns all(state);
    std::optional<KvmGuest> guest =
        all.can() ? all.guest(mode, test::store_rising) : std::optional<KvmGuest>{};
    const auto run = [&](u64 store) {
        guest->set_registers(test::walk(Turns::place(store), 1, page_size, store));
        const double begin = now_ns();
        const Result<KvmGuest::End> end = guest->run();
        const double took = now_ns() - begin;
        return all.ran(end) ? took : -1.0;
    };
    for ([[maybe_unused]] auto turn : state) {
        if (!guest || !all.protect()) {
            break;
        }
        for (u64 i = 0; i < stores; ++i) {
            const double first = run(i);
            const double took = protect ? first : run(i);
            if (first < 0 || took < 0) {
                return;
            }
            all.took(took);
        }
        all.end_of_turn();
    }
}
BENCHMARK_CAPTURE(guest_run, long_mode_protected, KvmGuest::Mode::long_64, true)
    ->UseManualTime()
    ->Iterations(turns);
BENCHMARK_CAPTURE(guest_run, long_mode_writable, KvmGuest::Mode::long_64, false)
    ->UseManualTime()
    ->Iterations(turns);
BENCHMARK_CAPTURE(guest_run, protected_mode_protected, KvmGuest::Mode::protected_32, true)
    ->UseManualTime()
    ->Iterations(turns);
BENCHMARK_CAPTURE(guest_run, protected_mode_writable, KvmGuest::Mode::protected_32, false)
    ->UseManualTime()
    ->Iterations(turns);

}  // namespace
}  // namespace verso
