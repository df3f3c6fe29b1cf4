// Mutants of the model, switched at run time: scripts/mutate writes `mutated(7) ? … : …` into its
// copy of src/mm, and these two variables are what it asks and tells. In the ordinary build nobody
// does.
//
//   verso_mutant   which one is on; -1: none
//   verso_met[i]   the place of mutant i was come past
//
// A mutant may crash, run for ever or eat memory, so each is tried in a process of its own.
#pragma once

#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "check/litmus/catalogue.h"

// NOLINTBEGIN: what the mutants refer to, in another language's manner
extern "C" int verso_mutant;
inline constexpr std::size_t mutants_max = 16384;
extern "C" unsigned char verso_met[mutants_max];
// NOLINTEND

namespace verso::bench {

inline constexpr u64 model_runs_max = 4096;

/// One text on one preset, on the model as it is.
struct Trial {
    const check::CatalogueEntry* text = nullptr;
    std::string preset;
    check::Judgement::Kind verdict{};
    u32 course = 0;
    u64 runs = 0;
    u64 cpu_ns = 0;
    std::vector<bool> met;
};

/// How an attempt in a process of its own ended.
enum class Attempt : u8 { same, other, crashed, ran_for_ever };

u64 cpu_ns();
std::vector<bool> met_now();
void forget_met();

/// All texts on those presets. An error, if they are `held` to what is kept beside them: a text
/// that the model as it is contradicts.
Result<std::vector<Trial>> measure(const std::vector<check::CatalogueEntry>& texts,
                                   const std::vector<std::string>& presets, bool held);
/// Does the trial end otherwise under the mutant that is on?
bool differs(const Trial& trial);

/// Runs `attempt(i)` for i = 0 … count - 1 in a child until one is true; `at` is the one that it
/// came to. `limit_ns(i)`: the processor time that it has.
Attempt in_a_child(std::size_t count, const std::function<bool(std::size_t)>& attempt,
                   const std::function<u64(std::size_t)>& limit_ns, std::size_t& at);

/// A mutant that is to be killed, and where it is: "17 uffd_register uffd_register.cc".
struct Wanted {
    int mutant = 0;
    std::string function;
    std::string file;
};
Result<std::vector<Wanted>> read_wanted(const std::string& path);

/// `seconds_max`: of processor time for each mutant; what is not killed by then counts as alive.
int judge(const std::vector<Trial>& trials, const std::vector<Wanted>& wanted, double seconds_max);

struct GrowOptions {
    u64 seed = 1;
    double minutes = 10;
    std::string folder;
    std::string catalogue;
};
int grow(const std::vector<Trial>& trials, std::vector<Wanted> wanted, const GrowOptions& options);

}  // namespace verso::bench
