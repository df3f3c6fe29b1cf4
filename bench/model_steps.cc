// The model of memory management at its smallest: two pages, one process, one userfaultfd in SIGBUS
// mode. A simple step is one step() that a program or the kernel makes at one page; targets on
// one core: five million a second without oracles, one million with all of them. Programs end in
// the state in which they began, so that each turn does the same.
//
// Debian 12, g++ 12 -O2, one core of a virtual machine, CPU time:
//
//   steps per second, million     load, store 26   store to a protected page (SIGBUS) 36
//                                 WRITEPROTECT 14   mprotect 15   reclaim + load 12   migrate 12
//                                 all of them in turn 15; 4096 pages, huge ones of 512: 2.8
//                                 in turn under all oracles 3.0
//   a State of 1016 bytes, ns     assign 20, construct a copy 24    memcpy of as many bytes 14
//                                 equality 17                       memcmp                  10
//                                 hash 54                           XXH3                    47
//                                 canonical form 100
//   an explorer's edge            copy, step, broken_invariant: 191 ns, of these 135 the invariants
//
// Before the State was one block (std::vectors within std::vectors) the same machine took 87 ns to
// construct a copy, 29 to compare, 74 to hash, and made 12.7 million steps in turn. Profile of a
// step: no function has more than a tenth; entry bits, rmap_walk and change_pte lead.
#include <benchmark/benchmark.h>

#include <cstring>
#include <string>
#include <vector>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "abi/abi.h"
#include "base/choice.h"
#include "mm/model.h"
#include "mm/watched.h"

namespace verso::mm {
namespace {

constexpr u32 pages = 2;
constexpr Shape two_pages{.space_pages = pages,
                          .huge_pages = 2,
                          .pages = 6,
                          .slots = 4,
                          .nodes = 1,
                          .spaces_max = 2,
                          .contexts_max = 2,
                          .threads_max = 2};

/// 16 MiB with huge pages as on hardware: what an InlineVector costs once it has outgrown itself.
constexpr Shape large{.space_pages = 4096, .huge_pages = 512, .pages = 64};

/// Anonymous memory of which two pages were stored to, registered.
class Scope {
public:
    explicit Scope(const Shape& shape = two_pages) : state_(boot(shape)) {
        Call map = at(Op::mmap, 0, MapFlags::read | MapFlags::write | MapFlags::fixed);
        map.length = to_bytes(pages);
        must(map);
        must(at(Op::store, 0));
        must(at(Op::store, 1));
        must({.op = Op::uffd_open});
        Call api{.op = Op::uffd_api, .fd = 0};
        api.address = abi::uffd_api_version;
        api.extra = abi::Feature::sigbus;
        must(api);
        Call arm = at(Op::uffd_register, 0, abi::UffdRegisterMode::wp);
        arm.length = to_bytes(pages);
        must(arm);
    }

    static Call at(Op op, Vpn page, u32 flags = 0) {
        Call call{.op = op, .fd = op == Op::mmap ? nobody : u8{0}, .flags = flags};
        call.address = to_bytes(page);
        call.length = page_size;
        call.value = 7;
        return call;
    }
    Outcome step(const Call& call) {
        Machine machine{state_, rules_, choice_};
        return mm::step(machine, call);
    }
    void must(const Call& call) {
        VERSO_CHECK(step(call).verdict == Verdict::done, "{}", to_string(call));
    }
    const State& state() const { return state_; }
    const Rules& rules() const { return rules_; }

private:
    Rules rules_ = mainline();
    State state_;
    FirstChoice choice_;
};

/// Each program ends in the state in which it began, so that every turn does the same.
using Program = std::vector<Call>;

Program of_protection() {
    return {Scope::at(Op::uffd_writeprotect, 0, abi::UffdWpMode::wp),
            Scope::at(Op::uffd_writeprotect, 0)};
}
Program of_mprotect() {
    return {Scope::at(Op::mprotect, 0, MapFlags::read),
            Scope::at(Op::mprotect, 0, MapFlags::read | MapFlags::write)};
}
Program of_reclaim() { return {Scope::at(Op::reclaim, 0), Scope::at(Op::load, 0)}; }
Program of_migration() { return {Scope::at(Op::migrate_begin, 0), Scope::at(Op::migrate_end, 0)}; }

Program of_everything() {
    Program all{Scope::at(Op::load, 0), Scope::at(Op::store, 0), Scope::at(Op::load, 1),
                Scope::at(Op::store, 1)};
    const Program protection = of_protection();
    all.push_back(protection[0]);
    all.push_back(Scope::at(Op::store, 0));  // SIGBUS
    all.push_back(Scope::at(Op::load, 0));
    for (const Program& part : {of_migration(), of_reclaim()}) {
        all.insert(all.end(), part.begin(), part.end());
    }
    all.push_back(protection[1]);
    all.push_back(Scope::at(Op::store, 0));
    for (const Program& part : {of_mprotect(), of_migration()}) {
        all.insert(all.end(), part.begin(), part.end());
    }
    return all;
}

void run(benchmark::State& state, Scope& scope, const Program& program) {
    for ([[maybe_unused]] auto turn : state) {
        for (const Call& call : program) {
            benchmark::DoNotOptimize(scope.step(call));
        }
    }
    state.SetItemsProcessed(state.iterations() * static_cast<i64>(program.size()));
}

void model_step(benchmark::State& state, const Program& program) {
    Scope scope;
    run(state, scope, program);
}
BENCHMARK_CAPTURE(model_step, load, {Scope::at(Op::load, 0)});
BENCHMARK_CAPTURE(model_step, store, {Scope::at(Op::store, 0)});
BENCHMARK_CAPTURE(model_step, protect_and_clear, of_protection());
BENCHMARK_CAPTURE(model_step, mprotect_twice, of_mprotect());
BENCHMARK_CAPTURE(model_step, reclaim_and_load, of_reclaim());
BENCHMARK_CAPTURE(model_step, migrate, of_migration());
BENCHMARK_CAPTURE(model_step, everything, of_everything());

void model_step_store_to_protected(benchmark::State& state) {
    Scope scope;
    scope.must(Scope::at(Op::uffd_writeprotect, 0, abi::UffdWpMode::wp));
    const Call store = Scope::at(Op::store, 0);
    VERSO_CHECK(scope.step(store).verdict == Verdict::sigbus, "the page is protected");
    run(state, scope, {store});
}
BENCHMARK(model_step_store_to_protected);

void model_step_large_scope(benchmark::State& state, const Program& program) {
    Scope scope(large);
    run(state, scope, program);
}
BENCHMARK_CAPTURE(model_step_large_scope, store, {Scope::at(Op::store, 0)});
BENCHMARK_CAPTURE(model_step_large_scope, everything, of_everything());

/// Every step under all oracles: those over one state and those over its history.
void model_step_watched(benchmark::State& state, const Program& program) {
    const Scope scope;
    Watched watched(scope.state(), scope.rules());
    FirstChoice choice;
    for ([[maybe_unused]] auto turn : state) {
        for (const Call& call : program) {
            const std::string broken = watched.step(call, choice);
            VERSO_CHECK(broken.empty(), "{} after {}", broken, to_string(call));
        }
    }
    state.SetItemsProcessed(state.iterations() * static_cast<i64>(program.size()));
}
BENCHMARK_CAPTURE(model_step_watched, store, {Scope::at(Op::store, 0)});
BENCHMARK_CAPTURE(model_step_watched, everything, of_everything());

/// What an explorer does for each edge: copy the state, make a step, ask the invariants.
void model_step_copied_and_checked(benchmark::State& state) {
    const Scope scope;
    FirstChoice choice;
    const Call store = Scope::at(Op::store, 0);
    for ([[maybe_unused]] auto turn : state) {
        State next = scope.state();
        Machine machine{next, scope.rules(), choice};
        benchmark::DoNotOptimize(mm::step(machine, store));
        benchmark::DoNotOptimize(broken_invariant(next, scope.rules()));
    }
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(model_step_copied_and_checked);

void model_broken_invariant(benchmark::State& state) {
    const Scope scope;
    for ([[maybe_unused]] auto turn : state) {
        benchmark::DoNotOptimize(broken_invariant(scope.state(), scope.rules()));
    }
}
BENCHMARK(model_broken_invariant);

void model_state_copy(benchmark::State& state) {
    const Scope scope;
    State copy;
    for ([[maybe_unused]] auto turn : state) {
        copy = scope.state();
        benchmark::DoNotOptimize(copy);
        benchmark::ClobberMemory();
    }
    state.counters["bytes"] = static_cast<double>(sizeof(State));
}
BENCHMARK(model_state_copy);

void model_state_construct_copy(benchmark::State& state) {
    const Scope scope;
    for ([[maybe_unused]] auto turn : state) {
        State copy = scope.state();
        benchmark::DoNotOptimize(copy);
    }
}
BENCHMARK(model_state_construct_copy);

void model_state_equal(benchmark::State& state) {
    const Scope scope;
    State copy;  // another block of memory: equal, not the same
    copy = scope.state();
    for ([[maybe_unused]] auto turn : state) {
        benchmark::DoNotOptimize(copy == scope.state());
        benchmark::ClobberMemory();
    }
}
BENCHMARK(model_state_equal);

void model_state_hash(benchmark::State& state) {
    const Scope scope;
    for ([[maybe_unused]] auto turn : state) {
        benchmark::DoNotOptimize(hash_of(scope.state()));
    }
}
BENCHMARK(model_state_hash);

void model_state_canonicalise(benchmark::State& state) {
    const Scope scope;
    State copy = scope.state();
    for ([[maybe_unused]] auto turn : state) {
        canonicalise(copy);
        benchmark::DoNotOptimize(copy);
    }
}
BENCHMARK(model_state_canonicalise);

// ── limits: the same number of bytes, as fast as they go ─────────────────────────────────────────
using Bytes = std::array<unsigned char, sizeof(State)>;

void limit_memcpy(benchmark::State& state) {
    Bytes from{};
    Bytes to{};
    for ([[maybe_unused]] auto turn : state) {
        benchmark::DoNotOptimize(from);
        std::memcpy(to.data(), from.data(), to.size());
        benchmark::DoNotOptimize(to);
    }
}
BENCHMARK(limit_memcpy);

void limit_memcmp(benchmark::State& state) {
    const Bytes one{};
    const Bytes two{};
    for ([[maybe_unused]] auto turn : state) {
        benchmark::DoNotOptimize(std::memcmp(one.data(), two.data(), one.size()));
        benchmark::ClobberMemory();
    }
}
BENCHMARK(limit_memcmp);

void limit_xxh3(benchmark::State& state) {
    const Bytes bytes{};
    for ([[maybe_unused]] auto turn : state) {
        benchmark::DoNotOptimize(XXH3_64bits(bytes.data(), bytes.size()));
    }
}
BENCHMARK(limit_xxh3);

}  // namespace
}  // namespace verso::mm
