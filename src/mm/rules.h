// Rules: how this kernel behaves where kernels differ, one named switch per difference. Every
// switch is either a fix that some release brought (section 13 of the specification, `since`), one
// that no release has brought yet (docs/findings.md, `not_yet`), or a design that was debated
// (section 14). A rule that is off must show: as a lost write, a page
// wrongly called clean, or a broken invariant, in the shortest program that its row in docs/mm.md
// gives.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/types.h"

namespace verso::mm {

/// What the end of a migration takes the write permission from, for entries that are not WRITE.
enum class MigrationRestore : u8 { from_vma, uffd_special_case, by_entry_type };

/// What an empty address of a write-protected VMA means, and what protecting it leaves behind.
enum class NonePolicy : u8 {
    unprotected,    // not protected, cannot be (anonymous memory, 5.7 to 6.3)
    marker,         // not protected; protecting leaves a marker (files 5.19, anonymous 6.4)
    fault_path,     // populated with the bit set, whatever was asked (S4's patch)
    protected_,     // protected; two markers (S3)
    protected_one,  // protected; one marker that says "not protected" (S3-09)
};

/// Sites that rebuild an entry and, in design (2), must each take the write bit away by hand.
struct WpSite {
    static constexpr u8 migration = 1, numa_hint = 2, mprotect = 4, refault = 8, copy = 16;
    static constexpr u8 all = 31;
};

/// Paths that add write permission in design (1) (VP12 to VP19). The write fault on a present entry
/// (VP11) is the one to which what the others forget is left.
struct WriteSite {
    static constexpr u8 first_write = 1, swap_in = 2, file_fault = 4, fill = 8;
    static constexpr u8 migration_end = 16, unprotect = 32, numa_hint = 64, move = 128;
};

struct Rules {
    // Protection designs.
    bool prot_wp_writenotify = true;  // (1): VM_UFFD_WP takes W out of vm_page_prot
    bool mkuffd_wp_clears_w = true;   // (2) done once: setting the bit clears write
    u8 wp_site_removal = 0;           // (2) done by hand: WpSite bits
    u8 write_forgotten = 0;           // (1) with a mistake: WriteSite bits that add nothing
    MigrationRestore migration_restore = MigrationRestore::from_vma;
    bool migration_two_types = false;  // READ and WRITE folded; write decided by O9
    bool migration_o9 = false;         // a non-WRITE entry may still become writable by O9
    bool migration_write_asks_vm_write = false;
    bool migration_clears_sd = true;
    // Un-protecting.
    bool unprotect_uses_page_prot = true;   // not the VMA's raw flags
    bool unprotect_tries_writable = true;   // O9 afterwards (MM_CP_TRY_CHANGE_WRITABLE)
    bool unprotect_upgrades_shared = true;  // … also in shared mappings; see docs/mm.md, W-15
    bool hugetlb_tries_writable = false;
    bool o9_shmem_clean_ok = false;
    bool can_change_softdirty_test = true;
    bool swapin_w_on_load = true;
    // Empty addresses.
    NonePolicy none_policy_file = NonePolicy::marker;
    NonePolicy none_policy_anon = NonePolicy::marker;
    bool wp_unallocated_excludes_missing = false;
    bool zap_is_write = true;  // async: a zap that changes bytes is a modification
    // Soft-dirty.
    bool softdirty_configured = true;
    bool softdirty_writenotify = true;
    // Historic fixes.
    bool u_bit_exists = true;
    bool markers_exist = true;
    bool copy_wp_ignores_vm_write = true;
    bool swap_compare_ignores_u = true;
    bool unregister_clears_u = true;
    bool close_clears_u = true;
    bool fork_drops_markers = true;
    bool huge_zero_split_keeps_u = true;
    bool scan_reads_swap_u = true;
    bool mremap_clears_u = true;
    // What exists in this release.
    bool has_user_mode_only = true;        // 5.11: UFFD_USER_MODE_ONLY
    bool has_minor_hugetlb = true;         // 5.13: MINOR and CONTINUE
    bool has_minor_shmem = true;           // 5.14
    bool has_file_dontunmap = true;        // 5.13: MREMAP_DONTUNMAP of other than anonymous memory
    bool has_populate = true;              // 5.14: MADV_POPULATE_READ and _WRITE
    bool has_hugetlb_mremap = true;        // 5.16
    bool has_exact_address = true;         // 5.18
    bool has_hugetlb_dontneed = true;      // 5.18
    bool has_collapse = true;              // 6.1: MADV_COLLAPSE
    bool has_wp_shmem = true;              // 5.19: WP for shmem and hugetlb
    bool has_wp_unpopulated = true;        // 6.4
    bool has_wp_spans_vmas = true;         // 6.4: WRITEPROTECT over several VMAs
    bool has_continue_wp = true;           // 6.4
    bool has_pin_check = true;             // 6.5: no long pin for writing of a shared file
    bool has_poison = true;                // 6.6
    bool has_wp_async = true;              // 6.7
    bool has_move = true;                  // 6.8
    bool has_guard_anon = true;            // 6.13
    bool has_guard_file = true;            // 6.15
    bool has_register_owner_check = true;  // about 6.17: UNREGISTER through another context refused
    bool has_mremap_of_several = true;     // 6.17: one mremap may move several mappings
    bool numa_asks_o9 = true;              // 6.2: the hint scan leaves no write bit to come back
    // Promises and documents that no release keeps yet: docs/findings.md.
    bool merge_keeps_u = true;
    bool dontunmap_keeps_u = true;
    bool moved_swap_loses_u = true;
    bool reregister_clears_u = true;
    bool unregister_wakes_all = true;
    bool ioctls_ask_owner = true;
    bool dropped_copy_is_written = true;
    bool empty_hugetlb_is_written = true;
    bool blind_scan_selects = true;
    bool failed_scan_arms_nothing = true;
    bool guard_install_ends = true;
    bool locked_marker_fault_ends = true;
    bool fills_leave_guards = true;
    bool fills_end_with_file = true;
    bool scan_leaves_guards = true;
    bool scan_leaves_poison = true;
    bool mremap_leaves_neighbour = true;
    bool hugetlb_truncation_keeps_u = true;
    bool huge_shmem_keeps_u = true;
    bool huge_shmem_stays_mapped = true;
    bool fork_copies_poison = true;

    friend bool operator==(const Rules&, const Rules&) = default;
};

/// `since` of what no release does: the kernel breaks a promise, or is not as documented.
inline constexpr u16 not_yet = 9999;

/// A switch that is on or off, for tables, command lines and mutation.
struct Switch {
    std::string_view name;
    bool Rules::*value;
    u16 since;                // release × 100 (6.2 is 602), 0: a design, not a fix; or not_yet
    std::string_view rows;    // of the specification
    std::string_view reason;  // one line
};
std::span<const Switch> switches();

/// Releases with a preset, as written: "5.7", "5.19", "6.1", …, "6.18"; "6.1.8" and "6.1.191" for
/// the stable series that got fixes of their own; last "mended", 6.18 with all that is not_yet.
std::vector<std::string> preset_names();
std::optional<Rules> preset(std::string_view name);
/// The newest release of which this is said to be true: what the other rules default to.
Rules mainline();

/// Design (1), design (2), both or neither, on top of `base`.
Rules with_designs(Rules base, bool writenotify, bool clears_w);

}  // namespace verso::mm
