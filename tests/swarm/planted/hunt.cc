// Hunts for a planted bug: this program is linked with an engine of which one file is a mutant
// (NAME.patch beside this), and runs seeds until one goes wrong, several times over.
//
//   planted_NAME [HUNTS [FIRST_SEED [SEEDS_MAX]]]   → "seeds seconds", means; then what was said
//
// Exit code 0: found every time. The seconds are of one processor, not of the clock: others may be
// busy, too.
#include <cstdio>
#include <cstdlib>

#include <fmt/core.h>
#include <sys/resource.h>

#include "check/swarm/run.h"

namespace {

double processor_seconds() {
    rusage usage{};
    ::getrusage(RUSAGE_CHILDREN, &usage);
    const auto seconds = [](const timeval& time) {
        return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

verso::u64 argument(int argc, char** argv, int at, verso::u64 otherwise) {
    return argc > at ? std::strtoull(argv[at], nullptr, 10) : otherwise;
}

}  // namespace

int main(int argc, char** argv) {
    using namespace verso::check::swarm;  // NOLINT: a program of its own
    const verso::u64 hunts = argument(argc, argv, 1, 5);
    const verso::u64 first = argument(argc, argv, 2, 1);
    const verso::u64 seeds_max = argument(argc, argv, 3, 100'000);
    const verso::mm::Rules rules = *verso::mm::preset("6.18");
    verso::u64 runs = 0;
    std::string said;
    for (verso::u64 hunt = 0; hunt < hunts; ++hunt) {
        Totals totals;
        const auto wrong =
            run_seeds({first + hunt * 1'000'000'007, seeds_max, 0, {}}, rules, totals);
        if (!wrong) {
            fmt::print("not found in {} runs\n", totals.runs);
            return 1;
        }
        runs += totals.runs + 1;
        said += fmt::format("  seed {} {}: {}\n", wrong->seed, name_of(wrong->ending),
                            wrong->sentence.substr(0, wrong->sentence.find('\n')));
    }
    const auto n = static_cast<double>(hunts);
    fmt::print("{:.1f} {:.3f}\n{}", static_cast<double>(runs) / n, processor_seconds() / n, said);
    return 0;
}
