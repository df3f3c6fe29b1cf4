// The toy, searched by our own BreadthFirst, as one line of JSON; or printed as Promela, for
// bench/against/spin, which runs both and compares.
//
//   verso_against [--promela] WRITERS PAGES WRITES SWEEPS MIGRATIONS [THREADS]
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <ctime>

#include "against/toy.h"

namespace verso::bench {
namespace {

double cpu_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

int run(std::span<char* const> arguments) {
    const bool promela = !arguments.empty() && std::strcmp(arguments[0], "--promela") == 0;
    arguments = arguments.subspan(promela ? 1 : 0);
    ToySize size;
    u32 threads = 1;
    u32* const values[] = {&size.writers, &size.pages,      &size.writes,
                           &size.sweeps,  &size.migrations, &threads};
    for (std::size_t i = 0; i < arguments.size() && i < std::size(values); ++i) {
        const char* const text = arguments[i];
        const auto [end, error] = std::from_chars(text, text + std::strlen(text), *values[i]);
        if (error != std::errc{} || *end != '\0' || *values[i] == 0 || *values[i] > 7) {
            fmt::print(stderr, "'{}' is not a number from 1 to 7\n", text);
            return 2;
        }
    }
    const Toy toy(size);
    if (promela) {
        fmt::print("{}", toy.to_promela());
        return 0;
    }
    const auto begin = std::chrono::steady_clock::now();
    const double cpu = cpu_seconds();
    const ToyCount count = search(toy, threads);
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    if (!count.fits) {
        fmt::print(stderr, "this toy does not fit into 16 GB; ask for a smaller one\n");
        return 1;
    }
    fmt::print(
        "{{\"states\": {}, \"steps\": {}, \"depth\": {}, \"threads\": {}, \"seconds\": "
        "{:.3f}, \"cpu_seconds\": {:.3f}}}\n",
        count.states, count.steps, count.depth, threads, seconds, cpu_seconds() - cpu);
    return 0;
}

}  // namespace
}  // namespace verso::bench

int main(int argc, char** argv) {
    return verso::bench::run(std::span<char* const>(argv + 1, static_cast<std::size_t>(argc - 1)));
}
