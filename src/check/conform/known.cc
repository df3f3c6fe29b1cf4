// The list.
#include "check/conform/known.h"

#include <algorithm>

#include "abi/abi.h"
#include "check/conform/occasion.h"
#include "kernel/call.h"

namespace verso::check {
namespace {

using kernel::Advice;
using kernel::RegisterMode;

/// A layout event is told before the pages go; the model lets them go first.
bool event_comes_first(const Occasion& of) {
    if ((of.program.features & (abi::Feature::layout_events | abi::Feature::event_fork)) == 0) {
        return false;
    }
    for (std::size_t i = 0; i <= of.index && i < of.model.steps.size(); ++i) {
        const Verb verb = of.program.steps[i].verb;
        const bool changes_layout = verb == Verb::advise || verb == Verb::unmap ||
                                    verb == Verb::remap || verb == Verb::fork ||
                                    verb == Verb::punch || verb == Verb::truncate;
        const bool waits = of.model.steps[i].outcome == "blocked" ||
                           (i < of.kernel.steps.size() && of.kernel.steps[i].outcome == "blocked");
        if (changes_layout && waits) {
            return true;
        }
    }
    return false;
}

bool guard_install_hangs(const Occasion& of) {
    return hangs(of) && of.program.kind != Kind::A && is_advice(of.step, Advice::guard_install);
}
bool locked_marker_hangs(const Occasion& of) {
    const auto& last = of.kernel.contents;
    if (of.index == of.program.steps.size()) {
        return is_ordinary(of.program) && came_before(of, locks) &&
               std::ranges::find(last, "hangs") != last.end();
    }
    return hangs(of) && is_ordinary(of.program) && (locks(of.step) || came_before(of, locks)) &&
           some_page(of, shows_protection);
}

bool guard_is_filled(const Occasion& of) {
    const bool later =
        came_before(of, [](const Step& step) { return fills(step) && step.background; }) &&
        came_before(of, [](const Step& step) { return is_advice(step, Advice::guard_install); });
    return later || (fills(of.step) && some_page(of, is_guard));
}
bool guard_is_armed(const Occasion& of) {
    return of.step.verb == Verb::arm && some_page(of, is_guard);
}
bool poison_is_armed(const Occasion& of) {
    return of.step.verb == Verb::arm && some_page(of, is_poisoned);
}

bool blind_arms_all(const Occasion& of) {
    return of.step.verb == Verb::arm && (of.step.mode & ScanMode::blind) != 0;
}

/// A private copy of a file goes, and with it bytes that were written.
bool dropped_copy_is_clean(const Occasion& of) {
    const bool zaps = is_advice(of.step, Advice::drop) || of.step.verb == Verb::truncate ||
                      of.step.verb == Verb::remap ||
                      (of.step.verb == Verb::punch && is_hugetlb(of.program.kind));
    return zaps && is_async(of.program) && !is_shared(of.program.kind) &&
           of.program.kind != Kind::A;
}

bool is_called_clean_and_empty(const PageFacts& page) {
    return page.text() == "N" && (page.categories & abi::PageIs::wp_allowed) != 0 &&
           !page.written();
}

bool empty_hugetlb(const Occasion& of) {
    const bool scans = of.step.verb == Verb::arm || of.step.verb == Verb::scan;
    const bool seen =
        of.said() != nullptr && (std::ranges::any_of(of.said()->first, is_called_clean_and_empty) ||
                                 std::ranges::any_of(of.said()->second, is_called_clean_and_empty));
    return is_hugetlb(of.program.kind) && is_async(of.program) && (scans || seen);
}

bool hugetlb_truncation_forgets(const Occasion& of) {
    return is_hugetlb(of.program.kind) && of.step.verb == Verb::truncate;
}

bool merge_forgets(const Occasion& of) {
    return is_trigger(of.step, kernel::Trigger::ksm_merge) && some_page(of, shows_protection);
}

/// The source was in swap.
bool moved_swap_stays_protected(const Occasion& of) {
    if (of.step.verb != Verb::move || of.said() == nullptr) {
        return false;
    }
    return std::ranges::any_of(of.said()->first,
                               [](const PageFacts& page) { return page.text() == "Su"; });
}

/// Never written to, and never known to be there.
bool clean_page_goes(const Occasion& of) {
    return (of.program.kind == Kind::SS || of.program.kind == Kind::SP) &&
           (is_trigger(of.step, kernel::Trigger::reclaim) || came_before(of, [](const Step& step) {
                return is_trigger(step, kernel::Trigger::reclaim);
            }));
}

/// mprotect() brings the pages in, for writing.
bool locked_becomes_writable(const Occasion& of) {
    return of.step.verb == Verb::protect && came_before(of, locks) && !is_shared(of.program.kind);
}

/// mlock() of a range with a hole says ENOMEM and has locked what lies before it.
bool locked_in_part(const Occasion& of) {
    for (std::size_t i = 0; i < of.index && i < of.model.steps.size(); ++i) {
        if (of.program.steps[i].verb == Verb::lock && of.model.steps[i].outcome == "ENOMEM") {
            return true;
        }
    }
    return false;
}

/// With which of the two the step's pages are registered is not the one of the step.
bool other_descriptor(const Occasion& of) {
    const bool asks =
        fills(of.step) || of.step.verb == Verb::write_protect || of.step.verb == Verb::move;
    // Closed by the parent, a userfaultfd lives on in a child.
    const bool survives =
        came_before(of, [](const Step& step) { return step.verb == Verb::fork; }) &&
        came_before(of, [](const Step& step) { return step.verb == Verb::close; });
    return asks && (survives || came_before(of, [&](const Step& step) {
                        return step.verb == Verb::register_ && step.other != of.step.other;
                    }));
}

bool reregistered(const Occasion& of) {
    return of.step.verb == Verb::register_ && (of.step.mode & RegisterMode::write_protect) == 0 &&
           some_page(of, shows_protection);
}

bool dontunmap_forgets(const Occasion& of) {
    return of.step.verb == Verb::remap && (of.step.mode & kernel::RemapFlag::dontunmap) != 0 &&
           of.program.kind != Kind::A && some_page(of, shows_protection);
}

/// The whole huge page forgets, not the page that was hit.
bool huge_shmem_forgets(const Occasion& of) {
    return of.program.huge && of.program.kind == Kind::SS && is_async(of.program) &&
           some_page(of, shows_protection);
}

/// The model is of releases that moved one mapping at a time.
bool moves_several(const Occasion& of) {
    for (std::size_t i = 0; i <= of.index && i < of.model.steps.size(); ++i) {
        if (of.program.steps[i].verb == Verb::remap && of.model.steps[i].outcome == "EFAULT") {
            return true;  // and where it fails half way, what was moved stays moved
        }
    }
    return false;
}

/// Neighbours that are alike become one mapping in the model; in the kernel not if their pages
/// are of different families (anon_vma), and then a fill does not reach over both.
bool mappings_stay_apart(const Occasion& of) {
    const bool one_part = came_before(of, [](const Step& step) {
        return step.at.count != 0 &&
               (step.verb == Verb::register_ || step.verb == Verb::unregister ||
                step.verb == Verb::protect || step.verb == Verb::lock || step.verb == Verb::advise);
    });
    if (!one_part || of.said() == nullptr) {
        return false;
    }
    const std::string& outcome = of.said()->outcome;
    return (of.step.verb == Verb::remap && outcome == "EFAULT") ||
           ((fills(of.step) || of.step.verb == Verb::move) &&
            (outcome == "ENOENT" || outcome == "EINVAL"));
}

/// Where the source has no page table the destination is not looked at.
bool move_looks_at_source(const Occasion& of) {
    return of.step.verb == Verb::move && of.program.huge && of.said() != nullptr &&
           of.said()->outcome == "ENOENT";
}

/// A fault may have mapped neighbours of the page that was asked for: fault-around.
bool was_mapped_ahead(const Occasion& of) {
    for (std::size_t i = 0; i < of.index && i < of.model.steps.size(); ++i) {
        if (!(of.model.steps[i] == of.kernel.steps[i])) {
            return of.program.kind != Kind::A && (of.program.pages > 1 || of.program.huge);
        }
    }
    return false;
}

bool poison_is_not_inherited(const Occasion& of) {
    return of.step.verb == Verb::fork && of.program.kind != Kind::A && some_page(of, is_poisoned);
}

bool failed_scan_arms(const Occasion& of) {
    return of.step.verb == Verb::arm && of.said() != nullptr && of.said()->outcome == "EPERM";
}

/// Registered for protection or minor faults only: UNREGISTER wakes those of MISSING.
bool unregister_wakes_nobody(const Occasion& of) {
    if (!of.program.messages || of.before() == nullptr || of.said() == nullptr) {
        return false;
    }
    for (std::size_t i = 0; i <= of.index && i < of.kernel.steps.size(); ++i) {
        const auto& model = of.model.steps[i].threads;
        const auto& kernel = of.kernel.steps[i].threads;
        if (of.program.steps[i].verb == Verb::unregister && model != kernel) {
            return std::ranges::any_of(
                kernel, [](const std::string& one) { return one.ends_with(":blocked"); });
        }
    }
    return false;
}

/// The kernel gives empty page tables back, and with no table there is room for a huge page.
bool table_was_given_back(const Occasion& of) {
    return of.program.huge && of.program.kind == Kind::A &&
           came_before(of, [](const Step& step) { return is_advice(step, Advice::drop); });
}

/// Whether an empty address counts depends on its page table, unless it is tracked (SC-22, SC-23).
bool counts_empty_ones(const Occasion& of) {
    return of.step.verb == Verb::scan && some_page(of, [](const PageFacts& page) {
               return page.text() == "N" && (page.categories & abi::PageIs::wp_allowed) == 0;
           });
}

/// mmap() for a new thread's stack takes an address that the program gave up.
bool hole_is_used_again(const Occasion& of) {
    return of.index == of.program.steps.size() && of.program.messages &&
           came_before(of, [](const Step& step) {
               return step.verb == Verb::unmap || step.verb == Verb::remap;
           });
}

/// It tries again on a mapping that changed while it slept, and finds that it may not.
bool populate_tries_again(const Occasion& of) {
    return of.program.messages && came_before(of, [](const Step& step) {
               return locks(step) || is_advice(step, Advice::make_writable) ||
                      is_advice(step, Advice::populate_read);
           });
}

bool locked_hugetlb_is_dropped(const Occasion& of) {
    return is_hugetlb(of.program.kind) && came_before(of, locks) &&
           (is_advice(of.step, Advice::drop) || is_advice(of.step, Advice::remove));
}

/// A private copy of a hugetlb file beyond the file's end.
bool fills_behind_the_end(const Occasion& of) {
    return of.program.kind == Kind::HP && fills(of.step) &&
           came_before(of, [](const Step& step) { return step.verb == Verb::truncate; });
}

constexpr auto list = std::to_array<Known>({
    {"guard-install-hangs", Blame::promise, "6.18", "E-GR2",
     "SS: REGISTER(WP); WRITEPROTECT; GUARD_INSTALL",
     "MADV_GUARD_INSTALL over protected file memory never ends", guard_install_hangs},
    {"locked-marker-hangs", Blame::promise, "6.18", "FC-8, FC-9",
     "FS, async: REGISTER(WP); arm; lock",
     "a fault on a locked page of a file that has a protection marker and is not in the cache "
     "never "
     "ends",
     locked_marker_hangs},
    {"guard-is-filled", Blame::promise, "6.18", "FL-27, E-GR8",
     "A: REGISTER(MISSING); GUARD_INSTALL; COPY", "UFFDIO_COPY replaces a guard", guard_is_filled},
    {"guard-is-armed", Blame::kernel, "6.18", "SC-34", "A, async: REGISTER(WP); GUARD_INSTALL; arm",
     "PAGEMAP_SCAN arms a guard and calls it clean", guard_is_armed},
    {"poison-is-armed", Blame::kernel, "6.18", "SC-34",
     "SS, async, poison: REGISTER(WP); POISON; arm",
     "PAGEMAP_SCAN arms a poisoned page and calls it clean", poison_is_armed},
    {"blind-arms-all", Blame::promise, "6.18", "SC-30",
     "SS, 2 pages, async: load@1; REGISTER(WP); arm(FILE|BLIND)@0",
     "PAGEMAP_SCAN without a vector arms pages that do not match, past max_pages", blind_arms_all},
    {"dropped-copy-is-clean", Blame::promise, "6.18", "E-ZP5, I10",
     "SP, async: store; REGISTER(WP); arm; DONTNEED",
     "a private copy that is dropped is called clean", dropped_copy_is_clean},
    {"empty-hugetlb", Blame::promise, "6.18", "SC-26, SC-33",
     "HS, async: REGISTER(WP); scan(WRITTEN)",
     "an empty hugetlb entry is neither called written nor armed", empty_hugetlb},
    {"any-descriptor", Blame::promise, "6.18", "FL-6, WP-9",
     "A: store; REGISTER(WP); WRITEPROTECT; other clear",
     "an ioctl reaches memory that is registered with another userfaultfd", other_descriptor},
    {"reregistered-stays-protected", Blame::promise, "6.18", "RG-14, I4",
     "A: store; REGISTER(WP); WRITEPROTECT; REGISTER(MISSING)",
     "registering anew without WP leaves the protection in the entries", reregistered},
    {"dontunmap-forgets", Blame::promise, "6.18", "E-MR8, I9",
     "SS: REGISTER(WP); WRITEPROTECT; mremap(DONTUNMAP)",
     "MREMAP_DONTUNMAP takes the protection of a file's pages away from the range that stays",
     dontunmap_forgets},
    {"huge-shmem-forgets", Blame::kernel, "6.18", "FT-5, E-TH5",
     "SS, huge, async: store; store@1; COLLAPSE; REGISTER(WP); arm; store",
     "one store makes all pages of a huge page of shared memory written", huge_shmem_forgets},
    {"mremap-of-several", Blame::model, "6.18", "8.9", "A, 2 pages: mprotect(READ)@1; mremap",
     "mremap moves several mappings in one call; the model, like releases before 6.17, does not",
     moves_several},
    {"mappings-stay-apart", Blame::nobody, "6.18", "RG-12",
     "SP, 2 pages: REGISTER(WP)@0; store@0; store@1; REGISTER(WP); WRITEPROTECT; CONTINUE@all",
     "neighbouring mappings that are alike are not always merged", mappings_stay_apart},
    {"move-looks-at-source", Blame::nobody, "6.18", "MV-11, MV-12",
     "A, huge: store; map; REGISTER(MISSING); MOVE",
     "UFFDIO_MOVE says ENOENT for an empty source before EEXIST", move_looks_at_source},
    {"poison-is-not-inherited", Blame::kernel, "6.18", "E-FK9",
     "SS: REGISTER(MISSING); POISON; fork",
     "a poisoned page of a shared mapping is none in a child", poison_is_not_inherited},
    {"failed-scan-arms", Blame::promise, "6.18", "SC-9, SC-38, I10",
     "SS, 2 pages, async: REGISTER(WP)@0; arm",
     "PAGEMAP_SCAN that fails with EPERM has armed what lies before, and reports it to nobody",
     failed_scan_arms},
    {"mapped-ahead", Blame::nobody, "6.18", "6.3",
     "SP, 2 pages: pwrite; load@1; REGISTER(WP); WRITEPROTECT; store",
     "a fault maps neighbours of the page that was asked for, where nothing is registered",
     was_mapped_ahead},
    {"merge-forgets", Blame::promise, "6.18", "E-KS2, I9",
     "A, 2 pages: store(7); store(7)@1; MERGEABLE; REGISTER(WP); WRITEPROTECT; merge; store",
     "same-page merging takes the protection of a page away", merge_forgets},
    {"moved-swap-stays-protected", Blame::promise, "6.18", "MV-17, MV-22, I4",
     "A, move: map; store@'; REGISTER(WP)@'; WRITEPROTECT@'; reclaim@'; REGISTER(MISSING); MOVE",
     "UFFDIO_MOVE of a page in swap brings the source's protection along",
     moved_swap_stays_protected},
    {"hugetlb-truncation-forgets", Blame::kernel, "6.18", "E-ZP12",
     "HS: REGISTER(WP); WRITEPROTECT; truncate",
     "truncation of a hugetlb file takes protection markers along", hugetlb_truncation_forgets},
    {"locked-becomes-writable", Blame::model, "6.18", "8.1",
     "A: mprotect(READ); lock; mprotect(READ|WRITE)",
     "mprotect of locked private memory brings its pages in for writing", locked_becomes_writable},
    {"locked-in-part", Blame::model, "6.18", "8.1", "A, 2 pages: munmap@1; lock; DONTNEED@0",
     "mlock over a hole locks what lies before it", locked_in_part},
    {"clean-page-goes", Blame::model, "6.18", "E-SW3", "SS: load; REGISTER(MISSING); reclaim; load",
     "reclaim drops a page of shared memory that nobody ever wrote to", clean_page_goes},
    {"unregister-wakes-nobody", Blame::promise, "6.18", "UN-8",
     "A, messages: store; REGISTER(WP); WRITEPROTECT; t1 store; UNREGISTER",
     "UNREGISTER does not wake a thread that sleeps in a write-protect or minor fault",
     unregister_wakes_nobody},
    {"table-was-given-back", Blame::nobody, "6.18", "E-TH7",
     "A, huge: HUGEPAGE; store; REGISTER(MISSING)@0; REGISTER(WP); DONTNEED; load",
     "an empty page table may go any time", table_was_given_back},
    {"counts-empty-ones", Blame::nobody, "6.18", "SC-22, SC-23",
     "A: map; pin; fork; child scan(WRITTEN|!PRESENT)@'",
     "whether an empty address that is not tracked is reported depends on its page table",
     counts_empty_ones},
    {"hole-is-used-again", Blame::nobody, "6.18", "12", "",
     "the process maps something of its own where the program gave memory up", hole_is_used_again},
    {"locked-hugetlb-is-dropped", Blame::model, "6.18", "E-ZP1", "HS: lock; DONTNEED",
     "DONTNEED drops locked hugetlb pages, EINVAL with all others", locked_hugetlb_is_dropped},
    {"fills-behind-the-end", Blame::kernel, "6.18", "FL-13", "HP: REGISTER(WP); truncate; COPY",
     "UFFDIO_COPY fills a private hugetlb page behind the end of its file", fills_behind_the_end},
    {"populate-tries-again", Blame::model, "6.18", "8.2",
     "SP, messages: REGISTER(MISSING); t1 POPULATE_WRITE; mprotect(NONE); UNREGISTER",
     "MADV_POPULATE that slept says EINVAL on a mapping that lost its permissions meanwhile",
     populate_tries_again},
    {"event-comes-first", Blame::model, "6.18", "E-ZP14",
     "A, 2 pages, messages, EVENT_REMOVE: store; REGISTER(MISSING); t1 DONTNEED",
     "the pages go after the event was read; in the model before", event_comes_first},
});

}  // namespace

std::span<const Known> known_differences() { return list; }

const Known* known(const Program& program, const Trace& model, const Trace& kernel,
                   std::size_t step, std::string_view release) {
    const Step nothing;  // the contents in the end
    const Occasion occasion{program, step < program.steps.size() ? program.steps[step] : nothing,
                            step, model, kernel};
    const auto found = std::ranges::find_if(
        list, [&](const Known& one) { return one.release == release && one.explains(occasion); });
    return found == list.end() ? nullptr : &*found;
}

bool is_known_to_hang(const Program& program, std::size_t step, const Trace& model) {
    const Occasion of{program, program.steps[step], step, model, model};
    if (program.kind != Kind::A && is_advice(of.step, Advice::guard_install)) {
        return some_page(of, shows_protection);
    }
    const bool locked = locks(of.step) || came_before(of, locks);
    if (!is_ordinary(program) || !locked || of.before() == nullptr) {
        return false;
    }
    return reads_all(of.step) ? std::ranges::any_of(of.before()->first, is_marker)
                              : some_page(of, is_marker);
}

}  // namespace verso::check
