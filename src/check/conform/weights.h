// How likely each word of the notation is in a random program, in each of its three phases: first
// the memory is filled, then disturbed, then probed. A word that is 0 in all of them is placed by
// the generator itself.
#pragma once

#include <array>
#include <string_view>

#include "base/types.h"

namespace verso::check {

/// Phases of a program: what is drawn most in each.
enum Phase : u8 { fill, disturb, probe, phases };

struct Weight {
    std::string_view word;
    u16 of[phases];  // fill, disturb, probe
    bool machine = false;
};

inline constexpr auto weights = std::to_array<Weight>({
    {"store", {30, 12, 30}},
    {"load", {10, 6, 12}},
    {"read", {1, 2, 3}},
    {"write", {2, 4, 6}},
    {"force", {1, 3, 3}},
    {"pin", {1, 2, 1}},
    {"unpin", {0, 1, 1}},
    {"lock", {1, 2, 1}},
    {"pwrite", {8, 3, 2}},
    {"map", {5, 3, 0}},
    {"munmap", {0, 3, 0}},
    {"mremap", {0, 7, 0}},
    {"mprotect", {2, 8, 2}},
    {"truncate", {0, 2, 0}},
    {"punch", {0, 4, 0}},
    {"REGISTER", {3, 12, 1}},
    {"UNREGISTER", {0, 6, 1}},
    {"WAKE", {0, 1, 0}},
    {"WRITEPROTECT", {0, 10, 3}},
    {"clear", {0, 5, 2}},
    {"COPY", {1, 7, 2}},
    {"ZEROPAGE", {1, 5, 1}},
    {"CONTINUE", {0, 5, 1}},
    {"POISON", {0, 4, 0}},
    {"MOVE", {0, 8, 1}},
    {"close", {0, 3, 0}},
    {"messages", {0, 0, 0}},
    {"fork", {2, 4, 0}},
    {"exit", {0, 1, 0}},
    {"scan", {0, 3, 8}},
    {"arm", {0, 9, 6}},
    {"DONTNEED", {0, 10, 2}},
    {"REMOVE", {0, 3, 0}},
    {"NOHUGEPAGE", {1, 1, 0}},
    {"POPULATE_WRITE", {3, 3, 2}},
    {"POPULATE_READ", {3, 3, 1}},
    {"FREE", {0, 3, 0}},
    {"COLD", {0, 2, 0}},
    {"COLLAPSE", {1, 2, 0}},
    {"HUGEPAGE", {1, 1, 0}},
    {"MERGEABLE", {2, 1, 0}},
    {"UNMERGEABLE", {0, 1, 0}},
    {"GUARD_INSTALL", {1, 5, 0}},
    {"GUARD_REMOVE", {0, 4, 0}},
    {"reclaim", {0, 14, 0}, true},
    {"swapoff", {0, 1, 0}, true},
    {"migrate", {0, 6, 0}, true},
    {"hint", {0, 1, 0}, true},
    {"merge", {0, 4, 0}, true},
    {"unmerge", {0, 1, 0}, true},
    {"collapse", {0, 1, 0}, true},
    {"split", {0, 2, 0}, true},
    {"writeback", {0, 2, 0}, true},
});

}  // namespace verso::check
