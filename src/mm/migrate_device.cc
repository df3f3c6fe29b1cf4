// Migration on a driver's behalf, mm/migrate_device.c: four steps, so that what happens between
// them can be looked at (S2-10, S2-11).
//
//   collect    locks the page and replaces the one entry that was walked over
//   unmap      replaces its other entries. If somebody holds the page (a pin, or flags bit 0: a
//              reference that nobody sees) it is given up: unlocked at once, and the entries
//              stay replaced until finalize. That is the window which S2-11 is about
//   migrate    asks only now whether the page may move at all: anonymous ones may
//   finalize   moves it, or puts the old page back; flags bit 0: the driver gave it up
//
// The driver's memory is modelled as memory that the processor reaches (device-coherent): the page
// is mapped again afterwards like any other. Device-private entries are not in the specification.
// As of 6.18.
#include "mm/folio.h"

namespace verso::mm {
namespace {

Outcome not_now() { return {Verdict::disabled, 0, 0, 0}; }

Outcome migrate_vma_collect(Machine& machine, u8 space, Vpn at) {
    State& state = machine.state;
    const Entry entry = entry_at(state, space, at);
    const Vma* const vma = state.find_vma(space, at);
    if (!entry.maps_page() || is_hugetlb(state, *vma)) {
        return not_now();
    }
    const PageId head = head_of(state, entry.target);
    if (!folio_isolated(state, head) && !folio_pinned(state, head)) {
        return not_now();
    }
    if (state.pages[head].locked || state.pages[head].writeback || state.pages[head].hwpoison) {
        return not_now();
    }
    // An exclusive page that is pinned keeps its entry: folio_try_share_anon_rmap_pte().
    if (state.pages[entry.target].anon_exclusive && folio_pinned(state, head)) {
        return not_now();
    }
    if (folio_pages(state, head) > 1) {
        if (folio_pinned(state, head)) {
            return not_now();
        }
        split_folio(machine, head);
        if (!entry_at(state, space, at).maps_page()) {  // a file's huge page: nothing mapped now
            return Outcome::ok(0);
        }
    }
    const PageId page = entry_at(state, space, at).target;
    state.pages[page].locked = true;
    migrate_mapping(machine, {space, at, false});
    return Outcome::ok(1);
}

Outcome migrate_device_unmap(Machine& machine, PageId page, bool held) {
    State& state = machine.state;
    if (!state.pages[page].locked) {
        return not_now();
    }
    if (held || folio_pinned(state, page)) {
        state.pages[page].locked = false;
        return Outcome::ok(0);
    }
    try_to_migrate(machine, page);
    return Outcome::ok(1);
}

/// Would finalize move it? migrate_vma_check_page(), folio_migrate_mapping().
bool movable(const State& state, PageId page) {
    if (!state.pages[page].locked || state.pages[page].use != PageUse::anonymous ||
        folio_pinned(state, page)) {
        return false;
    }
    for (const Mapping& one : folio_mappings(state, page)) {
        if (mapping_entry(state, one).kind != EntryKind::migration) {
            return false;
        }
    }
    return true;
}

Outcome migrate_device_finalize(Machine& machine, PageId page, bool failed) {
    State& state = machine.state;
    if (state.pages[page].writeback) {
        return not_now();
    }
    PageId to = no_page;
    if (!failed && movable(state, page)) {
        to = migrate_folio_move(machine, page, state.pages[page].node);
    }
    remove_migration_ptes(machine, page, to == no_page ? page : to);  // E-MG8
    finish_folio(machine, page);
    return Outcome::ok(to == no_page ? 0 : 1);
}

}  // namespace

/// migrate_vma_setup(), migrate_vma_pages(), migrate_vma_finalize().
Outcome device_migrate(Machine& machine, const Call& call) {
    State& state = machine.state;
    const u8 space = state.threads[call.thread].space;
    if (to_pages(call.address) >= state.shape.space_pages) {
        return not_now();
    }
    const Vpn at = static_cast<Vpn>(to_pages(call.address));
    if (call.op == Op::device_collect) {
        return migrate_vma_collect(machine, space, at);
    }
    const Entry* const entry = pte_of(state, space, at);
    if (entry == nullptr || entry->kind != EntryKind::migration ||
        folio_pages(state, head_of(state, entry->target)) > 1) {
        return not_now();
    }
    const PageId page = entry->target;
    const bool flagged = (call.flags & 1) != 0;
    if (call.op == Op::device_unmap) {
        return migrate_device_unmap(machine, page, flagged);
    }
    if (call.op == Op::device_migrate) {
        return Outcome::ok(movable(state, page) ? 1 : 0);
    }
    return migrate_device_finalize(machine, page, flagged);
}

}  // namespace verso::mm
