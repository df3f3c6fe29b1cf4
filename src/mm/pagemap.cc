// /proc/PID/pagemap, section 10: one word a page, what a test can compare with the running
// kernel's. fs/proc/task_mmu.c pagemap_pmd_range().
//
// As of 6.18. The bit for guards is there since 6.15.
#include <algorithm>

#include "abi/abi.h"
#include "mm/folio.h"

namespace verso::mm {
namespace {

constexpr u64 guard_bit = u64{1} << 58;  // 6.15
constexpr unsigned offset_shift = 5;
// Swap types of x86-64: the numbers after those of real devices.
constexpr u64 type_hwpoison = 24;
constexpr u64 type_migration_read = 25;
constexpr u64 type_migration_read_exclusive = 26;
constexpr u64 type_migration_write = 27;
constexpr u64 type_marker = 31;

/// pte_to_pagemap_entry(), swp_offset().
u64 swap_word(u64 type, u64 offset) {
    return abi::PagemapBit::swapped | type | offset << offset_shift;
}

/// pte_to_pagemap_entry(), swp_type().
u64 migration_type(MigrationKind kind) {
    switch (kind) {
        case MigrationKind::read: return type_migration_read;
        case MigrationKind::read_exclusive: return type_migration_read_exclusive;
        case MigrationKind::write: return type_migration_write;
    }
    return type_migration_read;
}

/// Bit 56: by one entry, and only by that. Entries that wait for a migration do not count.
/// folio_precise_page_mapcount(), folio_mapcount().
bool mapped_once(const State& state, PageId page) {
    u32 maps = 0;
    for (const Mapping& one : rmap_walk(state, page)) {
        maps += mapping_entry(state, one).present() ? 1 : 0;
    }
    return maps == 1;
}

/// PM_FILE in pte_to_pagemap_entry().
u64 file_bit(const State& state, PageId page) {
    return state.pages[page].use == PageUse::cache ? abi::PagemapBit::file : 0;
}

/// pte_to_pagemap_entry(), pagemap_pmd_range().
u64 word_of(const Machine& machine, const Entry& entry) {
    const State& state = machine.state;
    u64 word = entry.uffd_wp || entry.is_marker(Marker::uffd_wp) ? abi::PagemapBit::uffd_wp : 0;
    // Without CONFIG_MEM_SOFT_DIRTY there is no such bit: a running 6.18 reads 0 of every page.
    const bool tracked = machine.rules.softdirty_configured;
    word |= tracked && entry.soft_dirty ? abi::PagemapBit::soft_dirty : 0;
    switch (entry.kind) {
        case EntryKind::none: return word;
        case EntryKind::present:
            word |= abi::PagemapBit::present;
            if (entry.zero) {
                return word | state.pages.size();  // a frame that is nobody's
            }
            word |= mapped_once(state, entry.target) ? abi::PagemapBit::exclusive : 0;
            return word | file_bit(state, entry.target) | entry.target;
        case EntryKind::swap: return word | swap_word(0, entry.target);
        case EntryKind::migration:
            return word | file_bit(state, entry.target) |
                   swap_word(migration_type(entry.migration), entry.target);
        case EntryKind::hwpoison:
            return word | file_bit(state, entry.target) | swap_word(type_hwpoison, entry.target);
        case EntryKind::marker:
            if (machine.rules.has_guard_file && entry.is_marker(Marker::guard)) {
                word |= guard_bit;
            }
            return word | swap_word(type_marker, entry.markers);
    }
    return word;
}

}  // namespace

/// pagemap_read().
Outcome read_pagemap(Machine& machine, u8 space, u64 address, u64 length) {
    const State& state = machine.state;
    machine.pagemap.clear();
    const u64 end = std::min<u64>(to_pages(address + length), state.shape.space_pages);
    for (u64 page = to_pages(address); page < end; ++page) {
        const Vpn at = static_cast<Vpn>(page);
        u64 word = word_of(machine, entry_at(state, space, at));
        const Vma* const vma = state.find_vma(space, at);
        if (vma != nullptr && is_hugetlb(state, *vma) && (word & abi::PagemapBit::present) == 0) {
            // pagemap_hugetlb_range(): of what is not present only that bit is told (seen on 6.18).
            word &= abi::PagemapBit::uffd_wp;
        }
        const bool huge_zero = entry_at(state, space, at).zero &&
                               state.spaces[space].pmds[state.pmd_index(at)].kind == PmdKind::leaf;
        if (huge_zero) {  // pagemap_pmd_range() calls all that is not anonymous a file's (6.18)
            word |= abi::PagemapBit::file;
        }
        const bool tracked = machine.rules.softdirty_configured;
        if (tracked && vma != nullptr && vma->has(VmFlag::soft_dirty)) {  // E-SD6
            word |= abi::PagemapBit::soft_dirty;
        }
        machine.pagemap.push_back(word);
    }
    return Outcome::ok(static_cast<i64>(machine.pagemap.size()));
}

}  // namespace verso::mm
