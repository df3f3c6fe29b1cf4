// fork, section 8.8; kernel/fork.c dup_mmap(), mm/memory.c copy_page_range().
//
//   parent P(w, ae) ──▶ parent P(w=0), child P(w=0): the same page, no longer anybody's own
//
// What decides about protection is the child's VMA: with EVENT_FORK it has a context of its own,
// which comes with the FORK event, and keeps the bits; without, it has none, and keeps nothing
// (E-FK1 to E-FK3). A shared VMA whose child is not protected is not copied: its faults find the
// same pages.
//
// As of 6.18. Before 6.2 a child without a context inherited markers (fork_drops_markers).
#include <algorithm>
#include <cerrno>

#include "abi/abi.h"
#include "mm/folio.h"

namespace verso::mm {
namespace {

Outcome not_now() { return {Verdict::disabled, 0, 0, 0}; }

struct Copy {
    u8 from;
    u8 to;
    Vma child;

    /// is_cow_mapping()
    bool cow() const { return !child.shared() && child.has(VmFlag::may_write); }
};

/// Protection goes where the child's VMA can speak of it.
/// copy_present_ptes(), copy_nonpresent_pte().
Entry for_child(const Copy& copy, Entry entry) {
    if (!copy.child.has(VmFlag::uffd_wp)) {
        entry.uffd_wp = false;
    }
    return entry;
}

/// copy_pte_marker(), E-FK8, E-FK9. Before 49d6d7fb6313 (6.2) the protection came along (FX-8).
Entry copy_pte_marker(const Rules& rules, const Copy& copy, const Entry& entry) {
    u8 kept = entry.markers & (Marker::poisoned | Marker::guard);
    if (copy.child.has(VmFlag::uffd_wp) || !rules.fork_drops_markers) {
        kept |= entry.markers & (Marker::uffd_wp | Marker::written);
    }
    return make_marker(kept);
}

struct Both {
    Entry parent;
    Entry child;
};

/// copy_nonpresent_pte(): E-FK6, E-FK7, E-FK8, E-FK9.
Both copy_nonpresent_pte(const Rules& rules, const Copy& copy, Entry entry) {
    if (entry.kind == EntryKind::marker) {
        return {entry, copy_pte_marker(rules, copy, entry)};
    }
    if (entry.kind == EntryKind::swap) {
        entry.exclusive = false;
    } else if (entry.kind == EntryKind::migration && copy.cow()) {
        entry.migration = MigrationKind::read;
    }
    return {entry, for_child(copy, entry)};
}

/// copy_present_pte() for a page that may be shared from now on: E-FK3, E-FK5.
Both copy_present_pte(State& state, const Copy& copy, Entry entry, u32 pages) {
    if (copy.cow()) {
        entry = pte_wrprotect(entry);
        for (u32 i = 0; entry.maps_page() && i < pages; ++i) {
            Page& page = state.pages[entry.target + i];
            page.anon_exclusive = page.anon_exclusive && page.use != PageUse::anonymous;
        }
    }
    Entry child = for_child(copy, entry);
    child.young = false;
    child.dirty = child.dirty && !copy.child.shared();
    return {entry, child};
}

/// A page that a device reads or writes must stay the parent's own (E-FK4).
/// copy_present_page() (5.9); folio_try_dup_anon_rmap_pte() since 6.8.
bool must_copy(const State& state, const Copy& copy, const Entry& entry, u32 pages) {
    if (!copy.cow() || !entry.maps_page()) {
        return false;
    }
    for (u32 i = 0; i < pages; ++i) {
        const Page& page = state.pages[entry.target + i];
        if (page.use == PageUse::anonymous && page.anon_exclusive && page.pins != 0) {
            return true;
        }
    }
    return false;
}

/// copy_present_page(): nothing if there is no memory.
Entry copied_page(Machine& machine, const Copy& copy, const Entry& entry, bool huge) {
    State& state = machine.state;
    const u32 pages = huge ? state.shape.huge_pages : 1;
    const u8 node = state.pages[entry.target].node;
    const PageId fresh = huge ? alloc_huge(machine, PageUse::anonymous, node, true)
                              : alloc_page(machine, PageUse::anonymous, node);
    if (fresh == no_page) {
        return {};
    }
    for (u32 i = 0; i < pages; ++i) {
        state.pages[fresh + i].contents = state.pages[entry.target + i].contents;
        state.pages[fresh + i].anon_exclusive = true;
    }
    Entry child = maybe_mkwrite(pte_mkdirty(mk_pte(fresh, copy.child)), copy.child);
    if (entry.uffd_wp && copy.child.has(VmFlag::uffd_wp)) {
        // By hand as well: a copy is made writable first, whichever design protects.
        child = pte_wrprotect(pte_mkuffd_wp(child, machine.rules));
    }
    return child;
}

/// One entry. False: no memory. copy_pte_range().
bool copy_pte(Machine& machine, const Copy& copy, Vpn at) {
    State& state = machine.state;
    const Entry entry = entry_at(state, copy.from, at);
    if (entry.none()) {
        return true;
    }
    if (must_copy(state, copy, entry, 1)) {
        const Entry child = copied_page(machine, copy, entry, false);
        if (child.none()) {
            return false;
        }
        set_pte(machine, copy.to, at, child);
        return true;
    }
    const Both both = entry.present() ? copy_present_pte(state, copy, entry, 1)
                                      : copy_nonpresent_pte(machine.rules, copy, entry);
    set_pte(machine, copy.from, at, both.parent);
    if (!both.child.none()) {
        set_pte(machine, copy.to, at, both.child);
    }
    return true;
}

/// copy_huge_pmd(), copy_hugetlb_page_range(): E-FK11. False: no memory.
bool copy_leaf(Machine& machine, const Copy& copy, Vpn first) {
    State& state = machine.state;
    const Entry entry = pmd_of(state, copy.from, first).leaf;
    const u32 size = state.shape.huge_pages;
    if (!is_hugetlb(state, copy.child) && is_files_own(state, entry)) {
        // Faulted in later; only what it says of protection has to come along.
        for (u32 i = 0; entry.uffd_wp && copy.child.has(VmFlag::uffd_wp) && i < size; ++i) {
            const Entry marker = left_behind(machine, copy.child, entry, true);
            if (!marker.none()) {
                set_pte(machine, copy.to, first + i, marker);
            }
        }
        return true;
    }
    Both both;
    if (must_copy(state, copy, entry, size)) {  // hugetlb: a THP was split before
        both = {entry, copied_page(machine, copy, entry, true)};
        if (both.child.none()) {
            return false;
        }
    } else {
        both = entry.present() ? copy_present_pte(state, copy, entry, size)
                               : copy_nonpresent_pte(machine.rules, copy, entry);
    }
    set_leaf(machine, copy.from, first, both.parent);
    if (!both.child.none()) {
        set_leaf(machine, copy.to, first, both.child);
    }
    return true;
}

/// Is there anything that a fault in the child would not find by itself? Linux asks whether the VMA
/// ever had a private page or a guard (anon_vma); ZEROPAGE's zeroes count as one.
/// Poison alone makes none in a shared mapping: on 6.18 the child does without (E-FK9).
/// vma_needs_copy().
bool has_own_entries(const Machine& machine, const Copy& copy) {
    const State& state = machine.state;
    const bool poison = !copy.child.shared() || machine.rules.fork_copies_poison;
    const u8 markers = poison ? Marker::guard | Marker::poisoned : Marker::guard;
    for (Vpn at = copy.child.start; at < copy.child.end; ++at) {
        const Entry entry = entry_at(state, copy.from, at);
        const bool page = entry.maps_page() || entry.kind == EntryKind::migration;
        if ((page && state.pages[entry.target].use != PageUse::cache) || entry.zero ||
            entry.kind == EntryKind::swap || entry.is_marker(markers)) {
            return true;
        }
    }
    return false;
}

/// vma_needs_copy(), E-FK10.
bool vma_needs_copy(const Machine& machine, const Copy& copy, const Vma& parent) {
    if (copy.child.has(VmFlag::droppable)) {
        return false;  // wiped on fork
    }
    const bool inherits_markers =
        parent.has(VmFlag::uffd_wp) && !machine.rules.fork_drops_markers;  // FX-8
    return copy.child.anonymous() || copy.child.has(VmFlag::uffd_wp) || inherits_markers ||
           has_own_entries(machine, copy);
}

bool copy_page_range(Machine& machine, const Copy& copy) {
    State& state = machine.state;
    const u32 size = state.shape.huge_pages;
    for (Vpn at = copy.child.start; at < copy.child.end;) {
        const Vpn first = state.pmd_start(at);
        const Vpn next = std::min(copy.child.end, first + size);
        Pmd& pmd = pmd_of(state, copy.from, first);
        const bool hugetlb = is_hugetlb(state, copy.child);
        if (pmd.kind == PmdKind::leaf && !hugetlb && must_copy(state, copy, pmd.leaf, size)) {
            const Vma parent = *state.find_vma(copy.from, first);
            split_huge_pmd(machine, copy.from, parent, first);
        }
        if (pmd.kind == PmdKind::leaf) {
            if (!copy_leaf(machine, copy, first)) {
                return false;
            }
        } else if (pmd.kind == PmdKind::table) {
            for (Vpn page = at; page < next; ++page) {
                if (!copy_pte(machine, copy, page)) {
                    return false;
                }
            }
        }
        at = next;
    }
    return true;
}

/// A place for one more, or the number of those that there are: then there is none.
u8 free_space(const State& state) {
    for (u8 id = 0; id < state.spaces.size(); ++id) {
        const bool remembered = std::ranges::any_of(
            state.contexts, [&](const Context& context) { return context.space == id; });
        if (!state.spaces[id].alive && !remembered) {
            return id;
        }
    }
    return static_cast<u8>(state.spaces.size());
}

u8 free_thread(const State& state) {
    const auto dead = [](const Thread& thread) { return !thread.alive; };
    const auto found = std::ranges::find_if(state.threads, dead);
    return static_cast<u8>(found - state.threads.begin());
}

struct Fork {
    u8 parent;
    u8 child;
};

/// dup_userfaultfd().
bool wants_fork_event(const State& state, u8 context) {
    return context != nobody && (state.contexts[context].features & abi::Feature::event_fork) != 0;
}

/// dup_userfaultfd() for each context: E-FK1. False: too many contexts for this machine.
bool dup_userfaultfd(State& state, u8 from, u8 to, std::vector<Fork>& forks) {
    for (const Vma& vma : state.spaces[from].vmas) {
        const bool known = std::ranges::any_of(
            forks, [&](const Fork& fork) { return fork.parent == vma.context; });
        if (!wants_fork_event(state, vma.context) || known) {
            continue;
        }
        const auto unused = std::ranges::find_if(state.contexts, [](const Context& context) {
            return !context.open && context.space == nobody;
        });
        const auto id = static_cast<u8>(unused - state.contexts.begin());
        if (unused == state.contexts.end()) {
            if (state.contexts.size() >= state.shape.contexts_max) {
                return false;
            }
            state.contexts.emplace_back();
        }
        Context& fresh = state.contexts[id];
        fresh.api_done = true;
        fresh.user_mode_only = state.contexts[vma.context].user_mode_only;
        fresh.features = state.contexts[vma.context].features;
        fresh.space = to;
        forks.push_back({vma.context, id});
    }
    return true;
}

/// dup_mmap() for one VMA: the flags, E-FK1, E-FK2.
Vma dup_vma(const Machine& machine, const Vma& parent, const std::vector<Fork>& forks) {
    Vma child = parent;
    child.flags &= ~VmFlag::locked;
    child.context = nobody;
    for (const Fork& fork : forks) {
        if (fork.parent == parent.context) {
            child.context = fork.child;
        }
    }
    if (child.context == nobody) {
        child.flags &= ~VmFlag::uffd;
    }
    vma_set_page_prot(machine, child);
    return child;
}

/// dup_userfaultfd(), dup_userfaultfd_complete().
void forget_contexts(State& state, const std::vector<Fork>& forks) {
    for (const Fork& fork : forks) {
        state.contexts[fork.child] = Context{};
    }
}

}  // namespace

/// The value is the number of the child's thread. dup_mmap().
Outcome do_fork(Machine& machine, const Call& call) {
    State& state = machine.state;
    const u8 from = state.threads[call.thread].space;
    const u8 to = free_space(state);
    const u8 thread = free_thread(state);
    std::vector<Fork> forks;
    if (to >= state.shape.spaces_max || thread >= state.shape.threads_max) {
        return not_now();
    }
    if (!dup_userfaultfd(state, from, to, forks)) {
        forget_contexts(state, forks);
        return not_now();
    }
    if (to == state.spaces.size()) {
        state.spaces.emplace_back();
    }
    if (thread == state.threads.size()) {
        state.threads.emplace_back();
    }
    Space& child = state.spaces[to];
    child = Space{};
    child.alive = true;
    child.pmds.resize(state.spaces[from].pmds.size());
    child.entries.resize(state.spaces[from].entries.size());
    const Vmas parents = state.spaces[from].vmas;
    for (const Vma& parent : parents) {
        if (parent.has(VmFlag::dont_copy)) {  // dup_mmap()
            continue;
        }
        const Copy copy{from, to, dup_vma(machine, parent, forks)};
        state.spaces[to].vmas.push_back(copy.child);
        if (vma_needs_copy(machine, copy, parent) && !copy_page_range(machine, copy)) {
            exit_mmap(machine, to);
            forget_contexts(state, forks);
            return Outcome::fail(ENOMEM);
        }
    }
    state.threads[thread] = Thread{};
    state.threads[thread].alive = true;
    state.threads[thread].space = to;
    state.threads[thread].node = state.threads[call.thread].node;
    for (const Fork& fork : forks) {
        Message event;
        event.kind = MessageKind::fork;
        event.thread = call.thread;
        event.context = fork.child;
        announce(machine, fork.parent, event);
    }
    return Outcome::ok(thread);
}

}  // namespace verso::mm
