// Primitive operations on entries: see the header. As of 6.18; the test for soft-dirty in
// can_change_pte_writable() is right since 6.0 (FX-13).
#include "mm/pgtable.h"

namespace verso::mm {

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
