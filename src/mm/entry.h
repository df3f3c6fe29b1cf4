// Entry: what one address holds at the 4 KiB level, and Pmd: what one huge-page range holds above
// it.
//
//   kind        fields that mean something                       in the specification
//   none        –                                                N
//   present     page, write dirty young soft_dirty uffd_wp       P; with protnone PN; with zero Z
//   swap        slot, exclusive soft_dirty uffd_wp               S
//   migration   page, migration, young dirty soft_dirty uffd_wp  M
//   marker      markers                                          K
//   hwpoison    page                                             H
//
// Fields that mean nothing in a kind are zero, so that equal entries are equal values. Bits are
// kept apart from each other here; Linux packs them (asm/pgtable.h, linux/swapops.h).
#pragma once

#include <cstring>
#include <type_traits>

#include "base/types.h"

namespace verso::mm {

using Vpn = u32;     ///< index of a page within an address space
using PageId = u16;  ///< index into State::pages
inline constexpr PageId no_page = 0xffff;

enum class EntryKind : u8 { none, present, swap, migration, marker, hwpoison };

/// What a page was before it began to migrate. SWP_MIGRATION_READ, _READ_EXCLUSIVE, _WRITE.
enum class MigrationKind : u8 { read, read_exclusive, write };

/// PTE_MARKER_*: facts about an address that has no page. `written` exists only in the proposal
/// with two markers (none_policy = protected_).
struct Marker {
    static constexpr u8 uffd_wp = 1;
    static constexpr u8 poisoned = 2;
    static constexpr u8 guard = 4;
    static constexpr u8 written = 8;
};

struct Entry {
    EntryKind kind = EntryKind::none;
    MigrationKind migration = MigrationKind::read;
    u8 markers = 0;
    bool write : 1 = false;       ///< w
    bool dirty : 1 = false;       ///< d
    bool young : 1 = false;       ///< y
    bool soft_dirty : 1 = false;  ///< sd
    bool uffd_wp : 1 = false;     ///< u
    bool protnone : 1 = false;    ///< present, but no access: a NUMA hint or PROT_NONE
    bool zero : 1 = false;        ///< the shared zero page
    bool exclusive : 1 = false;   ///< swap: PageAnonExclusive of the page that was swapped out
    u16 target = 0;               ///< page, or swap slot

    bool none() const { return kind == EntryKind::none; }
    bool present() const { return kind == EntryKind::present; }
    bool is_marker(u8 which) const { return kind == EntryKind::marker && (markers & which) != 0; }
    /// Maps a page of its own (not the zero page).
    bool maps_page() const { return present() && !zero; }
    /// As bytes: field by field is a dozen comparisons on the way of every step.
    friend bool operator==(const Entry& one, const Entry& two) {
        return std::memcmp(&one, &two, sizeof(one)) == 0;
    }
};
static_assert(sizeof(Entry) == 6 && std::has_unique_object_representations_v<Entry>);

/// `leaf`: the entry itself maps, or waits for, the whole range: a THP, the huge zero page, a THP
/// under migration; in a hugetlb VMA the only kind there is, its entry of any kind.
enum class PmdKind : u8 { none, table, leaf };

struct Pmd {
    PmdKind kind = PmdKind::none;
    u8 gap = 0;  ///< see state.h
    Entry leaf{};
    friend bool operator==(const Pmd&, const Pmd&) = default;
};

}  // namespace verso::mm
