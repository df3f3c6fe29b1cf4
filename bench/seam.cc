// What the seam costs: a virtual call, a Call made and hashed, an event waited for. Compare with
// the cheapest system call (120 ns) and with what a protect costs (below).
#include <functional>

#include <benchmark/benchmark.h>

#include "kernel/kernel.h"
#include "linux/linux_kernel.h"

namespace verso {
namespace {

/// Does nothing: what is left is the seam itself.
class IdleKernel final : public kernel::Kernel {
public:
    kernel::Outcome perform(const kernel::Call& call, const kernel::Payload& payload) override {
        benchmark::DoNotOptimize(&payload);
        return kernel::Outcome::done(static_cast<i64>(call.length));
    }
    const kernel::Abilities& abilities() override { return abilities_; }
    std::unique_ptr<kernel::Thread> spawn(const std::string& name,
                                          std::function<void()> body) override {
        return host::linux_kernel().spawn(name, std::move(body));
    }
    std::unique_ptr<kernel::Mutex> make_mutex() override {
        return host::linux_kernel().make_mutex();
    }
    std::unique_ptr<kernel::Condition> make_condition() override {
        return host::linux_kernel().make_condition();
    }
    u64 now_ns() override { return 0; }
    void relax() override {}

private:
    kernel::Abilities abilities_;
};

void seam_virtual_call(benchmark::State& state) {
    IdleKernel idle;
    kernel::Kernel* kernel = &idle;
    benchmark::DoNotOptimize(kernel);
    u64 address = 0;
    for ([[maybe_unused]] auto turn : state) {
        kernel::Call call = kernel::Call::uffd_wake(3, address += page_size, page_size);
        benchmark::DoNotOptimize(kernel->perform(call, kernel::Payload{}));
    }
}
BENCHMARK(seam_virtual_call);

void seam_call_hash(benchmark::State& state) {
    u64 address = 0;
    for ([[maybe_unused]] auto turn : state) {
        const auto call =
            kernel::Call::uffd_write_protect(3, address += page_size, page_size, true);
        benchmark::DoNotOptimize(std::hash<kernel::Call>{}(call));
    }
}
BENCHMARK(seam_call_hash);

void seam_call_compare(benchmark::State& state) {
    auto a = kernel::Call::uffd_write_protect(3, page_size, page_size, true);
    auto b = a;
    for ([[maybe_unused]] auto turn : state) {
        benchmark::DoNotOptimize(a);
        benchmark::DoNotOptimize(b);
        benchmark::DoNotOptimize(a == b);
    }
}
BENCHMARK(seam_call_compare);

void linux_cheapest_call(benchmark::State& state) {
    kernel::Kernel& kernel = host::linux_kernel();
    const kernel::Outcome event = kernel.perform(kernel::Call::event_create());
    const Fd fd(static_cast<int>(event.value));
    for ([[maybe_unused]] auto turn : state) {
        benchmark::DoNotOptimize(kernel.perform(kernel::Call::event_drain(fd.get())));
    }
}
BENCHMARK(linux_cheapest_call);

void linux_now(benchmark::State& state) {
    for ([[maybe_unused]] auto turn : state) {
        benchmark::DoNotOptimize(host::linux_kernel().now_ns());
    }
}
BENCHMARK(linux_now);

void linux_mutex(benchmark::State& state) {
    const std::unique_ptr<kernel::Mutex> mutex = host::linux_kernel().make_mutex();
    for ([[maybe_unused]] auto turn : state) {
        mutex->lock();
        mutex->unlock();
    }
}
BENCHMARK(linux_mutex);

}  // namespace
}  // namespace verso
