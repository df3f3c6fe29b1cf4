// Primitive operations on entries (section 1.7 of the specification, O1–O9;
// include/linux/pgtable.h, mm/mprotect.c): the only places where the bits of an entry change by
// rule. Inline: each is an instruction or two of a step.
#pragma once

#include "mm/rules.h"
#include "mm/state.h"

namespace verso::mm {

/// O1, mk_pte(): a clean entry for the page with the VMA's default protection.
inline Entry mk_pte(PageId page, const Vma& vma) {
    Entry entry;
    entry.kind = EntryKind::present;
    entry.target = page;
    entry.write = vma.prot_write;
    entry.protnone = !vma.prot_access;
    return entry;
}
/// The shared zero page (pte_mkspecial(pfn_pte(zero_pfn))): never writable.
inline Entry mk_zero(const Vma& vma) {
    Entry entry = mk_pte(0, vma);
    entry.zero = true;
    entry.write = false;
    return entry;
}
/// O2, pte_modify(): write and access from vm_page_prot; keeps page, dirty, young, soft_dirty,
/// uffd_wp.
inline Entry pte_modify(Entry entry, const Vma& vma) {
    entry.write = vma.prot_write && !entry.zero;
    entry.protnone = !vma.prot_access;
    return entry;
}
inline Entry pte_mkwrite(Entry entry) {
    entry.write = true;
    return entry;
}
/// O3, maybe_mkwrite(): only if the VMA may be written.
inline Entry maybe_mkwrite(Entry entry, const Vma& vma) {
    return vma.has(VmFlag::write) ? pte_mkwrite(entry) : entry;
}
/// Always, but where a path is made to forget it (S0-08).
inline bool adds_write(const Rules& rules, u8 site) { return (rules.write_forgotten & site) == 0; }
/// O4, pte_mkdirty(): dirty, and soft-dirty.
inline Entry pte_mkdirty(Entry entry) {
    entry.dirty = true;
    entry.soft_dirty = true;
    return entry;
}
inline Entry pte_wrprotect(Entry entry) {
    entry.write = false;
    return entry;
}
/// O5, pte_mkuffd_wp(): since 6.3 also takes write away. Nothing at all where the bit does not
/// exist (5.6 and before: protection was only a missing write bit).
inline Entry pte_mkuffd_wp(Entry entry, const Rules& rules) {
    if (!rules.u_bit_exists) {
        return entry;
    }
    entry.uffd_wp = true;
    return rules.mkuffd_wp_clears_w ? pte_wrprotect(entry) : entry;
}
/// O6.
inline Entry pte_clear_uffd_wp(Entry entry) {
    entry.uffd_wp = false;
    return entry;
}

inline Entry make_marker(u8 markers) {
    Entry entry;
    entry.kind = markers == 0 ? EntryKind::none : EntryKind::marker;
    entry.markers = markers;
    return entry;
}
inline Entry make_migration(MigrationKind kind, PageId page) {
    Entry entry;
    entry.kind = EntryKind::migration;
    entry.migration = kind;
    entry.target = page;
    return entry;
}
inline Entry make_swap(u16 slot) {
    Entry entry;
    entry.kind = EntryKind::swap;
    entry.target = slot;
    return entry;
}

/// vma_soft_dirty_enabled(): configured, and this VMA is being tracked.
inline bool soft_dirty_enabled(const Vma& vma, const Rules& rules) {
    return rules.softdirty_configured && !vma.has(VmFlag::soft_dirty);
}
/// O9, can_change_pte_writable(): may a present entry of a writable VMA become writable without
/// anybody having to hear of the next store?
bool can_change_pte_writable(const State& state, const Vma& vma, const Entry& entry,
                             const Rules& rules);

}  // namespace verso::mm
