// Random programs over the whole notation (check/program), the same for the same seed on every
// machine, weighted so that something happens: memory is filled, registered and protected early,
// then disturbed in every way that the notation has words for, then looked at and stored to.
//
// Why not all steps alike: drawn that way, one program in 200 has a protected page at all. One in
// six is drawn that way nevertheless, because what nobody thought of is in no weight.
//
// Steps that are slow on a real machine, or change its settings (reclaim with a swap file, merging,
// migration, a pool of huge pages), come in batches of their own: `Batch` says which.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "check/program/program.h"

namespace verso::check {

enum class Batch : u8 {
    quick,    // calls and accesses, nothing that needs the machine's settings
    machine,  // also kernel::Trigger, and hugetlb
};

struct Scope {
    std::vector<Kind> kinds{};         // empty: every kind
    std::vector<std::string> calls{};  // words of the notation; empty: every word
};

/// Program number `index` of that seed.
Program generate(u64 seed, u64 index, const Scope& scope, Batch batch);

/// Words that Scope::calls may hold.
std::vector<std::string_view> call_words();
/// Does a kernel take milliseconds for this word, or must the machine be changed for it?
bool needs_machine(std::string_view word);

}  // namespace verso::check
