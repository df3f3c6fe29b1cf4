// Accesses are explained by the entry that they met, in the order in which the fault handler looks
// at it (mm/fault.cc); calls and the kernel's own acts by a table, and by what they left.
#include "check/report/meaning.h"

#include "check/program/said.h"
#include "kernel/call.h"
#include "kernel/half.h"

namespace verso::check::report {
namespace {

using mm::EntryKind;
using mm::VmFlag;

bool writes(Verb verb) {
    return verb == Verb::store || verb == Verb::write || verb == Verb::force || verb == Verb::pin;
}
bool is_access(Verb verb) { return verb == Verb::load || verb == Verb::read || writes(verb); }
bool by_kernel(Verb verb) { return verb != Verb::load && verb != Verb::store; }

bool permitted(const Step& step, const Met& met) {
    return met.mapped && met.vma.has(writes(step.verb) ? VmFlag::write : VmFlag::read);
}

Meaning signalled(const Step& step, const Met& met) {
    if (met.entry.is_marker(mm::Marker::guard)) {
        return {"handle_pte_marker", "The entry is a guard: every access fails."};
    }
    if (met.entry.is_marker(mm::Marker::poisoned)) {
        return {"handle_pte_marker", "The entry is marked as poisoned: every access fails."};
    }
    if (!permitted(step, met)) {
        return {"access_error", "The mapping does not allow this access, or there is none."};
    }
    if (!met.vma.has(VmFlag::uffd)) {
        return {"do_fault", "There is no page to be had."};
    }
    const bool held = met.entry.present() || met.entry.kind == EntryKind::swap;
    return {held ? "do_wp_page, handle_userfault" : "handle_userfault",
            "The access is held back, and userfaultfd tells of it. This program asked to be told "
            "by a signal (UFFD_FEATURE_SIGBUS): the thread gets it, and nothing is written."};
}

/// By the entry that the fault handler finds.
Meaning faulted(const Step& step, const Met& met, const Met& after) {
    const bool anonymous = met.vma.anonymous();
    switch (met.entry.kind) {
        case EntryKind::none:
        case EntryKind::marker: {
            const std::string marker = met.entry.none() ? "" : "handle_pte_marker, ";
            if (anonymous) {
                return {marker + "do_anonymous_page",
                        after.entry.zero ? "Nothing is there: a load is given the zero page."
                                         : "Nothing is there: a folio of zeroes is made."};
            }
            const bool copies = writes(step.verb) && !met.vma.shared();
            return {marker + (copies              ? "do_cow_fault"
                              : writes(step.verb) ? "do_shared_fault"
                                                  : "do_read_fault"),
                    copies ? "The file's page is copied: a private mapping never writes to it."
                           : "The page is taken from the page cache; a new entry is built from "
                             "vm_page_prot."};
        }
        case EntryKind::swap:
            return {"do_swap_page", "The page is brought back from swap into a folio."};
        case EntryKind::migration:
            return {"migration_entry_wait", "The thread waited until the migration was over."};
        case EntryKind::hwpoison: return {"do_swap_page", "The page is lost."};
        case EntryKind::present: break;
    }
    if (met.entry.protnone) {
        return {"do_numa_page", "The entry was a hint: access is put back from vm_page_prot."};
    }
    if (writes(step.verb) && !met.entry.write) {
        const bool copied = met.entry.target != after.entry.target || met.entry.zero;
        const char* const text =
            met.entry.uffd_wp && !after.entry.uffd_wp
                ? "Asynchronous protection: the kernel notes the write by clearing uffd-wp, and "
                  "the store goes on."
            : copied ? "The folio may be shared: the store gets a copy of its own."
                     : "Nobody else needs the folio as it is: the entry becomes writable.";
        return {copied ? "do_wp_page, wp_page_copy" : "do_wp_page, wp_page_reuse", text};
    }
    return {"handle_pte_fault", "The entry is brought up to date."};
}

Meaning access_meaning(const Step& step, const Met& met, const Met& after,
                       const std::string& outcome) {
    if (!outcome.starts_with("done") && !outcome.starts_with('=')) {
        return signalled(step, met);
    }
    const bool allowed = met.mapped && met.entry.present() && !met.entry.protnone &&
                         (!writes(step.verb) || met.entry.write);
    Meaning meaning = allowed ? Meaning{} : faulted(step, met, after);
    if (met.hugetlb) {
        meaning.kernel = "hugetlb_fault";
    } else if (met.leaf) {
        meaning.kernel =
            writes(step.verb) ? "wp_huge_pmd, do_huge_pmd_wp_page" : "huge_pmd_set_accessed";
    }
    if (allowed) {
        meaning.kernel = by_kernel(step.verb) ? "follow_page_mask" : "none: no fault";
        meaning.text = by_kernel(step.verb)
                           ? "The entry allows it: the kernel takes the page as it is."
                           : "The entry allows it: the processor does not ask the kernel.";
        if (writes(step.verb) && met.entry.uffd_wp) {
            meaning.text += " It looks at the write bit alone; uffd-wp means nothing to it.";
        }
    }
    if (by_kernel(step.verb)) {
        meaning.kernel = "get_user_pages, " + meaning.kernel;
    }
    return meaning;
}

std::string registered(const Met& after) {
    if (!after.mapped || !after.vma.has(VmFlag::uffd_wp)) {
        return {};
    }
    if (!after.vma.shared()) {
        return " New entries of a private mapping are read-only anyway: the first store copies.";
    }
    return after.vma.prot_write
               ? " vm_page_prot stays writable: entries that are built from it will be, too."
               : " vm_page_prot is read-only from now on: no entry that is built from it can be "
                 "written to.";
}

Meaning migrated(char half, const Met& before, const Met& after) {
    if (half == 'a') {
        return {"try_to_migrate",
                "Every entry of the folio becomes a migration entry, which remembers whether it "
                "was writable and whether it was protected. Who touches it now has to wait."};
    }
    if (half == 'b' && after.entry.present()) {
        std::string text =
            "The bytes are in another folio, and each entry is built anew from vm_page_prot.";
        if (after.entry.uffd_wp && after.entry.write) {
            text += " That allows writing, so the entry is writable, although it is protected.";
        } else if (after.entry.uffd_wp) {
            text += " Protection is kept: the entry stays read-only.";
        } else if (after.entry.write && before.entry.migration == mm::MigrationKind::write) {
            text += " It was writable, and is again.";
        }
        return {"migrate_folio_move, remove_migration_ptes", text};
    }
    return {"migrate_pages",
            "The folio moves to another frame: its entries become migration entries, then "
            "entries of the new folio."};
}

/// What only a model can be stopped in, or made to suffer.
Meaning half_of_event(kernel::Half half) {
    using kernel::Half;
    struct Told {
        Half half;
        const char* kernel;
        const char* text;
    };
    constexpr Told all[] = {
        {Half::migrate_begin, "try_to_migrate",
         "Each entry of the folio becomes a migration entry: who touches it waits for the end."},
        {Half::migrate_end, "remove_migration_ptes", "Each entry is built anew."},
        {Half::migrate_fail, "remove_migration_ptes", "The folio stays, and is mapped again."},
        {Half::write_back_begin, "clear_page_dirty_for_io, page_mkclean",
         "Dirty pages of the file go to disk: entries lose dirty and write."},
        {Half::write_back_end, "folio_end_writeback", "The bytes are on disk."},
        {Half::swap_slot_fails, "swap_read_folio", "What lies in swap can be read no more."},
        {Half::memory_failure, "memory_failure",
         "The page's memory is broken: who touches it next is told with SIGBUS."},
        {Half::pin_to_read, "pin_user_pages, gup_must_unshare",
         "A long-term pin for reading: what is shared is made this process' own before."},
        {Half::merge_zeroes, "try_to_merge_one_page", "A page of zeroes becomes the zero page."},
        {Half::other_node, "migrate_task_rq_fair",
         "The thread runs on the other node: its pages are far away."},
        {Half::memory_full, "alloc_pages", "There is no free page any more: others have them."},
        {Half::memory_back, "free_pages", "There are free pages again."},
        {Half::swap_full, "folio_alloc_swap", "There is no free slot of swap any more."},
        {Half::at_the_end, "TASK_SIZE", "Nothing lies behind the second area from here on."},
        {Half::device_writes, "unpin_user_pages_dirty_lock",
         "The device writes to the page that it has pinned, and lets it go."}};
    for (const Told& one : all) {
        if (one.half == half) {
            return {one.kernel, one.text};
        }
    }
    return {"migrate_vma_setup, migrate_vma_pages, migrate_vma_finalize",
            "A driver takes the page to its own memory, step by step."};
}

Meaning provoked(const Step& step, char half, const Met& before, const Met& after) {
    using kernel::Trigger;
    switch (static_cast<Trigger>(step.mode)) {
        case Trigger::migrate: return migrated(half, before, after);
        case Trigger::reclaim:
            return {
                "shrink_folio_list, try_to_unmap",
                "Memory is short: the folio leaves. Anonymous pages leave a swap entry; an "
                "entry of a file's page simply goes, and if it was protected, a marker says so."};
        case Trigger::swap_off:
            return {"try_to_unuse", "Everything in swap is brought back to memory."};
        case Trigger::numa_hint:
            return {"change_prot_numa",
                    "The NUMA balancer takes access away: the next touch faults and tells it from "
                    "which node it came."};
        case Trigger::ksm_merge:
            return {"try_to_merge_one_page", "Equal pages become one, read-only for all."};
        case Trigger::ksm_unmerge:
            return {"unmerge_ksm_pages", "Each gets a copy of its own again."};
        case Trigger::thp_collapse:
            return {"collapse_huge_page", "Small pages in a row become one huge one."};
        case Trigger::thp_split:
            return {"split_huge_page", "One huge page becomes small ones again."};
        case Trigger::write_back:
            if (half == 'a') {
                return {"clear_page_dirty_for_io, page_mkclean",
                        "Dirty pages of the file go to disk: entries lose dirty and write, so that "
                        "the next store is noticed."};
            }
            return {"folio_end_writeback", "The bytes are on disk."};
    }
    return half_of_event(kernel::half_of(static_cast<Trigger>(step.mode)));
}

Meaning advised(u64 mode) {
    using kernel::Advice;
    switch (static_cast<Advice>(mode)) {
        case Advice::drop:
            return {"zap_page_range_single",
                    "The entries are dropped: anonymous memory is zeroes again, a file's page "
                    "comes back from the page cache."};
        case Advice::remove: return {"vfs_fallocate", "A hole is punched into the file."};
        case Advice::free:
            return {"madvise_free_single_vma",
                    "The kernel may drop the pages until the next store."};
        case Advice::cold: return {"madvise_cold", "The pages may go first when memory is short."};
        case Advice::pageout: return {"madvise_pageout", "The pages are reclaimed at once."};
        case Advice::collapse:
            return {"madvise_collapse", "Small pages in a row become one huge one."};
        case Advice::huge_page: return {"hugepage_madvise", "Faults may give huge pages here."};
        case Advice::no_huge_page: return {"hugepage_madvise", "No huge pages here from now on."};
        case Advice::mergeable: return {"ksm_madvise", "Equal pages here may become one."};
        case Advice::unmergeable: return {"ksm_madvise", "Merged pages are copied apart."};
        case Advice::populate_read: return {"faultin_page_range", "Each page is read once."};
        case Advice::make_writable:
            return {"faultin_page_range", "Each page is made writable, as a store would."};
        case Advice::guard_install:
            return {"madvise_guard_install", "Every access will fail here: entries become guards."};
        case Advice::guard_remove: return {"madvise_guard_remove", "The guards go."};
    }
    return {};
}

Meaning protection_meaning(const Step& step, const Met& after) {
    if ((step.mode & 1) == 0) {
        return {"mwriteprotect_range, change_protection", "The bit is cleared; writers go on."};
    }
    std::string text = "Entries get uffd-wp and lose write.";
    if (after.mapped && after.entry.is_marker(mm::Marker::uffd_wp)) {
        text = "There is no page: a marker in its place remembers that it is protected.";
    } else if (after.mapped && after.entry.none()) {
        text = "There is no page and no marker: an empty entry cannot be protected here.";
    }
    return {"mwriteprotect_range, change_protection", text};
}

Meaning call_meaning(const Step& step, const Met& after) {
    switch (step.verb) {
        case Verb::register_:
            return {"userfaultfd_register",
                    "The mapping belongs to a userfaultfd from now on." + registered(after)};
        case Verb::unregister:
            return {"userfaultfd_unregister", "Nobody is told any more; protection is lifted."};
        case Verb::wake: return {"userfaultfd_wake", "Who waits here tries again."};
        case Verb::write_protect: return protection_meaning(step, after);
        case Verb::copy: return {"mfill_atomic_copy", "A page is brought, with these bytes."};
        case Verb::zeropage: return {"mfill_atomic_zeropage", "A page of zeroes is brought."};
        case Verb::continue_:
            return {"mfill_atomic_continue", "The page cache has the page: only an entry is made."};
        case Verb::poison: return {"mfill_atomic_poison", "Markers: every access will get SIGBUS."};
        case Verb::move: return {"move_pages", "The folio itself changes its place; no copy."};
        case Verb::close:
            return {"userfaultfd_release", "The userfaultfd is closed: its registrations end."};
        case Verb::fork:
            return {"copy_page_range",
                    "The child gets the parent's entries. Private folios are shared, read-only, "
                    "until one of them stores; what a fault can bring back is not copied."};
        case Verb::exit: return {"exit_mmap", "The process ends: its entries go."};
        case Verb::clear_refs:
            return {"clear_refs_write",
                    "Every soft-dirty bit is cleared and write taken away, so that the next store "
                    "sets it again."};
        case Verb::scan: return {"pagemap_scan_ioctl", "PAGEMAP_SCAN counts pages."};
        case Verb::arm:
            return {"pagemap_scan_ioctl, uffd_wp_range",
                    "PAGEMAP_SCAN takes the written pages and protects them in the same step."};
        case Verb::file_write:
            return {"generic_perform_write",
                    "write(2) changes the page cache: no entry is asked, and nobody is told."};
        case Verb::map:
            return {"do_mmap", (step.mode & MapMode::file) != 0
                                   ? "The second area is mapped, from the file."
                                   : "The second area is mapped as anonymous memory."};
        case Verb::unmap: return {"do_munmap", "The mapping goes, and its entries with it."};
        case Verb::remap:
            return (step.mode & RemapMode::here) != 0
                       ? Meaning{"expand_vma, shrink_vma", "The mapping changes its size in place."}
                       : Meaning{"move_page_tables", "The entries move to the second area."};
        case Verb::protect:
            return {"change_protection", "Each entry is rebuilt from the new vm_page_prot."};
        case Verb::truncate: return {"truncate_inode_pages", "The file ends earlier now."};
        case Verb::punch: return {"vfs_fallocate", "A hole is punched into the file."};
        case Verb::lock: return {"mlock_fixup", "The pages stay in memory."};
        case Verb::unpin: return {"unpin_user_pages", "The device lets go of the page."};
        case Verb::messages:
            return {"userfaultfd_read",
                    "What the userfaultfd has to say is read. Who waits for the answer to a fault "
                    "sleeps on until it is resolved and the range is woken; who waits for its "
                    "event to be read goes on."};
        case Verb::load:
        case Verb::store:
        case Verb::read:
        case Verb::write:
        case Verb::force:
        case Verb::pin:
        case Verb::advise:
        case Verb::provoke: break;  // have functions of their own
    }
    return {};
}

/// The thread that made the step is asleep in it.
Meaning asleep(const Step& step, const Met& met) {
    if (met.mapped && met.entry.kind == EntryKind::migration) {
        return {"migration_entry_wait", "The thread sleeps until the migration is over."};
    }
    if (!is_access(step.verb)) {
        return {"userfaultfd_event_wait_completion",
                "The call has done its work and left an event; its thread sleeps until somebody "
                "reads that."};
    }
    const bool held = met.entry.present() || met.entry.kind == EntryKind::swap;
    return {held ? "do_wp_page, handle_userfault" : "handle_userfault",
            "The access is held back: a message tells of it, and the thread sleeps until the "
            "fault is resolved and the range is woken."};
}

}  // namespace

Met meet(const mm::State& state, const Area& area, u32 page) {
    Met met;
    const mm::Vpn at = area.page(page);
    if (const mm::Vma* const vma = state.find_vma(area.space, at)) {
        met.mapped = true;
        met.vma = *vma;
        met.entry = mm::entry_at(state, area.space, at);
        met.leaf = state.spaces[area.space].pmds[state.pmd_index(at)].kind == mm::PmdKind::leaf;
        met.hugetlb = mm::is_hugetlb(state, *vma);
    }
    return met;
}

Meaning meaning_of(const Step& step, char half, const Met& before, const Met& after,
                   const std::string& outcome) {
    if (outcome == "begun") {
        return {"", "Not awaited: it goes on beside the next steps."};
    }
    if (outcome == hangs) {
        return {"", "The call does not come back."};
    }
    if (outcome == "blocked") {
        return asleep(step, before);
    }
    if (is_access(step.verb)) {
        return access_meaning(step, before, after, outcome);
    }
    Meaning meaning = step.verb == Verb::provoke  ? provoked(step, half, before, after)
                      : step.verb == Verb::advise ? advised(step.mode)
                                                  : call_meaning(step, after);
    const bool refused = step.verb != Verb::messages && !outcome.empty() &&
                         !outcome.starts_with("done") && !outcome.starts_with('=') &&
                         !outcome.starts_with("partly");
    if (refused) {
        meaning.text = "The call is refused.";
    }
    return meaning;
}

}  // namespace verso::check::report
