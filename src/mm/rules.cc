// Rules: the table of switches and the presets made from it. A release has every fix whose `since`
// is that release or earlier; a stable series also those that were brought to it.
#include "mm/rules.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace verso::mm {
namespace {

constexpr std::array switch_table = std::to_array<Switch>({
    {"prot_wp_writenotify", &Rules::prot_wp_writenotify, 602, "VP6 FX-1 FX-1b S0-04",
     "a shared write-protected VMA has no W in vm_page_prot, so no path can bring it back"},
    {"mkuffd_wp_clears_w", &Rules::mkuffd_wp_clears_w, 603, "O5 FX-3 S0-07",
     "setting the uffd-wp bit takes the write bit away, wherever it is set"},
    {"migration_two_types", &Rules::migration_two_types, 0, "S2-22",
     "migration entries say exclusive or not, and write is decided by can_change_pte_writable"},
    {"migration_o9", &Rules::migration_o9, 0, "S2-23",
     "the end of a migration asks can_change_pte_writable, so that the next store takes no fault"},
    {"migration_write_asks_vm_write", &Rules::migration_write_asks_vm_write, 0, "E-MG4",
     "a WRITE entry comes back writable only where the VMA may be written (6.1)"},
    {"migration_clears_sd", &Rules::migration_clears_sd, 616, "E-MG10",
     "the end of a migration clears soft-dirty where the entry had none"},
    {"unprotect_uses_page_prot", &Rules::unprotect_uses_page_prot, 603, "W-15 FX-2 S1-01",
     "un-protecting takes vm_page_prot, not the VMA's flags, and so respects soft-dirty"},
    {"unprotect_tries_writable", &Rules::unprotect_tries_writable, 603, "W-15 S1-05 S1-06",
     "un-protecting asks can_change_pte_writable, which saves the next store a fault"},
    {"unprotect_upgrades_shared", &Rules::unprotect_upgrades_shared, 0, "W-15 S1-07",
     "… also in shared mappings; the running 6.18 was seen not to"},
    {"hugetlb_tries_writable", &Rules::hugetlb_tries_writable, 0, "W-15 S1-09",
     "the same for hugetlb, which has no such path"},
    {"o9_shmem_clean_ok", &Rules::o9_shmem_clean_ok, 0, "S1-08",
     "a clean shmem entry may become writable without a fault"},
    {"can_change_softdirty_test", &Rules::can_change_softdirty_test, 600, "O9 FX-13",
     "an entry that must report its next store as soft-dirty is not made writable"},
    {"swapin_w_on_load", &Rules::swapin_w_on_load, 612, "FA-9",
     "a load that swaps in may leave the entry writable"},
    {"wp_unallocated_excludes_missing", &Rules::wp_unallocated_excludes_missing, 0, "S4-11",
     "protecting what is not populated cannot be had together with MISSING"},
    {"zap_is_write", &Rules::zap_is_write, 607, "8.2 S3-10",
     "asynchronous: a zap that changes the bytes counts as a write"},
    {"softdirty_configured", &Rules::softdirty_configured, 0, "VP5 8.10",
     "the kernel tracks soft-dirty pages at all (CONFIG_MEM_SOFT_DIRTY)"},
    {"softdirty_writenotify", &Rules::softdirty_writenotify, 318, "VP5 FX-12",
     "a VMA whose soft-dirty bits were cleared has no W in vm_page_prot"},
    {"u_bit_exists", &Rules::u_bit_exists, 507, "FX-14",
     "protection is a bit of its own, not only a missing write bit"},
    {"markers_exist", &Rules::markers_exist, 519, "FX-15",
     "an entry that goes away leaves its protection behind as a marker"},
    {"copy_wp_ignores_vm_write", &Rules::copy_wp_ignores_vm_write, 518, "FX-4",
     "COPY with MODE_WP protects whatever the VMA's permissions are"},
    {"swap_compare_ignores_u", &Rules::swap_compare_ignores_u, 513, "FX-5",
     "swapoff finds the entries of a slot whether they are protected or not"},
    {"unregister_clears_u", &Rules::unregister_clears_u, 600, "FX-6",
     "UNREGISTER lifts protection from every entry"},
    {"close_clears_u", &Rules::close_clears_u, 609, "FX-7", "closing the descriptor does too"},
    {"fork_drops_markers", &Rules::fork_drops_markers, 602, "FX-8",
     "a child without a context inherits no protection markers"},
    {"huge_zero_split_keeps_u", &Rules::huge_zero_split_keeps_u, 603, "FX-9",
     "splitting the huge zero page keeps its protection"},
    {"scan_reads_swap_u", &Rules::scan_reads_swap_u, 609, "FX-10",
     "PAGEMAP_SCAN reads protection of entries without a page where it is"},
    {"mremap_clears_u", &Rules::mremap_clears_u, 613, "FX-11",
     "moving memory out of a registration lifts its protection"},
    {"has_user_mode_only", &Rules::has_user_mode_only, 511, "AP-3 FD-3",
     "a userfaultfd may be for faults of the program itself alone"},
    {"has_minor_hugetlb", &Rules::has_minor_hugetlb, 513, "RG-7 FL-33",
     "MINOR and CONTINUE, of hugetlb memory"},
    {"has_minor_shmem", &Rules::has_minor_shmem, 514, "RG-7 FL-33", "the same of shared memory"},
    {"has_file_dontunmap", &Rules::has_file_dontunmap, 513, "E-MR8",
     "MREMAP_DONTUNMAP of memory that is not anonymous"},
    {"has_populate", &Rules::has_populate, 514, "FG-3", "MADV_POPULATE_READ and _WRITE"},
    {"has_hugetlb_mremap", &Rules::has_hugetlb_mremap, 516, "8.9", "hugetlb memory can be moved"},
    {"has_exact_address", &Rules::has_exact_address, 518, "AP-13",
     "messages can say the address to the byte"},
    {"has_hugetlb_dontneed", &Rules::has_hugetlb_dontneed, 518, "E-ZP9",
     "MADV_DONTNEED of hugetlb memory"},
    {"has_collapse", &Rules::has_collapse, 601, "8.6", "MADV_COLLAPSE"},
    {"has_wp_shmem", &Rules::has_wp_shmem, 519, "1.5", "shmem and hugetlb can be protected"},
    {"has_wp_unpopulated", &Rules::has_wp_unpopulated, 604, "K2",
     "anonymous addresses without a page can be protected"},
    {"has_wp_spans_vmas", &Rules::has_wp_spans_vmas, 604, "WP-13",
     "one WRITEPROTECT may span several VMAs"},
    {"has_continue_wp", &Rules::has_continue_wp, 604, "FL-4", "CONTINUE can protect"},
    {"has_pin_check", &Rules::has_pin_check, 605, "FG-1",
     "a file's pages that are written back cannot be pinned for writing for long"},
    {"has_poison", &Rules::has_poison, 606, "FL-20", "UFFDIO_POISON"},
    {"has_wp_async", &Rules::has_wp_async, 607, "9.1", "asynchronous protection, PAGEMAP_SCAN"},
    {"has_move", &Rules::has_move, 608, "5.6", "UFFDIO_MOVE"},
    {"has_guard_anon", &Rules::has_guard_anon, 613, "8.11", "guard regions in anonymous memory"},
    {"has_guard_file", &Rules::has_guard_file, 615, "8.11", "guard regions in file mappings"},
    {"has_register_owner_check", &Rules::has_register_owner_check, 617, "UN-7",
     "UNREGISTER through another userfaultfd is refused"},
    {"has_mremap_of_several", &Rules::has_mremap_of_several, 617, "8.9",
     "one mremap may move several mappings, with the holes between them"},
    {"numa_asks_o9", &Rules::numa_asks_o9, 602, "E-NU1 E-NU4",
     "a hint takes write away, and its fault asks can_change_pte_writable; before, a hint kept it"},
    // What 6.18 does not do: each is off in every preset of a release.
    {"merge_keeps_u", &Rules::merge_keeps_u, not_yet, "E-KS2",
     "same-page merging keeps protection: merge-forgets"},
    {"dontunmap_keeps_u", &Rules::dontunmap_keeps_u, not_yet, "E-MR8",
     "MREMAP_DONTUNMAP leaves markers where a file's protected pages were: dontunmap-forgets"},
    {"moved_swap_loses_u", &Rules::moved_swap_loses_u, not_yet, "MV-17",
     "MOVE of what is in swap lifts the source's protection: moved-swap-stays-protected"},
    {"reregister_clears_u", &Rules::reregister_clears_u, not_yet, "RG-14",
     "registering anew without WP lifts protection: reregistered-stays-protected"},
    {"unregister_wakes_all", &Rules::unregister_wakes_all, not_yet, "UN-8",
     "UNREGISTER wakes those in WP and minor faults, too: unregister-wakes-nobody"},
    {"ioctls_ask_owner", &Rules::ioctls_ask_owner, not_yet, "FL-6 WP-9",
     "fills, MOVE and WRITEPROTECT reach their own userfaultfd's memory alone: any-descriptor"},
    {"dropped_copy_is_written", &Rules::dropped_copy_is_written, not_yet, "E-ZP5",
     "asynchronous: a private copy that is dropped counts as written: dropped-copy-is-clean"},
    {"empty_hugetlb_is_written", &Rules::empty_hugetlb_is_written, not_yet, "SC-26 SC-33",
     "PAGEMAP_SCAN calls an empty hugetlb entry written, and arms it: empty-hugetlb"},
    {"blind_scan_selects", &Rules::blind_scan_selects, not_yet, "SC-30",
     "PAGEMAP_SCAN without a vector arms what matches, up to max_pages: blind-arms-all"},
    {"failed_scan_arms_nothing", &Rules::failed_scan_arms_nothing, not_yet, "SC-9 SC-38",
     "PAGEMAP_SCAN that fails with EPERM has armed nothing: failed-scan-arms"},
    {"guard_install_ends", &Rules::guard_install_ends, not_yet, "E-GR2",
     "MADV_GUARD_INSTALL over protected file memory returns: guard-install-hangs"},
    {"locked_marker_fault_ends", &Rules::locked_marker_fault_ends, not_yet, "FC-8 FC-9",
     "a fault on a marker in locked file memory ends: locked-marker-hangs"},
    {"fills_leave_guards", &Rules::fills_leave_guards, not_yet, "FL-27 E-GR8",
     "COPY and CONTINUE do not replace a guard: guard-is-filled"},
    {"fills_end_with_file", &Rules::fills_end_with_file, not_yet, "FL-15",
     "COPY fills no private hugetlb page behind the end of its file: fills-behind-the-end"},
    {"scan_leaves_guards", &Rules::scan_leaves_guards, not_yet, "SC-34",
     "PAGEMAP_SCAN does not arm a guard: guard-is-armed"},
    {"scan_leaves_poison", &Rules::scan_leaves_poison, not_yet, "SC-34",
     "PAGEMAP_SCAN does not arm a poisoned page: poison-is-armed"},
    {"mremap_leaves_neighbour", &Rules::mremap_leaves_neighbour, not_yet, "E-MR2 I5",
     "mremap takes no registration from what lies beside the new place: "
     "mremap-unregisters-neighbour"},
    {"hugetlb_truncation_keeps_u", &Rules::hugetlb_truncation_keeps_u, not_yet, "E-ZP12",
     "truncation of a hugetlb file leaves protection markers: hugetlb-truncation-forgets"},
    {"huge_shmem_keeps_u", &Rules::huge_shmem_keeps_u, not_yet, "FT-5 E-TH5",
     "splitting a protected huge page of shared memory leaves markers: huge-shmem-forgets"},
    {"huge_shmem_stays_mapped", &Rules::huge_shmem_stays_mapped, not_yet, "FT-6 E-TH4",
     "a store to a read-only huge page of shared memory does not unmap it: huge-shmem-faults-anew"},
    {"fork_copies_poison", &Rules::fork_copies_poison, not_yet, "E-FK9",
     "a child has the poisoned pages of shared mappings, too: poison-is-not-inherited"},
});

constexpr std::array releases = {"5.7", "5.19", "6.1", "6.1.8", "6.1.191", "6.2",  "6.3",
                                 "6.4", "6.6",  "6.7", "6.8",   "6.9",     "6.13", "6.18"};
/// As 6.18 would be if it kept every promise.
constexpr std::string_view mended = "mended";
constexpr u16 mended_release = 618;

/// "6.13" → 613, "6.1.8" → 601: the release of a stable series is that of its base.
std::optional<u16> number_of(std::string_view name) {
    unsigned major = 0;
    unsigned minor = 0;
    const char* const end = name.data() + name.size();
    const auto [dot, first] = std::from_chars(name.data(), end, major);
    if (first != std::errc{} || dot == end || *dot != '.') {
        return std::nullopt;
    }
    const auto [rest, second] = std::from_chars(dot + 1, end, minor);
    if (second != std::errc{} || (rest != end && *rest != '.') || major > 9 || minor > 99) {
        return std::nullopt;
    }
    return static_cast<u16>(major * 100 + minor);
}

}  // namespace

std::span<const Switch> switches() { return switch_table; }

std::vector<std::string> preset_names() {
    std::vector<std::string> names(releases.begin(), releases.end());
    names.emplace_back(mended);
    return names;
}

Rules mainline() { return Rules{}; }

std::optional<Rules> preset(std::string_view name) {
    const bool known = name == mended || std::ranges::find(releases, name) != releases.end();
    const std::optional<u16> release = name == mended ? mended_release : number_of(name);
    if (!known || !release) {
        return std::nullopt;
    }
    Rules rules;
    for (const Switch& one : switch_table) {
        if (one.since == not_yet) {
            rules.*one.value = name == mended;
        } else if (one.since != 0) {
            rules.*one.value = one.since <= *release;
        }
    }
    rules.unprotect_upgrades_shared = false;  // as seen on the running kernel
    rules.none_policy_file = *release < 519 ? NonePolicy::unprotected : NonePolicy::marker;
    rules.none_policy_anon = *release < 604 ? NonePolicy::unprotected : NonePolicy::marker;
    // Until 6.3 write permission was taken away by hand (S0-06), and not everywhere: by the fault
    // that finds a marker and by COPY (b1f9e876862d), not at the end of a migration or of a hint.
    rules.wp_site_removal =
        *release >= 519 && *release < 603 ? WpSite::refault | WpSite::copy : u8{0};
    rules.migration_write_asks_vm_write = *release == 601;
    // 6.2, 6.3 and the 6.1 series also took write away at the end of migration, by hand (section
    // 4).
    if (*release == 602 || *release == 603 || name == "6.1.8" || name == "6.1.191") {
        rules.migration_restore = MigrationRestore::by_entry_type;
    }
    if (name == "6.1.8" || name == "6.1.191") {
        rules.prot_wp_writenotify = true;
    }
    if (name == "6.1.191") {
        rules.close_clears_u = true;
        rules.mremap_clears_u = true;
    }
    return rules;
}

Rules with_designs(Rules base, bool writenotify, bool clears_w) {
    base.prot_wp_writenotify = writenotify;
    base.mkuffd_wp_clears_w = clears_w;
    base.wp_site_removal = 0;
    return base;
}

}  // namespace verso::mm
