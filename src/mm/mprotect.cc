// Changing the protection of a range: mprotect, WRITEPROTECT and its kin, and the NUMA hint scan
// are one walk with different flags (mm/mprotect.c; sections 7, 8.1 and 8.5 of the specification).
//
//   change_protection ─▶ change_pmd_range ─▶ change_huge_pmd    a THP wholly in the range; hugetlb
//                              │          ─▶ split, then below   a THP that is not, or a file's
//                              └──────────▶ change_pte_range ─▶ change_pte
//
// As of 6.18. Before 6.3 un-protecting worked out write permission from the VMA's flags (FX-2);
// markers are of 5.19, of anonymous memory of 6.4; NUMA hints ask O9 since 6.2.
#include <algorithm>
#include <cerrno>

#include "abi/abi.h"
#include "mm/model.h"

namespace verso::mm {
namespace {

bool none_means_protected(const Machine& machine, const Vma& vma) {
    const NonePolicy policy = none_policy(machine, vma);
    return policy == NonePolicy::protected_ || policy == NonePolicy::protected_one;
}

/// E-NU1, E-NU2. A page that may be shared by copy on write is left alone: a move would gain
/// nothing. Write goes with the access, as PAGE_NONE has neither; until 6.2 it stayed in the entry,
/// pte_mk_savedwrite().
Entry prot_numa(const Machine& machine, const Vma& vma, Entry entry) {
    const State& state = machine.state;
    if (entry.protnone || entry.zero) {
        return entry;
    }
    const Page& page = state.pages[entry.target];
    const bool cow = !vma.shared() && vma.has(VmFlag::may_write);
    if (page.ksm || page.use == PageUse::device || (cow && (page.maps > 1 || page.pins > 0))) {
        return entry;
    }
    entry.protnone = true;
    return machine.rules.numa_asks_o9 ? pte_wrprotect(entry) : entry;
}

/// W-3, W-4, W-5, W-15, E-MP1, E-MP2, E-NU4. change_pte_range(), pte_present().
Entry change_present(const Machine& machine, const Vma& vma, Entry entry, u8 flags) {
    const Rules& rules = machine.rules;
    if ((flags & ChangeFlags::prot_numa) != 0) {
        return prot_numa(machine, vma, entry);
    }
    entry = pte_modify(entry, vma);
    if (entry.uffd_wp && (rules.wp_site_removal & WpSite::mprotect) != 0) {
        entry = pte_wrprotect(entry);  // S0-06
    }
    if ((flags & ChangeFlags::uffd_wp) != 0) {
        return pte_mkuffd_wp(pte_wrprotect(entry), rules);  // W-3, S1-13: nobody asks O9
    }
    if ((flags & ChangeFlags::uffd_wp_resolve) != 0) {
        entry = pte_clear_uffd_wp(entry);
        if (!rules.unprotect_uses_page_prot) {
            // Before 931298e103c2 (6.3): the VMA's flags decide, past all writenotify (FX-2).
            entry.write = vma.shared() && vma.has(VmFlag::write) && !entry.zero;
        }
    }
    const bool asks = (flags & ChangeFlags::try_writable) != 0 && !entry.write &&
                      adds_write(rules, WriteSite::unprotect);
    return asks && can_change_pte_writable(machine.state, vma, entry, rules) ? pte_mkwrite(entry)
                                                                             : entry;
}

/// pte_mkuffd_wp(), pte_clear_uffd_wp().
Entry change_uffd_bit(const Machine& machine, Entry entry, u8 flags) {
    if ((flags & ChangeFlags::uffd_wp) != 0) {
        entry.uffd_wp = machine.rules.u_bit_exists;
    } else if ((flags & ChangeFlags::uffd_wp_resolve) != 0) {
        entry.uffd_wp = false;
    }
    return entry;
}

/// W-7, W-8, W-9, W-16, E-MP3: whatever the change is, a page that was writable when it began to
/// migrate comes back read-only, and the next store finds out.
/// change_pte_range(), is_writable_migration_entry().
Entry change_migration(const Machine& machine, Entry entry, u8 flags) {
    if (entry.migration == MigrationKind::write) {
        const bool anonymous = machine.state.pages[entry.target].use == PageUse::anonymous;
        entry.migration = anonymous ? MigrationKind::read_exclusive : MigrationKind::read;
    }
    return change_uffd_bit(machine, entry, flags);
}

/// W-1, W-2, W-10, W-11, E-MP4; S3-02 to S3-04 where an empty address means protected.
/// change_pte_range(), pte_none() and markers (5.19).
Entry change_absent(const Machine& machine, const Vma& vma, Entry entry, u8 flags) {
    const bool set = (flags & ChangeFlags::uffd_wp) != 0;
    const bool clear = (flags & ChangeFlags::uffd_wp_resolve) != 0;
    if (entry.is_marker(Marker::poisoned) || entry.is_marker(Marker::guard) || (!set && !clear)) {
        return entry;
    }
    if (none_means_protected(machine, vma)) {
        if (clear) {
            return make_marker(Marker::written);
        }
        const bool two = none_policy(machine, vma) == NonePolicy::protected_;
        return entry.is_marker(Marker::written) ? make_marker(two ? Marker::uffd_wp : u8{0})
                                                : entry;
    }
    if (clear) {
        return Entry{};
    }
    return uses_markers(machine, vma) ? make_marker(Marker::uffd_wp) : entry;
}

/// W-17: is there anything to write into a page table that does not exist yet?
/// pgtable_populate_needed(), change_prepare().
bool wants_page_table(const Machine& machine, const Vma& vma, u8 flags) {
    return change_absent(machine, vma, Entry{}, flags) != Entry{};
}

void change_pte_range(Machine& machine, u8 space, const Vma& vma, Vpn start, Vpn end, u8 flags) {
    for (Vpn at = start; at < end; ++at) {
        const Entry old = *pte_of(machine.state, space, at);
        const Entry changed = change_pte(machine, vma, old, flags);
        if (changed != old) {
            set_pte(machine, space, at, changed);
        }
    }
}

/// W-12 (change_huge_pmd()), and hugetlb_change_protection(): one entry for the whole range.
void change_huge_pmd(Machine& machine, u8 space, const Vma& vma, Vpn at, u8 flags) {
    const Pmd& pmd = pmd_of(machine.state, space, at);
    const Entry old = pmd.kind == PmdKind::leaf ? pmd.leaf : Entry{};
    if (is_hugetlb(machine.state, vma) && !machine.rules.hugetlb_tries_writable) {
        flags &= static_cast<u8>(~ChangeFlags::try_writable);  // S1-09
    }
    const Entry changed = change_pte(machine, vma, old, flags);
    if (changed != old) {
        set_leaf(machine, space, at, changed);
    }
}

void change_pmd_range(Machine& machine, u8 space, const Vma& vma, Vpn start, Vpn end, u8 flags) {
    State& state = machine.state;
    const bool whole = end - start == state.shape.huge_pages;
    if (is_hugetlb(state, vma)) {
        VERSO_CHECK(whole, "part of a hugetlb page, from page {}", start);
        change_huge_pmd(machine, space, vma, start, flags);
        return;
    }
    if (pmd_of(state, space, start).kind == PmdKind::leaf) {
        // pgtable_split_needed(): a file's huge page is protected by markers (W-14).
        const bool by_markers = (flags & ChangeFlags::uffd_wp) != 0 && !vma.anonymous();
        if (whole && !by_markers) {
            change_huge_pmd(machine, space, vma, start, flags);
            return;
        }
        split_huge_pmd(machine, space, vma, state.pmd_start(start));  // W-13, E-MP5
    }
    if (pmd_of(state, space, start).kind == PmdKind::none) {
        if (!wants_page_table(machine, vma, flags)) {
            return;
        }
        pte_alloc(state, space, start);
    }
    change_pte_range(machine, space, vma, start, end, flags);
}

/// vma_wants_manual_pte_write_upgrade(): vm_page_prot lacks W, but single entries may have it.
bool wants_manual_write_upgrade(const Machine& machine, const Vma& vma) {
    return vma.shared() ? vma_wants_writenotify(machine, vma) : vma.has(VmFlag::write);
}

/// Private memory that is locked and becomes writable is brought in as for writing, as far as that
/// goes without waiting (populate_vma_page_range() with nowhere to say that it dropped the lock).
void populate_locked(Machine& machine, u8 thread, Vpn start, Vpn end) {
    for (Vpn at = start; at < end; ++at) {
        const u8 space = machine.state.threads[thread].space;
        if (entry_at(machine.state, space, at).kind == EntryKind::migration) {
            continue;  // it will be there
        }
        Access access;
        access.kind = AccessKind::populate_write;
        access.kernel = access.forced = true;  // FD-4
        access.address = to_bytes(at);
        if (do_access(machine, thread, access).verdict != Verdict::done) {
            return;
        }
    }
}

/// mprotect_fixup(): one VMA's share of an mprotect.
void mprotect_fixup(Machine& machine, u8 thread, Vpn start, Vpn end, u32 flags) {
    const u8 space = machine.state.threads[thread].space;
    const u32 old = machine.state.find_vma(space, start)->flags;
    if (old == flags) {
        return;
    }
    split_vma(machine, space, start);
    split_vma(machine, space, end);
    Vma& vma = *machine.state.find_vma(space, start);
    vma.flags = flags;
    vma_set_page_prot(machine, vma);
    const Vma copy = vma;
    change_protection(
        machine, space, copy, start, end,
        wants_manual_write_upgrade(machine, copy) ? ChangeFlags::try_writable : u8{0});
    constexpr u32 asked = VmFlag::write | VmFlag::shared | VmFlag::locked;
    if ((old & asked) == VmFlag::locked && copy.has(VmFlag::write)) {
        populate_locked(machine, thread, start, end);
    }
}

}  // namespace

NonePolicy none_policy(const Machine& machine, const Vma& vma) {
    if (!vma.has(VmFlag::uffd_wp) || !machine.rules.markers_exist) {
        return NonePolicy::unprotected;
    }
    if (!vma.anonymous()) {
        return machine.rules.none_policy_file;
    }
    const bool feature = vma.context != nobody && (machine.state.contexts[vma.context].features &
                                                   abi::Feature::wp_unpopulated) != 0;
    return feature ? machine.rules.none_policy_anon : NonePolicy::unprotected;
}

Entry change_pte(const Machine& machine, const Vma& vma, Entry entry, u8 flags) {
    switch (entry.kind) {
        case EntryKind::present: return change_present(machine, vma, entry, flags);
        case EntryKind::swap: return change_uffd_bit(machine, entry, flags);  // W-6
        case EntryKind::migration: return change_migration(machine, entry, flags);
        case EntryKind::none:
        case EntryKind::marker: return change_absent(machine, vma, entry, flags);
        case EntryKind::hwpoison: return entry;  // W-11
    }
    return entry;
}

void change_protection(Machine& machine, u8 space, const Vma& vma, Vpn start, Vpn end, u8 flags) {
    const u32 size = machine.state.shape.huge_pages;
    for (Vpn at = start; at < end;) {
        const Vpn next = std::min(end, machine.state.pmd_start(at) + size);
        change_pmd_range(machine, space, vma, at, next, flags);
        at = next;
    }
}

/// Un-protecting asks O9 where it may. In a shared mapping the running 6.18 does not, although
/// 931298e103c2 meant to: vma_wants_writenotify() takes a vm_page_prot that already lacks W for the
/// driver's own choice. It looks for page_mkwrite before that, so such files do get it.
void uffd_wp_range(Machine& machine, u8 space, const Vma& vma, Vpn start, Vpn end, bool enable) {
    u8 flags = enable ? ChangeFlags::uffd_wp : ChangeFlags::uffd_wp_resolve;
    const Rules& rules = machine.rules;
    const bool upgrades = !vma.shared() || rules.unprotect_upgrades_shared ||
                          machine.state.files[vma.file].page_mkwrite;
    if (!enable && rules.unprotect_tries_writable && upgrades &&
        wants_manual_write_upgrade(machine, vma)) {
        flags |= ChangeFlags::try_writable;
    }
    change_protection(machine, space, vma, start, end, flags);
}

/// PROT_* have the numbers of MapFlags::read and ::write. VMAs are taken in order; those before the
/// first that cannot be changed stay changed. do_mprotect_pkey(), mprotect_fixup().
Outcome do_mprotect(Machine& machine, const Call& call) {
    State& state = machine.state;
    const u8 space = state.threads[call.thread].space;
    constexpr u32 known = MapFlags::read | MapFlags::write;
    if ((call.flags & ~known) != 0 || !is_page_aligned(call.address)) {
        return Outcome::fail(EINVAL);
    }
    if (call.length == 0) {
        return Outcome::ok();
    }
    const u64 limit = to_bytes(state.shape.space_pages);
    if (call.address > limit || call.length > limit - call.address) {
        return Outcome::fail(ENOMEM);
    }
    const Vpn end = static_cast<Vpn>(to_pages(round_up(call.address + call.length, page_size)));
    int error = 0;
    for (Vpn at = static_cast<Vpn>(to_pages(call.address)); at < end && error == 0;) {
        const Vma* vma = state.find_vma(space, at);
        if (vma == nullptr) {
            error = ENOMEM;
            break;
        }
        const Vpn next = std::min(end, vma->end);
        u32 flags = vma->flags & ~(VmFlag::read | VmFlag::write);
        flags |= (call.flags & MapFlags::read) != 0 ? VmFlag::read : 0;
        flags |= (call.flags & MapFlags::write) != 0 ? VmFlag::write : 0;
        const u32 unit = is_hugetlb(state, *vma) ? state.shape.huge_pages : 1;
        if ((flags & VmFlag::write) != 0 && !vma->has(VmFlag::may_write)) {
            error = EACCES;
        } else if (flags != vma->flags && (at % unit != 0 || next % unit != 0)) {
            error = EINVAL;  // vma_modify(): nothing is split, nor asked, where nothing changes
        } else {
            mprotect_fixup(machine, call.thread, at, next, flags);
            if (state.threads[call.thread].waiting == Waiting::for_ever) {
                return {Verdict::hangs, 0, 0, 0};
            }
        }
        at = next;
    }
    merge_vmas(machine, space);
    return error == 0 ? Outcome::ok() : Outcome::fail(error);
}

}  // namespace verso::mm
