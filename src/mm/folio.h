// Folios: one page, or a large one of `shape.huge_pages` pages. What reclaim, migration, writeback
// and hardware errors share: who maps a folio, what an entry leaves behind when it goes, and the
// page cache.
#pragma once

#include "mm/model.h"

namespace verso::mm {

/// Pages of the folio whose head this is.
u32 folio_pages(const State& state, PageId head);
/// Every mapping of any page of the folio: an entry is named once, a leaf once for all of them.
Mappings folio_mappings(const State& state, PageId head);
/// The entry itself; of a leaf, the leaf's.
Entry mapping_entry(const State& state, const Mapping& mapping);
void set_mapping(Machine& machine, const Mapping& mapping, const Entry& entry);
Vma mapping_vma(const State& state, const Mapping& mapping);
bool folio_pinned(const State& state, PageId head);
/// Nothing is under way with it (lock, writeback), no long-term pin, every entry present.
bool folio_isolated(const State& state, PageId head);
/// Makes small pages of a large folio that is not hugetlb; leaves that map it are split first.
void split_folio(Machine& machine, PageId head);
/// PageAnonExclusive for one entry's page, or for all that a leaf covers.
void set_anon_exclusive(State& state, const Mapping& mapping, PageId target, bool exclusive);

/// What takes the place of an entry that is dropped, pte_install_uffd_wp_if_needed(). `survives`:
/// the same bytes come back with the next fault, so it was no modification (section 8.2).
Entry left_behind(const Machine& machine, const Vma& vma, const Entry& entry, bool survives);
/// Are these the file's own bytes, not a private copy? False for entries that have no page.
bool is_files_own(const State& state, const Entry& entry);

/// Takes the page, or the slot, out of the cache; nothing is written anywhere.
void remove_from_cache(Machine& machine, u8 file, u32 index);

/// Both ends of a migration in one step, to a node: false if the folio has to stay.
bool migrate_misplaced(Machine& machine, PageId page, u8 node);
/// begin: every entry of the folio that is present becomes a migration entry.
void try_to_migrate(Machine& machine, PageId head);
/// end: every migration entry of `from` becomes an entry of `to`.
void remove_migration_ptes(Machine& machine, PageId from, PageId to);
/// One entry: set_pte after try_to_migrate_one()'s rules.
void migrate_mapping(Machine& machine, const Mapping& mapping);
/// Everything but the entries: contents, cache, swap cache, flags. no_page: no memory.
PageId migrate_folio_move(Machine& machine, PageId head, u8 node);
/// Unlocks; frees what nobody has any more.
void finish_folio(Machine& machine, PageId head);

}  // namespace verso::mm
