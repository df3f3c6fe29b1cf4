// Broken promises of the running kernel: docs/findings.md. The model breaks each, too, as long as
// its rule is off: that rule is how one is recognised.
#include <array>

#include "check/conform/occasion.h"

namespace verso::check {
namespace {

using mm::Rules;

/// One page was enough, and found: the model stops there; the kernel looks on, for a second that it
/// need not report, and what it meets then makes it fail.
bool failed_scan_arms(const Occasion& of, const Part& part) {
    const bool fails =
        of.step.verb == Verb::arm && of.said() != nullptr && of.said()->outcome == "EPERM";
    return fails && (of.step.mode & ScanMode::one) != 0 && is_outcome(part) && went_well(part.one);
}

constexpr auto list = std::to_array<Known>({
    {"guard-install-hangs", Blame::promise, "6.18", "E-GR2",
     "SS: REGISTER(WP); WRITEPROTECT; GUARD_INSTALL",
     "MADV_GUARD_INSTALL over protected file memory never ends", nullptr,
     &Rules::guard_install_ends},
    {"locked-marker-hangs", Blame::promise, "6.18", "FC-8, FC-9",
     "FS, async: REGISTER(WP); arm; lock",
     "a fault on a locked page of a file that has a protection marker and is not in the cache "
     "never ends",
     nullptr, &Rules::locked_marker_fault_ends},
    {"guard-is-filled", Blame::promise, "6.18", "FL-27, E-GR8",
     "A: REGISTER(MISSING); GUARD_INSTALL; COPY", "UFFDIO_COPY replaces a guard", nullptr,
     &Rules::fills_leave_guards},
    {"blind-arms-all", Blame::promise, "6.18", "SC-30",
     "SS, 2 pages, async: load@1; REGISTER(WP); arm(FILE|BLIND)@0",
     "PAGEMAP_SCAN without a vector arms pages that do not match, past max_pages", nullptr,
     &Rules::blind_scan_selects},
    {"dropped-copy-is-clean", Blame::promise, "6.18", "E-ZP5, I10",
     "SP, async: store; REGISTER(WP); arm; DONTNEED",
     "a private copy that is dropped is called clean", nullptr, &Rules::dropped_copy_is_written},
    {"poison-is-armed", Blame::promise, "6.18", "SC-34, I10",
     "SS, async, poison: REGISTER(WP); POISON; arm; DONTNEED",
     "PAGEMAP_SCAN arms a poisoned page, and a zap leaves the protection", nullptr,
     &Rules::scan_leaves_poison},
    {"empty-hugetlb", Blame::promise, "6.18", "SC-26, SC-33",
     "HS, async: REGISTER(WP); scan(WRITTEN)",
     "an empty hugetlb entry is neither called written nor armed", nullptr,
     &Rules::empty_hugetlb_is_written},
    {"any-descriptor", Blame::promise, "6.18", "FL-6, WP-9",
     "A: store; REGISTER(WP); WRITEPROTECT; other clear",
     "an ioctl reaches memory that is registered with another userfaultfd", nullptr,
     &Rules::ioctls_ask_owner},
    {"reregistered-stays-protected", Blame::promise, "6.18", "RG-14, I4",
     "A: store; REGISTER(WP); WRITEPROTECT; REGISTER(MISSING)",
     "registering anew without WP leaves the protection in the entries", nullptr,
     &Rules::reregister_clears_u},
    {"dontunmap-forgets", Blame::promise, "6.18", "E-MR8, I9",
     "SS: REGISTER(WP); WRITEPROTECT; mremap(DONTUNMAP)",
     "MREMAP_DONTUNMAP takes the protection of a file's pages away from the range that stays",
     nullptr, &Rules::dontunmap_keeps_u},
    {"failed-scan-arms", Blame::promise, "6.18", "SC-9, SC-38, I10",
     "SS, 2 pages, async: REGISTER(WP)@0; arm",
     "PAGEMAP_SCAN that fails with EPERM has armed what lies before, and reports it to nobody",
     failed_scan_arms, &Rules::failed_scan_arms_nothing},
    {"merge-forgets", Blame::promise, "6.18", "E-KS2, I9",
     "A, 2 pages: store(7); store(7)@1; MERGEABLE; REGISTER(WP); WRITEPROTECT; merge; store",
     "same-page merging takes the protection of a page away", nullptr, &Rules::merge_keeps_u},
    {"moved-swap-stays-protected", Blame::promise, "6.18", "MV-17, MV-22, I4",
     "A, move: map; store@'; REGISTER(WP)@'; WRITEPROTECT@'; reclaim@'; REGISTER(MISSING); MOVE",
     "UFFDIO_MOVE of a page in swap brings the source's protection along", nullptr,
     &Rules::moved_swap_loses_u},
    {"unregister-wakes-nobody", Blame::promise, "6.18", "UN-8",
     "A, messages: store; REGISTER(WP); WRITEPROTECT; t1 store; UNREGISTER",
     "UNREGISTER does not wake a thread that sleeps in a write-protect or minor fault", nullptr,
     &Rules::unregister_wakes_all},
});

}  // namespace

std::span<const Known> known_broken_promises() { return list; }

}  // namespace verso::check
