// Migration: section 8.4, mm/migrate.c. Two steps with anything in between:
//
//   begin   every entry of the folio becomes M(k, y, d, sd, u); the folio is locked. k says
//           what the page was: WRITE, READ_EXCL (anonymous and ours alone), READ
//   …       faults wait; mprotect, WRITEPROTECT, fork, zapping change or drop the M entries (W-16)
//   end     the folio moves (or not: no memory, a pin, failure); every M becomes P again
//
// The end builds P from vm_page_prot. For an entry that was not writable this may bring write
// permission: the mistake of 5.19 to 6.1.7 (FX-1), for which three remedies were debated
// (rules.migration_restore), besides the two designs of section 14.1. As of 6.18; a copy is no
// longer soft-dirty by itself since 6.16 (migration_clears_sd).
#include "mm/folio.h"

namespace verso::mm {
namespace {

Outcome not_now() { return {Verdict::disabled, 0, 0, 0}; }

MigrationKind kind_before(const Machine& machine, const Entry& entry, const Page& page) {
    if (entry.write && !machine.rules.migration_two_types) {
        return MigrationKind::write;
    }
    const bool exclusive = page.use == PageUse::anonymous && page.anon_exclusive;
    return exclusive ? MigrationKind::read_exclusive : MigrationKind::read;
}

/// What the end does for an entry that was not WRITE (section 15). remove_migration_pte().
Entry restore_read_only(const Machine& machine, Entry restored, bool armed) {
    const Rules& rules = machine.rules;
    switch (rules.migration_restore) {
        case MigrationRestore::from_vma:  // E-MG5, E-MG6
            if (armed) {
                restored = pte_mkuffd_wp(restored, rules);
                if ((rules.wp_site_removal & WpSite::migration) != 0) {
                    restored = pte_wrprotect(restored);
                }
            }
            return restored;
        case MigrationRestore::uffd_special_case:  // S2-12
            return armed ? pte_wrprotect(pte_mkuffd_wp(restored, rules)) : restored;
        case MigrationRestore::by_entry_type:  // S2-05
            restored = pte_wrprotect(restored);
            return armed ? pte_mkuffd_wp(restored, rules) : restored;
    }
    return restored;
}

/// migration_entry_wait_on_locked().
bool somebody_waits(const State& state, PageId head) {
    for (const Mapping& one : folio_mappings(state, head)) {
        if (mapping_entry(state, one).kind == EntryKind::migration) {
            return true;
        }
    }
    return false;
}

/// The folio that begins its way back: the one at the address, or else one that is locked and that
/// no entry waits for any more (all that did were zapped meanwhile; a device migration replaces
/// only one of several at first). migrate_pages_batch().
PageId migrating_folio(const State& state, u8 space, Vpn at) {
    const Entry entry = entry_at(state, space, at);
    if (entry.kind == EntryKind::migration) {
        return head_of(state, entry.target);
    }
    for (PageId id = 0; id < state.pages.size(); ++id) {
        if (state.pages[id].locked && !somebody_waits(state, id)) {
            return id;
        }
    }
    return no_page;
}

/// Everybody who maps it is waiting, and no device has it. folio_migrate_mapping().
bool folio_may_move(const State& state, PageId head) {
    if (folio_pinned(state, head) || state.pages[head].writeback || state.pages[head].hwpoison) {
        return false;
    }
    for (const Mapping& one : folio_mappings(state, head)) {
        if (mapping_entry(state, one).kind != EntryKind::migration) {
            return false;
        }
    }
    return true;
}

}  // namespace

// try_to_migrate_one(), set_pmd_migration_entry(): E-MG1.
void migrate_mapping(Machine& machine, const Mapping& mapping) {
    State& state = machine.state;
    const Entry entry = mapping_entry(state, mapping);
    Page& page = state.pages[entry.target];
    Entry waiting = make_migration(kind_before(machine, entry, page), entry.target);
    waiting.young = entry.young;
    waiting.dirty = entry.dirty;
    waiting.soft_dirty = entry.soft_dirty;
    waiting.uffd_wp = entry.uffd_wp;
    page.dirty = page.dirty || entry.dirty;
    set_mapping(machine, mapping, waiting);
    set_anon_exclusive(state, mapping, entry.target, false);  // the entry keeps it: I3
}

void try_to_migrate(Machine& machine, PageId head) {
    for (const Mapping& one : folio_mappings(machine.state, head)) {
        if (mapping_entry(machine.state, one).present()) {
            migrate_mapping(machine, one);
        }
    }
}

Entry remove_migration_pte(Machine& machine, const Vma& vma, Entry entry, PageId to) {
    const Rules& rules = machine.rules;
    const Page& page = machine.state.pages[to];
    Entry restored = mk_pte(to, vma);               // E-MG3, S2-24
    if (entry.migration == MigrationKind::write) {  // E-MG4, VP16
        const bool asks = rules.migration_write_asks_vm_write;
        if (adds_write(rules, WriteSite::migration_end)) {
            restored = asks ? maybe_mkwrite(restored, vma) : pte_mkwrite(restored);
        }
    } else {
        restored = restore_read_only(machine, restored, entry.uffd_wp);
    }
    restored.young = entry.young;
    // If writeback cleaned the page meanwhile (S2-11), the entry is clean, too.
    const bool dirty = entry.dirty && (page.dirty || page.use == PageUse::anonymous);
    if (dirty) {
        restored = pte_mkdirty(restored);
    }
    if (entry.soft_dirty) {
        restored.soft_dirty = true;
    } else if (rules.migration_clears_sd) {  // E-MG10
        restored.soft_dirty = false;
    }
    if (page.use == PageUse::anonymous && entry.migration != MigrationKind::read) {  // E-MG7
        machine.state.pages[to].anon_exclusive = true;
    }
    const bool asks_o9 = rules.migration_o9 || rules.migration_two_types;  // S2-22, S2-23
    if (asks_o9 && !restored.write &&
        can_change_pte_writable(machine.state, vma, restored, rules)) {
        restored = pte_mkwrite(restored);
    }
    return restored;
}

void remove_migration_ptes(Machine& machine, PageId from, PageId to) {
    State& state = machine.state;
    for (const Mapping& one : folio_mappings(state, from)) {
        const Entry entry = mapping_entry(state, one);
        if (entry.kind != EntryKind::migration) {
            continue;
        }
        const PageId target = static_cast<PageId>(to + (entry.target - from));
        const bool exclusive =
            state.pages[target].use == PageUse::anonymous && entry.migration != MigrationKind::read;
        const Vma vma = mapping_vma(state, one);
        set_mapping(machine, one, remove_migration_pte(machine, vma, entry, target));
        if (exclusive) {
            set_anon_exclusive(state, one, target, true);
        }
    }
}

PageId migrate_folio_move(Machine& machine, PageId head, u8 node) {
    State& state = machine.state;
    const u32 pages = folio_pages(state, head);
    const Page old = state.pages[head];
    const PageId to = pages > 1 ? alloc_huge(machine, old.use, node, old.hugetlb)
                                : alloc_page(machine, old.use, node);
    if (to == no_page) {
        return no_page;
    }
    for (u32 i = 0; i < pages; ++i) {
        Page& source = state.pages[head + i];
        Page& target = state.pages[to + i];
        const PageId id = static_cast<PageId>(to + i);
        target.contents = source.contents;
        target.dirty = source.dirty;
        target.lazyfree = source.lazyfree;
        target.ksm = source.ksm;
        target.file = source.file;
        target.index = source.index;
        target.slot = source.slot;
        if (source.file != nobody) {
            state.files[source.file].cache[source.index].page = id;
        }
        if (source.slot != no_slot) {
            state.slots[source.slot].cached = id;
        }
        source.file = nobody;
        source.index = 0;
        source.slot = no_slot;
    }
    return to;
}

/// migrate_folio_done(), migrate_folio_undo_src().
void finish_folio(Machine& machine, PageId head) {
    machine.state.pages[head].locked = false;
    put_page(machine, head);
}

/// migrate_misplaced_folio().
bool migrate_misplaced(Machine& machine, PageId page, u8 node) {
    State& state = machine.state;
    const PageId head = head_of(state, page);
    if (!folio_isolated(state, head)) {
        return false;
    }
    state.pages[head].locked = true;
    try_to_migrate(machine, head);
    const PageId moved = migrate_folio_move(machine, head, node);
    remove_migration_ptes(machine, head, moved == no_page ? head : moved);
    finish_folio(machine, head);
    return moved != no_page;
}

/// migrate_folio_unmap().
Outcome migrate_begin(Machine& machine, u8 space, u64 address) {
    State& state = machine.state;
    if (to_pages(address) >= state.shape.space_pages) {
        return not_now();
    }
    const Entry entry = entry_at(state, space, static_cast<Vpn>(to_pages(address)));
    if (!entry.maps_page() || state.pages[entry.target].use == PageUse::device) {
        return not_now();
    }
    const PageId head = head_of(state, entry.target);
    if (!folio_isolated(state, head)) {  // E-MG11
        return not_now();
    }
    state.pages[head].locked = true;
    try_to_migrate(machine, head);
    return Outcome::ok();
}

/// The value is 1 if the folio moved, 0 if it stayed where it was (E-MG8).
/// migrate_folio_move(), or migrate_folio_undo_src().
Outcome migrate_end(Machine& machine, u8 space, u64 address, bool failed) {
    State& state = machine.state;
    if (to_pages(address) >= state.shape.space_pages) {
        return not_now();
    }
    const PageId head = migrating_folio(state, space, static_cast<Vpn>(to_pages(address)));
    if (head == no_page) {
        return not_now();
    }
    PageId to = no_page;
    const bool wanted = !folio_mappings(state, head).empty();
    if (!failed && wanted && state.pages[head].locked && folio_may_move(state, head)) {
        to = migrate_folio_move(machine, head, state.pages[head].node);
    }
    remove_migration_ptes(machine, head, to == no_page ? head : to);
    finish_folio(machine, head);
    return Outcome::ok(to == no_page ? 0 : 1);
}

}  // namespace verso::mm
