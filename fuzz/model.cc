// The model of memory management under random calls: a fuzzer's bytes choose the machine, the calls
// with their arguments, and every way in which the kernel could go. After each step all oracles
// look (mm/watched.h); at the end what is under way is ended, and nobody may be left waiting.
//
// The rules are those of "mended": the newest release, as it would be if it kept every promise. On
// 6.18 itself many an input ends in what docs/findings.md tells (of 150 random calls one in
// twelve), which hides whatever lies behind it; tests/mm/random_program_test.cc makes random
// programs there, and finds for each violation the rule that 6.18 lacks. What differs between the
// two presets is those rules alone.
//
// An input that breaks something prints its program when VERSO_PROGRAM is set:
//   VERSO_PROGRAM=1 build/fuzz/fuzz_model FILE
#include <cstdio>
#include <cstdlib>

#include <fmt/core.h>

#include "mm/random_program.h"
#include "mm/watched.h"

namespace mm = verso::mm;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const mm::Rules rules = *mm::preset("mended");
    static const bool tells = std::getenv("VERSO_PROGRAM") != nullptr;
    mm::ByteChoice choice({data, size});
    mm::Watched watched(mm::random_machine(choice), rules);
    while (choice.any()) {
        const mm::Call call = mm::random_call(watched.state(), choice);
        const std::string broken = watched.step(call, choice);
        if (tells) {
            fmt::print(stderr, "{}\n", line_of(call, watched.outcome()));
        }
        VERSO_CHECK(broken.empty(), "{}", broken);
    }
    const std::string broken = watched.finish(choice);
    VERSO_CHECK(broken.empty(), "at the end: {}", broken);
    return 0;
}
