// Primitive operations on entries: see the header.
#include "mm/pgtable.h"

namespace verso::mm {

Entry mk_pte(PageId page, const Vma& vma) {
    Entry entry;
    entry.kind = EntryKind::present;
    entry.target = page;
    entry.write = vma.prot_write;
    entry.protnone = !vma.prot_access;
    return entry;
}

Entry mk_zero(const Vma& vma) {
    Entry entry = mk_pte(0, vma);
    entry.zero = true;
    entry.write = false;
    return entry;
}

Entry pte_modify(Entry entry, const Vma& vma) {
    entry.write = vma.prot_write && !entry.zero;
    entry.protnone = !vma.prot_access;
    return entry;
}

Entry pte_mkwrite(Entry entry) {
    entry.write = true;
    return entry;
}

Entry maybe_mkwrite(Entry entry, const Vma& vma) {
    return vma.has(VmFlag::write) ? pte_mkwrite(entry) : entry;
}

Entry pte_mkdirty(Entry entry) {
    entry.dirty = true;
    entry.soft_dirty = true;
    return entry;
}

Entry pte_wrprotect(Entry entry) {
    entry.write = false;
    return entry;
}

Entry pte_mkuffd_wp(Entry entry, const Rules& rules) {
    if (!rules.u_bit_exists) {
        return entry;
    }
    entry.uffd_wp = true;
    return rules.mkuffd_wp_clears_w ? pte_wrprotect(entry) : entry;
}

Entry pte_clear_uffd_wp(Entry entry) {
    entry.uffd_wp = false;
    return entry;
}

Entry make_marker(u8 markers) {
    Entry entry;
    entry.kind = markers == 0 ? EntryKind::none : EntryKind::marker;
    entry.markers = markers;
    return entry;
}

Entry make_migration(MigrationKind kind, PageId page) {
    Entry entry;
    entry.kind = EntryKind::migration;
    entry.migration = kind;
    entry.target = page;
    return entry;
}

Entry make_swap(u16 slot) {
    Entry entry;
    entry.kind = EntryKind::swap;
    entry.target = slot;
    return entry;
}

bool soft_dirty_enabled(const Vma& vma, const Rules& rules) {
    return rules.softdirty_configured && !vma.has(VmFlag::soft_dirty);
}

bool can_change_pte_writable(const State& state, const Vma& vma, const Entry& entry,
                             const Rules& rules) {
    if (!vma.has(VmFlag::write) || !entry.present() || entry.protnone) {
        return false;
    }
    // 76aefad628aa (6.0): before, the test looked for entries that are soft-dirty already.
    const bool tracked = soft_dirty_enabled(vma, rules);
    if (tracked && entry.soft_dirty != rules.can_change_softdirty_test) {
        return false;
    }
    if (vma.has(VmFlag::uffd_wp) && entry.uffd_wp) {
        return false;
    }
    if (!vma.shared()) {
        // A store by somebody else could still have to see its own copy.
        const bool anonymous =
            entry.maps_page() && state.pages[entry.target].use == PageUse::anonymous;
        return anonymous && state.pages[entry.target].anon_exclusive;
    }
    return entry.dirty || rules.o9_shmem_clean_ok;
}

}  // namespace verso::mm
