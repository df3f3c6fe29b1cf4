// Writeback: before a page goes to disk its entries are cleaned and lose write permission, so that
// the next store is noticed. folio_mkclean() in mm/rmap.c; mm/page-writeback.c. It holds the page
// lock, so it never meets a migration entry, except in the window of a device migration that failed
// (S2-11): those it does not look at. As of 6.18; no release before it is known to differ.
#include <algorithm>

#include "mm/folio.h"

namespace verso::mm {
namespace {

Outcome not_now() { return {Verdict::disabled, 0, 0, 0}; }

/// Only shared mappings write to the file. Returns whether an entry was dirty.
bool folio_mkclean(Machine& machine, PageId head) {
    bool dirty = false;
    for (const Mapping& one : folio_mappings(machine.state, head)) {
        Entry entry = mapping_entry(machine.state, one);
        if (!mapping_vma(machine.state, one).shared() || !entry.present() ||
            !(entry.dirty || entry.write)) {
            continue;
        }
        dirty = dirty || entry.dirty;
        entry = pte_wrprotect(entry);
        entry.dirty = false;
        set_mapping(machine, one, entry);
    }
    return dirty;
}

/// folio_clear_dirty_for_io(), folio_start_writeback().
Outcome begin(Machine& machine, PageId head) {
    State& state = machine.state;
    const u32 pages = folio_pages(state, head);
    const u8 file = state.pages[head].file;
    bool dirty = false;
    for (u32 i = 0; i < pages; ++i) {
        dirty = dirty || state.pages[head + i].dirty;
    }
    if (state.files[file].kind == FileKind::ordinary) {  // mapping_can_writeback()
        dirty = folio_mkclean(machine, head) || dirty;
    }
    for (u32 i = 0; i < pages; ++i) {
        Page& page = state.pages[head + i];
        page.dirty = false;
        page.writeback = dirty;
        if (dirty && state.files[file].kind == FileKind::ordinary) {
            state.files[file].cache[page.index].disk = page.contents;
        }
    }
    return Outcome::ok(dirty ? 1 : 0);
}

/// The page of the file that `at` shows, whether or not it is mapped at the moment.
PageId page_behind(const State& state, const Vma& vma, Vpn at) {
    const File& file = state.files[vma.file];
    const u32 index = vma.index(at);
    return index < file.size ? file.cache[index].page : no_page;
}

}  // namespace

void folio_end_writeback(Machine& machine, PageId head) {
    const u32 pages = folio_pages(machine.state, head);
    for (u32 i = 0; i < pages; ++i) {
        machine.state.pages[head + i].writeback = false;
    }
    put_page(machine, head);
}

/// do_writepages().
Outcome writeback(Machine& machine, const Call& call) {
    State& state = machine.state;
    const u8 space = state.threads[call.thread].space;
    if (to_pages(call.address) >= state.shape.space_pages) {
        return not_now();
    }
    const Vpn at = static_cast<Vpn>(to_pages(call.address));
    const Vma* const vma = state.find_vma(space, at);
    if (vma == nullptr || vma->anonymous() || is_hugetlb(state, *vma)) {
        return not_now();
    }
    const PageId page = page_behind(state, *vma, at);
    if (page == no_page) {
        return not_now();
    }
    const PageId head = head_of(state, page);
    if (call.op == Op::writeback_begin) {
        const bool busy = state.pages[head].locked || state.pages[head].writeback;
        return busy ? not_now() : begin(machine, head);
    }
    if (!state.pages[head].writeback) {
        return not_now();
    }
    folio_end_writeback(machine, head);
    return Outcome::ok();
}

}  // namespace verso::mm
