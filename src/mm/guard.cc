// Guard regions, section 8.11; mm/madvise.c. A guard is a marker that takes an address out of use
// while its VMA stays whole: whatever was there goes, protection included, and an access is
// SIGSEGV. As of 6.18: anonymous memory since 6.13, files since 6.15 (has_guard_*). That installing
// over a protection marker never ends is a mistake of 6.18 (guard_install_ends).
#include <cerrno>

#include "base/check.h"
#include "mm/model.h"

namespace verso::mm {
namespace {

/// is_valid_guard_vma(): E-GR4.
bool valid_guard_vma(const Machine& machine, const Vma& vma, bool install) {
    if (is_hugetlb(machine.state, vma) || (install && vma.has(VmFlag::locked))) {
        return false;
    }
    // 6.13 and 6.14: anonymous memory that may be written.
    return machine.rules.has_guard_file || (vma.anonymous() && vma.has(VmFlag::may_write));
}

/// E-GR1 to E-GR3. False: it never ends. 6.18 takes what is left after zapping for something that
/// has come meanwhile, and zaps again: protection of file memory leaves a marker every time.
/// guard_install_pte_entry().
bool install_in(Machine& machine, u8 space, const Vma& vma, Vpn start, Vpn end) {
    State& state = machine.state;
    zap_range(machine, space, vma, start, end, 0);
    for (Vpn at = start; at < end; ++at) {
        if (pmd_of(state, space, at).kind == PmdKind::leaf) {
            split_huge_pmd(machine, space, vma, state.pmd_start(at));
        }
        const Entry entry = entry_at(state, space, at);
        if (entry.is_marker(Marker::guard)) {
            continue;
        }
        if (!entry.none() && !machine.rules.guard_install_ends) {
            return false;
        }
        set_pte(machine, space, at, make_marker(Marker::guard));
    }
    return true;
}

/// E-GR6. guard_remove_pte_entry().
void remove_from(Machine& machine, u8 space, Vpn start, Vpn end) {
    for (Vpn at = start; at < end; ++at) {
        const Entry* const entry = pte_of(machine.state, space, at);
        if (entry != nullptr && entry->is_marker(Marker::guard)) {
            set_pte(machine, space, at, Entry{});
        }
    }
}

/// Of a part of one VMA: who calls walks over them, and tells of holes.
Outcome guard(Machine& machine, u8 thread, u64 address, u64 length, bool install) {
    State& state = machine.state;
    const u8 space = state.threads[thread].space;
    const Vpn start = static_cast<Vpn>(to_pages(address));
    const Vpn end = static_cast<Vpn>(to_pages(address + length));
    const Vma vma = *state.find_vma(space, start);
    VERSO_CHECK(end <= vma.end, "a guard over pages {} to {}, beyond its VMA", start, end);
    if (!valid_guard_vma(machine, vma, install)) {
        return Outcome::fail(EINVAL);
    }
    if (!install) {
        remove_from(machine, space, start, end);
    } else if (!install_in(machine, space, vma, start, end)) {
        return never_returns(state, thread);
    }
    return Outcome::ok();
}

}  // namespace

/// madvise_guard_install() (6.13).
Outcome guard_install(Machine& machine, u8 thread, u64 address, u64 length) {
    return guard(machine, thread, address, length, true);
}

/// madvise_guard_remove() (6.13).
Outcome guard_remove(Machine& machine, u8 thread, u64 address, u64 length) {
    return guard(machine, thread, address, length, false);
}

}  // namespace verso::mm
