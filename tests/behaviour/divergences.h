// Programs of the behavioural suite on which the running kernel is known to break what is expected:
// there the preset "mended" keeps it, and that of the release breaks it in the same way. Each is
// run, counted and printed every time, and a program that is in the list and agrees with "mended"
// is a failure. docs/mm.md has it as a table; all that is known is in docs/findings.md.
#pragma once

#include <string_view>
#include <vector>

namespace verso::behaviour {

/// A program, without expectations, on which that release breaks what "mended" keeps.
struct Divergence {
    std::string_view release;
    std::string_view program;
    std::string_view reason;
};

inline const std::vector<Divergence>& divergences() {
    static constexpr const char* guard_hangs =
        "E-GR2: MADV_GUARD_INSTALL over protected file memory never ends: each round zaps the "
        "entry, "
        "which leaves a protection marker, which is no guard, so there is another round";
    static constexpr const char* guard_filled =
        "FL-27, E-GR8: COPY takes a guard for a marker that may be replaced, and the guard is gone";
    static constexpr const char* guard_armed =
        "SC-34: PAGEMAP_SCAN arms a guard like any marker and calls it clean afterwards";
    static constexpr const char* lost_zap =
        "E-ZP5, I10: dropping a private copy leaves a protection marker also in asynchronous mode, "
        "so that memory whose bytes changed is called clean";
    static constexpr const char* hugetlb_empty =
        "SC-26, SC-33: an empty hugetlb entry is neither called written nor armed";
    static constexpr const char* any_descriptor =
        "FL-6, WP-9: that the memory is registered with some userfaultfd is enough";
    static const std::vector<Divergence> list = {
        {"6.18", "SS: REGISTER(WP); WRITEPROTECT; GUARD_INSTALL", guard_hangs},
        {"6.18", "SP: store; REGISTER(WP); WRITEPROTECT; GUARD_INSTALL", guard_hangs},
        {"6.18", "A: REGISTER(MISSING); GUARD_INSTALL; COPY", guard_filled},
        {"6.18", "SS: REGISTER(MISSING); GUARD_INSTALL; COPY", guard_filled},
        {"6.18", "SP: REGISTER(MISSING); GUARD_INSTALL; COPY", guard_filled},
        {"6.18", "A, async: REGISTER(WP); GUARD_INSTALL; arm; load", guard_armed},
        {"6.18", "SS, async: REGISTER(WP); GUARD_INSTALL; arm; load", guard_armed},
        {"6.18", "SP, async: store; REGISTER(WP); arm; DONTNEED", lost_zap},
        {"6.18", "HP, async: store; REGISTER(WP); arm; DONTNEED", lost_zap},
        {"6.18", "HS, async: REGISTER(WP); scan(WRITTEN)", hugetlb_empty},
        {"6.18", "HP, async: REGISTER(WP); scan(WRITTEN)", hugetlb_empty},
        {"6.18", "HS, async: REGISTER(WP); arm; load; store", hugetlb_empty},
        {"6.18", "HP, async: REGISTER(WP); arm; load; store", hugetlb_empty},
        {"6.18", "A: other REGISTER(MISSING); COPY", any_descriptor},
        {"6.18", "SS: other REGISTER(MISSING); COPY", any_descriptor},
        {"6.18", "A: store; other REGISTER(WP); WRITEPROTECT", any_descriptor},
        {"6.18", "SS: store; other REGISTER(WP); WRITEPROTECT", any_descriptor},
    };
    return list;
}

}  // namespace verso::behaviour
