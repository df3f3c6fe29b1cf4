// Looking at a State: see the header.
#include "mm/view.h"

namespace verso::mm {
namespace {

Entry entry_of(const State& state, u8 space, Vpn at, bool& huge) {
    const Space& one = state.spaces[space];
    const u32 size = state.shape.huge_pages;
    const Pmd& pmd = one.pmds[at / size];
    huge = pmd.kind == PmdKind::leaf;
    if (pmd.kind == PmdKind::table) {
        return one.entries[at];
    }
    return huge ? pmd.leaf : Entry{};
}

void look_at_page(const State& state, u16 id, Seen& seen) {
    const Page& page = state.pages[id];
    seen.value = page.contents;
    seen.readable = !page.hwpoison;
    seen.own = page.use != PageUse::cache;
    seen.pinned = page.pins != 0;
    seen.held = true;
}

void look_at_slot(const State& state, u16 id, Seen& seen) {
    const Slot& slot = state.slots[id];
    seen.own = true;
    seen.held = true;
    if (slot.cached != no_page) {
        seen.value = state.pages[slot.cached].contents;
        seen.readable = !state.pages[slot.cached].hwpoison;
    } else {
        seen.value = slot.contents;
        seen.readable = !slot.unreadable;
    }
}

/// What a fault would bring: zeroes, or what the file holds.
void look_behind(const State& state, const Vma& vma, Vpn at, Seen& seen) {
    if (vma.file == nobody) {
        seen.readable = true;
        return;
    }
    const Held held = look_at(state, vma.file, at - vma.start + vma.offset);
    seen.value = held.value;
    seen.readable = held.readable;
    seen.pinned = held.pinned;
}

}  // namespace

bool empty_is_protected(const Rules& rules, const Vma& vma) {
    const NonePolicy policy = vma.file == nobody ? rules.none_policy_anon : rules.none_policy_file;
    return (vma.flags & VmFlag::uffd_wp) != 0 &&
           (policy == NonePolicy::protected_ || policy == NonePolicy::protected_one);
}

Held look_at(const State& state, u8 file, u32 index) {
    const File& backing = state.files[file];
    if (index >= backing.size) {
        return {};
    }
    const Cached& cached = backing.cache[index];
    if (cached.page != no_page) {
        const Page& page = state.pages[cached.page];
        return {page.contents, !page.hwpoison, page.pins != 0};
    }
    if (cached.slot != no_slot) {
        const Slot& slot = state.slots[cached.slot];
        return {slot.contents, !slot.unreadable, false};
    }
    return {cached.disk, true, false};
}

Seen look_at(const State& state, const Rules& rules, u8 space, const Vma& vma, Vpn at) {
    bool huge = false;
    const Entry entry = entry_of(state, space, at, huge);
    const u16 part = huge ? static_cast<u16>(at % state.shape.huge_pages) : u16{0};
    Seen seen;
    seen.soft_dirty = entry.soft_dirty || (vma.flags & VmFlag::soft_dirty) != 0;
    switch (entry.kind) {
        case EntryKind::none:
            seen.clean = empty_is_protected(rules, vma);
            look_behind(state, vma, at, seen);
            return seen;
        case EntryKind::marker:
            seen.clean = (entry.markers & Marker::uffd_wp) != 0;
            seen.special = (entry.markers & (Marker::poisoned | Marker::guard)) != 0;
            if (!seen.special) {
                look_behind(state, vma, at, seen);
            }
            return seen;
        case EntryKind::present:
            seen.clean = entry.uffd_wp;
            if (entry.zero) {
                seen.readable = true;
                seen.own = true;
                seen.held = true;
            } else {
                look_at_page(state, static_cast<u16>(entry.target + part), seen);
            }
            return seen;
        case EntryKind::swap:
            seen.clean = entry.uffd_wp;
            look_at_slot(state, entry.target, seen);
            return seen;
        case EntryKind::migration:
            seen.clean = entry.uffd_wp;
            seen.returns_writable = entry.migration == MigrationKind::write;
            look_at_page(state, static_cast<u16>(entry.target + part), seen);
            return seen;
        case EntryKind::hwpoison: seen.special = true; return seen;
    }
    return seen;
}

}  // namespace verso::mm
