// What most searches of the claims are about, and how what they found is said.
#pragma once

#include "claims/claim.h"
#include "claims/explore.h"

namespace verso::claims {

/// Acts in a program, at most: with 7 all searches together take a few seconds.
inline constexpr unsigned programs_max = 7;

/// Everything that may happen to protected memory, sync: stores must be told of.
inline std::vector<Act> sync_acts() {
    return acts_named({"store", "load", "WRITEPROTECT", "clear", "migrate", "hint",
                       "mprotect(READ); mprotect(READ|WRITE)", "reclaim", "swapoff", "DONTNEED",
                       "COPY(WP)"});
}
/// Likewise where nothing is ever protected.
inline std::vector<Act> plain_acts() {
    return acts_named({"store", "load", "migrate begins", "migrate ends", "migrate fails", "hint",
                       "mprotect(READ)", "mprotect(READ|WRITE)", "reclaim", "swapoff", "DONTNEED"});
}

inline Scope sync_scope(MemoryKind kind, unsigned acts_max = programs_max) {
    return {.kind = kind, .acts_max = acts_max, .acts = sync_acts()};
}

inline std::string said(const Found& found) {
    return found.trouble.empty() ? fmt::format("nothing in {} states", found.states)
                                 : found.program;
}

/// I1: an entry that is protected and writable.
inline std::string no_writable_protected(const State& state, const Rules&) {
    for (u32 at = 0; at < 2; ++at) {
        const mm::Entry entry = mm::entry_at(state, 0, at);
        if (entry.present() && entry.uffd_wp && entry.write) {
            return "P(w=1, u=1)";
        }
    }
    return {};
}

/// I2: what would become one.
inline std::string no_protected_write_entry(const State& state, const Rules&) {
    for (u32 at = 0; at < 2; ++at) {
        const mm::Entry entry = mm::entry_at(state, 0, at);
        if (entry.kind == mm::EntryKind::migration && entry.uffd_wp &&
            entry.migration == mm::MigrationKind::write) {
            return "M(WRITE, u=1)";
        }
    }
    return {};
}

/// I6.
inline std::string no_default_write(const State& state, const Rules&) {
    const mm::Vma* const vma = state.find_vma(0, 0);
    const bool broken =
        vma != nullptr && vma->shared() && vma->has(mm::VmFlag::uffd_wp) && vma->prot_write;
    return broken ? "W in vm_page_prot" : "";
}

inline const mm::Rules four_designs[] = {neither(), only_writenotify(), only_clears_w(),
                                         mm::mainline()};

struct Site {
    const char* name;
    u8 bit;
};
inline constexpr Site sites[] = {{"migration", mm::WpSite::migration},
                                 {"NUMA hint", mm::WpSite::numa_hint},
                                 {"mprotect", mm::WpSite::mprotect},
                                 {"refault", mm::WpSite::refault},
                                 {"COPY", mm::WpSite::copy}};

/// Design (2) by hand, without these sites.
inline mm::Rules by_hand_without(u8 left_out, mm::Rules base = neither()) {
    base.wp_site_removal = static_cast<u8>(mm::WpSite::all & ~left_out);
    return base;
}

inline Verdicts only(std::string on) { return {std::move(on), {}}; }

}  // namespace verso::claims
