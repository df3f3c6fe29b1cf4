// Primitive operations on entries (section 1.7 of the specification, O1–O9;
// include/linux/pgtable.h, mm/mprotect.c): the only places where the bits of an entry change by
// rule.
#pragma once

#include "mm/rules.h"
#include "mm/state.h"

namespace verso::mm {

/// O1, mk_pte(): a clean entry for the page with the VMA's default protection.
Entry mk_pte(PageId page, const Vma& vma);
/// The shared zero page (pte_mkspecial(pfn_pte(zero_pfn))): never writable.
Entry mk_zero(const Vma& vma);
/// O2, pte_modify(): write and access from vm_page_prot; keeps page, dirty, young, soft_dirty,
/// uffd_wp.
Entry pte_modify(Entry entry, const Vma& vma);
Entry pte_mkwrite(Entry entry);
/// O3, maybe_mkwrite(): only if the VMA may be written.
Entry maybe_mkwrite(Entry entry, const Vma& vma);
/// O4, pte_mkdirty(): dirty, and soft-dirty.
Entry pte_mkdirty(Entry entry);
Entry pte_wrprotect(Entry entry);
/// O5, pte_mkuffd_wp(): since 6.3 also takes write away. Nothing at all where the bit does not
/// exist (5.6 and before: protection was only a missing write bit).
Entry pte_mkuffd_wp(Entry entry, const Rules& rules);
/// O6.
Entry pte_clear_uffd_wp(Entry entry);

Entry make_marker(u8 markers);
Entry make_migration(MigrationKind kind, PageId page);
Entry make_swap(u16 slot);

/// vma_soft_dirty_enabled(): configured, and this VMA is being tracked.
bool soft_dirty_enabled(const Vma& vma, const Rules& rules);
/// O9, can_change_pte_writable(): may a present entry of a writable VMA become writable without
/// anybody having to hear of the next store?
bool can_change_pte_writable(const State& state, const Vma& vma, const Entry& entry,
                             const Rules& rules);

}  // namespace verso::mm
