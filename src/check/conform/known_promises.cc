// Known differences by which the kernel breaks a promise: docs/findings.md, "Broken promises".
#include <algorithm>

#include "check/conform/occasion.h"

namespace verso::check {
namespace {

using kernel::Advice;
using kernel::RegisterMode;

bool guard_install_hangs(const Occasion& of, const Part& part) {
    return is_outcome(part) && hangs(of) && of.program.kind != Kind::A &&
           is_advice(of.step, Advice::guard_install);
}

bool locked_marker_hangs(const Occasion& of, const Part& part) {
    if (part.what == Part::What::contents) {
        return is_ordinary(of.program) && came_before(of, locks) &&
               std::ranges::find(of.kernel.contents, "hangs") != of.kernel.contents.end();
    }
    return is_outcome(part) && hangs(of) && is_ordinary(of.program) &&
           (locks(of.step) || came_before(of, locks)) && some_page(of, shows_protection);
}

/// What was filled then, and who slept for want of it goes on.
bool guard_is_filled(const Occasion& of, const Part& part) {
    const auto stopped = [](std::string_view word) {
        return word == "EEXIST" || word.starts_with("partly");
    };
    const auto by_thread = [](const Part& one) {
        return is_thread(one) && has_ended(one, ":EEXIST") && one.other.ends_with(":done");
    };
    const bool goes_on = of.step.background ? std::ranges::any_of(of.parts, by_thread)
                                            : said(of, stopped, went_well);
    return fills(of.step) && some_page(of, is_guard) && goes_on &&
           (by_thread(part) || (is_outcome(part) && !of.step.background) ||
            is_page_of_step(of, part) || (is_thread(part) && part.one.ends_with(":blocked")));
}

/// The kernel arms what does not match, or matches and comes after the last one that was wanted.
bool blind_arms_all(const Occasion& of, const Part& part) {
    if (of.step.verb != Verb::arm || (of.step.mode & ScanMode::blind) == 0) {
        return false;
    }
    return is_page(part) ? !part.kernel.written() && part.model.written()
                         : is_outcome(part) && (of.step.mode & ScanMode::one) != 0;
}

/// A private copy of a file goes, and with it bytes that were written.
bool dropped_copy_is_clean(const Occasion& of, const Part& part) {
    const bool zaps = is_advice(of.step, Advice::drop) || of.step.verb == Verb::truncate ||
                      of.step.verb == Verb::remap ||
                      (of.step.verb == Verb::punch && is_hugetlb(of.program.kind));
    return zaps && is_async(of.program) && !is_shared(of.program.kind) &&
           of.program.kind != Kind::A && is_page(part) && is_private_copy(part.was) &&
           is_empty(part.model) && is_marker(part.kernel);
}

/// Tracked, empty, and not `written`.
bool is_called_clean_and_empty(const PageFacts& page) {
    return is_empty(page) && is_tracked(page) && !page.written();
}

bool empty_hugetlb(const Occasion& of, const Part& part) {
    if (!is_hugetlb(of.program.kind) || !is_async(of.program)) {
        return false;
    }
    if (is_page(part)) {
        return is_called_clean_and_empty(part.kernel) &&
               (is_empty(part.model) || (of.step.verb == Verb::arm && is_marker(part.model)));
    }
    const bool scans = of.step.verb == Verb::arm || of.step.verb == Verb::scan;
    return is_outcome(part) && scans && went_well(part.one) && went_well(part.other) &&
           some_page(of, is_empty);
}

/// It fills or protects, and with which of the two userfaultfds its pages are registered may not be
/// its own.
bool asks_the_other(const Occasion& of, const Step& asking) {
    const bool asks =
        fills(asking) || asking.verb == Verb::write_protect || asking.verb == Verb::move;
    // Closed by the parent, a userfaultfd lives on in a child.
    const bool survives =
        came_before(of, [](const Step& step) { return step.verb == Verb::fork; }) &&
        came_before(of, [](const Step& step) { return step.verb == Verb::close; });
    const bool by_other = came_before(of, [&](const Step& step) {
        return step.verb == Verb::register_ && step.other != asking.other;
    });
    return asks && (survives || by_other);
}
/// A step with "&" that the model refused.
bool reached_the_others(const Occasion& of, const Part& part) {
    const Step* const asking = is_thread(part) ? step_of_thread(of, part) : nullptr;
    return asking != nullptr && asking->background && asks_the_other(of, *asking) &&
           (has_ended(part, ":ENOENT") || has_ended(part, ":EINVAL"));
}
/// WRITEPROTECT goes from mapping to mapping: both say ENOENT, and the kernel changed the first.
bool any_descriptor(const Occasion& of, const Part& part) {
    const auto refused = [](std::string_view word) { return word == "ENOENT" || word == "EINVAL"; };
    const auto goes_on = [](std::string_view word) { return word != "ENOENT"; };
    const bool both_refuse = of.said() != nullptr && of.said()->outcome == "ENOENT" &&
                             of.step.verb == Verb::write_protect && is_page(part);
    if (asks_the_other(of, of.step) && (said(of, refused, goes_on) || both_refuse)) {
        return is_outcome(part) || is_page_of_step(of, part) ||
               (of.program.huge && is_page(part)) ||  // a part of a huge page: it is split
               (of.step.verb == Verb::move && part.area == Area::second && is_page(part));
    }
    for (const Part& thread : of.parts) {
        if (!reached_the_others(of, thread)) {
            continue;
        }
        const PageRange range = pages_of(of.program, *step_of_thread(of, thread));
        const PageRange mine = pages_of(of.program, of.step);
        const bool meets = mine.first < range.end && range.first < mine.end;
        const bool page_of_it = is_page(part) && part.page >= range.first && part.page < range.end;
        if (reached_the_others(of, part) || page_of_it || (is_outcome(part) && meets)) {
            return true;
        }
    }
    return false;
}

bool reregistered_stays_protected(const Occasion& of, const Part& part) {
    return of.step.verb == Verb::register_ && (of.step.mode & RegisterMode::write_protect) == 0 &&
           is_page(part) && shows_protection(part.was) && shows_protection(part.kernel) &&
           !shows_protection(part.model);
}

bool dontunmap_forgets(const Occasion& of, const Part& part) {
    return of.step.verb == Verb::remap && (of.step.mode & kernel::RemapFlag::dontunmap) != 0 &&
           of.program.kind != Kind::A && is_page(part) && shows_protection(part.was) &&
           is_marker(part.model) && is_empty(part.kernel);
}

/// What lies before the page that made it fail is armed, and nobody was told.
bool failed_scan_arms(const Occasion& of, const Part& part) {
    const bool fails =
        of.step.verb == Verb::arm && of.said() != nullptr && of.said()->outcome == "EPERM";
    // One page was enough, and found: the model stops there, the kernel looks on.
    const bool looks_on = (of.step.mode & ScanMode::one) != 0 && is_outcome(part);
    return fails && (part.what == Part::What::promise || (looks_on && went_well(part.one)) ||
                     (is_page(part) && part.was.written() && !part.kernel.written()));
}

/// Where the model has nothing to merge the promise alone speaks.
bool merge_forgets(const Occasion& of, const Part& part) {
    const bool lost = is_page(part) && shows_protection(part.was) && shows_protection(part.model) &&
                      !shows_protection(part.kernel);
    return is_trigger(of.step, kernel::Trigger::ksm_merge) && some_page(of, shows_protection) &&
           (lost || part.what == Part::What::promise);
}

/// The source was in swap.
bool moved_swap_stays_protected(const Occasion& of, const Part& part) {
    return of.step.verb == Verb::move && is_page(part) && part.area == Area::first &&
           part.model.text() == "S" && part.kernel.text() == "Su";
}

bool sleeps_on(const Part& part) {
    return is_thread(part) && part.other.ends_with(":blocked") && !part.one.ends_with(":blocked");
}
std::string without_protection(const PageFacts& page) {
    std::string text = page.text();
    std::erase(text, 'u');
    return is_marker(page) ? "N" : text;
}
/// Registered for protection or minor faults only: UNREGISTER wakes those of MISSING. What the
/// thread did in the model once it was awake is not done: the kernel's pages are as they were, but
/// for the protection that UNREGISTER lifted.
bool unregister_wakes_nobody(const Occasion& of, const Part& part) {
    const bool blocked =
        of.said() != nullptr && std::ranges::any_of(of.said()->threads, [](std::string_view one) {
            return one.ends_with(":blocked");
        });
    const bool unregistered =
        came_before(of, [](const Step& step) { return step.verb == Verb::unregister; });
    if (blocked && unregistered && of.step.verb == Verb::messages && is_outcome(part)) {
        return true;  // the model's sleeper went on, and sleeps for another page
    }
    if (of.step.verb != Verb::unregister || !blocked) {
        return false;
    }
    const std::string as_before =
        is_page_of_step(of, part) ? without_protection(part.was) : part.was.text();
    return sleeps_on(part) || (is_page(part) && part.kernel.text() == as_before);
}

constexpr auto list = std::to_array<Known>({
    {"guard-install-hangs", Blame::promise, "6.18", "E-GR2",
     "SS: REGISTER(WP); WRITEPROTECT; GUARD_INSTALL",
     "MADV_GUARD_INSTALL over protected file memory never ends", guard_install_hangs},
    {"locked-marker-hangs", Blame::promise, "6.18", "FC-8, FC-9",
     "FS, async: REGISTER(WP); arm; lock",
     "a fault on a locked page of a file that has a protection marker and is not in the cache "
     "never ends",
     locked_marker_hangs},
    {"guard-is-filled", Blame::promise, "6.18", "FL-27, E-GR8",
     "A: REGISTER(MISSING); GUARD_INSTALL; COPY", "UFFDIO_COPY replaces a guard", guard_is_filled},
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
     "an ioctl reaches memory that is registered with another userfaultfd", any_descriptor},
    {"reregistered-stays-protected", Blame::promise, "6.18", "RG-14, I4",
     "A: store; REGISTER(WP); WRITEPROTECT; REGISTER(MISSING)",
     "registering anew without WP leaves the protection in the entries",
     reregistered_stays_protected},
    {"dontunmap-forgets", Blame::promise, "6.18", "E-MR8, I9",
     "SS: REGISTER(WP); WRITEPROTECT; mremap(DONTUNMAP)",
     "MREMAP_DONTUNMAP takes the protection of a file's pages away from the range that stays",
     dontunmap_forgets},
    {"failed-scan-arms", Blame::promise, "6.18", "SC-9, SC-38, I10",
     "SS, 2 pages, async: REGISTER(WP)@0; arm",
     "PAGEMAP_SCAN that fails with EPERM has armed what lies before, and reports it to nobody",
     failed_scan_arms},
    {"merge-forgets", Blame::promise, "6.18", "E-KS2, I9",
     "A, 2 pages: store(7); store(7)@1; MERGEABLE; REGISTER(WP); WRITEPROTECT; merge; store",
     "same-page merging takes the protection of a page away", merge_forgets},
    {"moved-swap-stays-protected", Blame::promise, "6.18", "MV-17, MV-22, I4",
     "A, move: map; store@'; REGISTER(WP)@'; WRITEPROTECT@'; reclaim@'; REGISTER(MISSING); MOVE",
     "UFFDIO_MOVE of a page in swap brings the source's protection along",
     moved_swap_stays_protected},
    {"unregister-wakes-nobody", Blame::promise, "6.18", "UN-8",
     "A, messages: store; REGISTER(WP); WRITEPROTECT; t1 store; UNREGISTER",
     "UNREGISTER does not wake a thread that sleeps in a write-protect or minor fault",
     unregister_wakes_nobody},
});

}  // namespace

std::span<const Known> known_broken_promises() { return list; }

}  // namespace verso::check
