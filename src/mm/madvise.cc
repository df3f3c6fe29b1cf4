// madvise: which advice does what to which VMA; the work itself is done elsewhere. mm/madvise.c.
//
//   DONTNEED FREE REMOVE      EVENT_REMOVE first, then zap.cc, below, the file's hole
//   COLD PAGEOUT              large pages are split where the range cuts them; reclaim
//   COLLAPSE                  thp.cc, one huge range after the other
//   POPULATE_*                an access to every page
//   GUARD_*                   guard.cc
//   HUGEPAGE … UNMERGEABLE    flags of the VMA
//
// One mapping's part at a time: madvise_walk.cc. As of 6.18; POPULATE_* since 5.14, DONTNEED of
// hugetlb since 5.18, COLLAPSE since 6.1, guards since 6.13 (of files 6.15): rules.cc.
#include "mm/madvise.h"

#include <algorithm>
#include <cerrno>

#include "mm/folio.h"

namespace verso::mm {
namespace {

using Part = AdvisedPart;

constexpr Outcome asleep{Verdict::blocked, 0, 0, 0};

/// A leaf under `at` that the part cuts, of a large page of this process alone, is made small.
/// False: the entry at `at` is a leaf that is to be treated as a whole, or is none of our business.
/// madvise_free_pte_range(), madvise_cold_or_pageout_pte_range().
bool split_if_cut(Machine& machine, const Part& part, Vpn at) {
    State& state = machine.state;
    const Vpn first = state.pmd_start(at);
    const Pmd& pmd = pmd_of(state, part.space, at);
    if (pmd.kind != PmdKind::leaf) {
        return pmd.kind == PmdKind::table;
    }
    const bool cut = part.start > first || part.end < first + state.shape.huge_pages;
    if (!cut || !pmd.leaf.maps_page()) {
        return false;
    }
    const PageId head = pmd.leaf.target;
    if (rmap_walk(state, head).size() != 1 || !folio_isolated(state, head)) {
        return false;
    }
    split_folio(machine, head);
    return pmd.kind == PmdKind::table;
}

/// A page of its own entry: not one of a large page that others map, too.
bool alone(Machine& machine, const Entry& entry) {
    State& state = machine.state;
    if (!entry.maps_page() || rmap_walk(state, entry.target).size() != 1) {
        return false;
    }
    const PageId head = head_of(state, entry.target);
    if (!folio_isolated(state, head)) {
        return false;
    }
    if (state.pages[entry.target].head || state.pages[entry.target].tail) {
        split_folio(machine, head);
    }
    return true;
}

/// folio_free_swap(): the copy on swap is not needed once the page may be dropped.
void free_swap_copy(Machine& machine, PageId page) {
    State& state = machine.state;
    const u16 slot = state.pages[page].slot;
    if (slot != no_slot && state.slots[slot].count == 0) {
        state.slots[slot].cached = no_page;
        state.pages[page].slot = no_slot;
        swap_free(machine, slot);
    }
}

Entry lazily_freed(Entry entry) {
    entry.dirty = false;
    entry.young = false;
    return entry;
}

void mark_lazyfree(State& state, PageId page) {
    state.pages[page].lazyfree = true;
    state.pages[page].dirty = false;
}

/// madvise_free_huge_pmd(), a whole leaf.
void free_leaf(Machine& machine, const Part& part, Vpn first) {
    State& state = machine.state;
    const Entry leaf = pmd_of(state, part.space, first).leaf;
    if (!leaf.maps_page() || rmap_walk(state, leaf.target).size() != 1 ||
        !folio_isolated(state, leaf.target)) {
        return;
    }
    for (u32 i = 0; i < state.shape.huge_pages; ++i) {
        mark_lazyfree(state, static_cast<PageId>(leaf.target + i));
    }
    set_leaf(machine, part.space, first, lazily_freed(leaf));
}

/// madvise_free_pte_range(): E-SW4, E-SW5.
void free_pte(Machine& machine, const Part& part, Vpn at) {
    State& state = machine.state;
    Entry entry = entry_at(state, part.space, at);
    if (entry.kind == EntryKind::swap || entry.kind == EntryKind::hwpoison ||
        entry.is_marker(Marker::poisoned)) {
        set_pte(machine, part.space, at, Entry{});
        return;
    }
    if (!alone(machine, entry)) {
        return;
    }
    entry = entry_at(state, part.space, at);
    if (!entry.maps_page() || state.pages[entry.target].ksm) {
        return;
    }
    free_swap_copy(machine, entry.target);
    if (state.pages[entry.target].slot != no_slot) {
        return;
    }
    mark_lazyfree(state, entry.target);
    set_pte(machine, part.space, at, lazily_freed(entry));
}

Outcome madvise_free(Machine& machine, const Part& part) {
    State& state = machine.state;
    for (Vpn at = part.start; at < part.end;) {
        const Vpn next = std::min(part.end, state.pmd_start(at) + state.shape.huge_pages);
        if (split_if_cut(machine, part, at)) {
            for (; at < next; ++at) {
                free_pte(machine, part, at);
            }
        } else if (next - at == state.shape.huge_pages) {
            free_leaf(machine, part, at);
        }
        at = next;
    }
    return Outcome::ok();
}

/// madvise_cold_or_pageout_pte_range().
void make_old(Machine& machine, const Part& part, Vpn at) {
    Entry entry = entry_at(machine.state, part.space, at);
    if (entry.present()) {
        entry.young = false;
        set_pte(machine, part.space, at, entry);
    }
}

/// madvise_cold_or_pageout_pte_range(): u stays in every small entry of what is split.
Outcome madvise_cold(Machine& machine, const Part& part, bool pageout) {
    State& state = machine.state;
    for (Vpn at = part.start; at < part.end;) {
        const Vpn next = std::min(part.end, state.pmd_start(at) + state.shape.huge_pages);
        const bool small = split_if_cut(machine, part, at);
        const bool whole = next - at == state.shape.huge_pages;
        Pmd& pmd = pmd_of(state, part.space, at);
        if (!small && whole && pmd.kind == PmdKind::leaf && pmd.leaf.present()) {
            Entry leaf = pmd.leaf;
            leaf.young = false;
            set_leaf(machine, part.space, at, leaf);
        }
        for (; at < next; ++at) {
            if (small) {
                make_old(machine, part, at);
            }
            if (pageout && (small || whole) && entry_at(state, part.space, at).maps_page()) {
                reclaim(machine, part.space, to_bytes(at));  // what cannot go stays
            }
        }
    }
    return Outcome::ok();
}

/// userfaultfd_remove(), E-ZP14: true if somebody has to read that the part is about to go, and
/// madvise_goes_on() is what happens then.
bool announce_remove(Machine& machine, const Part& part, Advice advice) {
    State& state = machine.state;
    Message event;
    event.kind = MessageKind::remove;
    event.thread = part.thread;
    event.address = static_cast<u32>(to_bytes(part.start));
    event.end = static_cast<u32>(to_bytes(part.end));
    if (!announce(machine, part.vma.context, event)) {
        return false;
    }
    Advising rest;
    rest.thread = part.thread;
    rest.advice = static_cast<u8>(advice);
    rest.announced_end = part.end;
    if (advice == Advice::remove) {
        rest.file = part.vma.file;
        rest.index = part.vma.index(part.start);
    }
    state.threads[part.thread].access.address = to_bytes(part.start);
    state.advising.push_back(rest);
    std::ranges::sort(state.advising, {}, &Advising::thread);
    return true;
}

/// E-ZP10.
Outcome madvise_remove(Machine& machine, const Part& part) {
    if (part.vma.has(VmFlag::locked) || part.vma.file == nobody) {
        return Outcome::fail(EINVAL);
    }
    if (!part.vma.shared() || !part.vma.has(VmFlag::may_write)) {
        return Outcome::fail(EACCES);
    }
    if (announce_remove(machine, part, Advice::remove)) {
        return asleep;
    }
    return do_punch_hole(machine, part.vma.file, part.vma.index(part.start), part.end - part.start);
}

/// madvise_dontneed_free_valid_vma(). A hugetlb mapping may be locked; of its last huge page the
/// part that is asked for in part is left alone.
bool may_be_dropped(const Machine& machine, Part& part, Advice advice) {
    const State& state = machine.state;
    if (!is_hugetlb(state, part.vma)) {
        return !part.vma.has(VmFlag::locked);
    }
    if (advice != Advice::dontneed || !machine.rules.has_hugetlb_dontneed ||
        part.start % state.shape.huge_pages != 0) {
        return false;
    }
    part.end = state.pmd_start(part.end);
    return true;
}

Outcome drop(Machine& machine, const Part& part, Advice advice) {
    if (advice == Advice::free) {
        return part.vma.anonymous() ? madvise_free(machine, part) : Outcome::fail(EINVAL);
    }
    zap_range(machine, part.space, part.vma, part.start, part.end, 0);  // E-ZP9
    return Outcome::ok();
}

/// The event comes before anybody looks whose memory it is.
Outcome madvise_dontneed_free(Machine& machine, Part part, Advice advice) {
    if (!may_be_dropped(machine, part, advice)) {
        return Outcome::fail(EINVAL);
    }
    if (part.start >= part.end) {
        return Outcome::ok();
    }
    return announce_remove(machine, part, advice) ? asleep : drop(machine, part, advice);
}

/// madvise_vma_behavior(), madvise_update_vma().
void change_flags(Machine& machine, const Part& part, u32 add, u32 remove) {
    State& state = machine.state;
    split_vma(machine, part.space, part.start);
    split_vma(machine, part.space, part.end);
    Vma* const vma = state.find_vma(part.space, part.start);
    vma->flags = (vma->flags | add) & ~remove;
}

/// ksm_madvise().
Outcome madvise_mergeable(Machine& machine, const Part& part, bool merge) {
    const State& state = machine.state;
    if (part.vma.has(VmFlag::mergeable) == merge) {
        return Outcome::ok();
    }
    if (merge) {
        const bool compatible =
            !part.vma.shared() && !is_hugetlb(state, part.vma) && !part.vma.has(VmFlag::droppable);
        if (compatible) {
            change_flags(machine, part, VmFlag::mergeable, 0);
        }
        return Outcome::ok();
    }
    for (Vpn at = part.start; at < part.end; ++at) {
        const Outcome one = ksm_unmerge(machine, part.space, to_bytes(at));  // E-KS7
        if (one.verdict == Verdict::failed) {
            return one;
        }
    }
    change_flags(machine, part, 0, VmFlag::mergeable);
    return Outcome::ok();
}

/// madvise_collapse(): the huge ranges that lie wholly inside.
Outcome madvise_collapse(Machine& machine, const Part& part) {
    const u32 size = machine.state.shape.huge_pages;
    Outcome last = Outcome::ok();
    const Vpn first = static_cast<Vpn>(round_up(part.start, size));
    for (Vpn at = first; at + size <= part.end; at += size) {
        const Outcome one = collapse(machine, part.space, to_bytes(at));
        last = one.verdict == Verdict::done ? last : one;
        if (one.verdict == Verdict::failed && one.error == ENOMEM) {
            break;
        }
    }
    return last;
}

bool may_be_populated(const Vma& vma, bool write) {
    return vma.has(write ? VmFlag::write : VmFlag::read | VmFlag::write);
}

/// FG-3. A message stops it there: what was populated stays, and the thread's next turn is that
/// page's.
Outcome madvise_populate(Machine& machine, const Part& part, bool write) {
    if (!may_be_populated(part.vma, write)) {
        return Outcome::fail(EINVAL);
    }
    for (Vpn at = part.start; at < part.end; ++at) {
        Access access;
        access.kind = write ? AccessKind::populate_write : AccessKind::populate_read;
        access.kernel = true;
        access.address = to_bytes(at);
        const Outcome one = populate_page(machine, part.thread, access);
        if (one.verdict != Verdict::done) {
            return one;
        }
    }
    return Outcome::ok();
}

}  // namespace

/// madvise_vma_behavior().
Outcome madvise_vma(Machine& machine, const Part& part, Advice advice) {
    const bool fixed_pages = part.vma.has(VmFlag::locked);
    const bool hugetlb = is_hugetlb(machine.state, part.vma);
    const u32 size = machine.state.shape.huge_pages;
    const bool changes_flags = advice >= Advice::hugepage && advice <= Advice::unmergeable;
    if (changes_flags && hugetlb && (part.start % size != 0 || part.end % size != 0)) {
        return Outcome::fail(EINVAL);  // hugetlb_vm_op_split()
    }
    switch (advice) {
        case Advice::dontneed:
        case Advice::free: return madvise_dontneed_free(machine, part, advice);
        case Advice::remove: return madvise_remove(machine, part);
        case Advice::cold:
        case Advice::pageout:
            if (fixed_pages || hugetlb) {
                return Outcome::fail(EINVAL);
            }
            return madvise_cold(machine, part, advice == Advice::pageout);
        case Advice::collapse: return madvise_collapse(machine, part);
        case Advice::hugepage:
            change_flags(machine, part, VmFlag::hugepage, VmFlag::nohugepage);
            return Outcome::ok();
        case Advice::nohugepage:
            change_flags(machine, part, VmFlag::nohugepage, VmFlag::hugepage);
            return Outcome::ok();
        case Advice::mergeable: return madvise_mergeable(machine, part, true);
        case Advice::unmergeable: return madvise_mergeable(machine, part, false);
        case Advice::populate_read: return madvise_populate(machine, part, false);
        case Advice::populate_write: return madvise_populate(machine, part, true);
        case Advice::guard_install:
            return guard_install(machine, part.thread, to_bytes(part.start),
                                 to_bytes(part.end - part.start));
        case Advice::guard_remove:
            return guard_remove(machine, part.thread, to_bytes(part.start),
                                to_bytes(part.end - part.start));
    }
    return Outcome::fail(EINVAL);
}

/// faultin_page_range() (5.14).
Outcome populate_page(Machine& machine, u8 thread, const Access& access) {
    State& state = machine.state;
    const u8 space = state.threads[thread].space;
    const Vpn at = static_cast<Vpn>(to_pages(access.address));
    const Vma* const vma = state.find_vma(space, at);
    if (vma == nullptr) {
        return Outcome::fail(ENOMEM);
    }
    if (!may_be_populated(*vma, access.kind == AccessKind::populate_write)) {
        return Outcome::fail(EINVAL);
    }
    const Outcome outcome = do_access(machine, thread, access);
    const Entry entry = entry_at(state, space, at);
    const bool poisoned = entry.is_marker(Marker::poisoned) || entry.kind == EntryKind::hwpoison;
    const bool fault = outcome.verdict == Verdict::failed && outcome.error == EFAULT;
    return fault && poisoned ? Outcome::fail(EHWPOISON) : outcome;  // FOLL_HWPOISON
}

/// The mapping may be another by now, or none; what was announced goes, and no more.
Outcome drop_announced(Machine& machine, const Advising& rest, Vpn start, Vpn& reached) {
    reached = rest.announced_end;
    if (static_cast<Advice>(rest.advice) == Advice::remove) {
        return do_punch_hole(machine, rest.file, rest.index, rest.announced_end - start);
    }
    const u8 space = machine.state.threads[rest.thread].space;
    const Vma* const vma = machine.state.find_vma(space, start);
    if (vma == nullptr) {
        return Outcome::fail(ENOMEM);
    }
    Part part{rest.thread, space, *vma, start, std::min(rest.announced_end, vma->end)};
    reached = part.end;
    const auto advice = static_cast<Advice>(rest.advice);
    if (!may_be_dropped(machine, part, advice)) {
        return Outcome::fail(EINVAL);
    }
    return part.start < part.end ? drop(machine, part, advice) : Outcome::ok();
}

}  // namespace verso::mm
