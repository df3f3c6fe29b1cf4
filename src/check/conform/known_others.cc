// Known differences by which no promise is broken: the kernel is not as documented, the model has
// less than the kernel, or either may be. docs/findings.md has a table of each.
#include <algorithm>

#include "check/conform/occasion.h"

namespace verso::check {
namespace {

using kernel::Advice;
using mm::Rules;

/// This page was there already, as compare.cc lets it be, or was not, when somebody last looked.
bool is_ahead(const Occasion& of, Area area, std::size_t page) {
    constexpr std::vector<PageFacts> Seen::*areas[] = {&Seen::first, &Seen::second, &Seen::child};
    const auto pages = areas[static_cast<std::size_t>(area)];
    const Seen* const one = last_look(of.model, of.index);
    const Seen* const two = last_look(of.kernel, of.index);
    return one != nullptr && two != nullptr && page < (one->*pages).size() &&
           page < (two->*pages).size() && !((one->*pages)[page] == (two->*pages)[page]);
}

bool some_page_is_ahead(const Occasion& of) {
    const PageRange range = pages_of(of.program, of.step);
    bool some = false;
    for (std::size_t i = range.first; i < range.end; ++i) {
        some = some || is_ahead(of, area_of(of.step), i);
    }
    return some;
}

/// Neighbours that are alike become one mapping in the model; in the kernel not if their pages
/// are of different families (anon_vma) or were once elsewhere, and then a fill, a MOVE or an
/// mremap does not reach over both.
bool mappings_stay_apart(const Occasion& of, const Part& part) {
    const bool one_part = came_before(of, [](const Step& step) {
        return (step.at.count != 0 &&
                (step.verb == Verb::register_ || step.verb == Verb::unregister ||
                 step.verb == Verb::protect || step.verb == Verb::lock ||
                 step.verb == Verb::advise)) ||
               step.verb == Verb::remap || step.verb == Verb::map;
    });
    // … nor does one that moves take the registration of what lies beside its new place along.
    if (one_part && of.step.verb == Verb::remap && is_page(part) && part.area == Area::second &&
        is_tracked(part.kernel) && !is_tracked(part.model)) {
        return true;
    }
    // … and each of the two tells of its own part that it goes.
    const auto tells = [](std::string_view word) { return word.starts_with("removed@"); };
    if (one_part && of.step.verb == Verb::messages && said(of, tells, tells)) {
        return is_outcome(part) || is_thread(part) || is_page(part);
    }
    if (!one_part || size_of(of.program, of.step) < 2) {
        return false;
    }
    const bool fill = fills(of.step) || of.step.verb == Verb::move;
    const auto looks = [](std::string_view word) { return word != "ENOENT" && word != "hangs"; };
    const bool apart =
        (of.step.verb == Verb::remap && said(of, looks, is_word("EFAULT"))) ||
        (fill && (said(of, looks, is_word("ENOENT")) || said(of, looks, is_word("EINVAL"))));
    return apart && (is_outcome(part) || is_page(part) || part.what == Part::What::area);
}

/// Where the source has no page table the destination is not looked at.
bool move_looks_at_source(const Occasion& of, const Part& part) {
    return of.step.verb == Verb::move && of.program.huge && is_outcome(part) &&
           part.one == "EEXIST" && part.other == "ENOENT";
}

/// A fault may have mapped neighbours of the page that was asked for: fault-around.
bool mapped_ahead(const Occasion& of, const Part& part) {
    if (of.program.kind == Kind::A || (of.program.pages == 1 && !of.program.huge)) {
        return false;
    }
    if (is_page(part)) {  // where the call failed on such a page, it did not come to the others
        const bool one_is_enough = (of.step.mode & ScanMode::one) != 0;
        const bool differs = std::ranges::any_of(of.parts, is_outcome) ||
                             (of.step.verb == Verb::arm && one_is_enough);
        return is_ahead(of, part.area, part.page) ||
               (differs && some_page_is_ahead(of) && is_page_of_step(of, part));
    }
    if (part.what == Part::What::contents) {
        const std::size_t pages = of.program.huge ? 2 : of.program.pages;
        const bool of_child = part.page >= pages;
        const bool reclaimed = came_before(
            of, [](const Step& step) { return is_trigger(step, kernel::Trigger::reclaim); });
        return reclaimed || is_ahead(of, of_child ? Area::child : Area::first,
                                     part.page - (of_child ? pages : 0));
    }
    return some_page_is_ahead(of) && (is_outcome(part) || is_thread(part));
}

/// A huge page of the model has two pages: what lies behind the second is in the kernel alone.
bool huge_page_has_a_rest(const Occasion& of, const Part& part) {
    const bool cut = came_before(of, [](const Step& step) {
        return (step.at.first == 1 && step.at.count == 1 && !takes_one_page(step.verb)) ||
               step.verb == Verb::truncate;
    });
    const auto stops = [](std::string_view word) {
        return word == "ENOENT" || word == "EINVAL" || word == "ENOMEM";
    };
    const bool brings = locks(of.step) || is_advice(of.step, Advice::make_writable) ||
                        is_advice(of.step, Advice::populate_read);
    const auto missing = [&](std::string_view word) {
        return stops(word) || word == "EFAULT" || word == "blocked";
    };
    if (of.program.huge && brings && is_outcome(part) && went_well(part.one) &&
        missing(part.other)) {
        return true;  // of the 510 that the program did not name, one is not there
    }
    return of.program.huge && cut && of.step.at.count == 0 && is_outcome(part) &&
           went_well(part.one) && stops(part.other);
}

/// The kernel gives empty page tables back, and with no table there is room for a huge page.
bool table_was_given_back(const Occasion& of, const Part& part) {
    const bool dropped =
        came_before(of, [](const Step& step) { return is_advice(step, Advice::drop); });
    const auto there = [](const PageFacts& page) {
        return is_empty(page) || page.text() == "P" || page.text() == "Pf";  // f: the zero page
    };
    return of.program.huge && of.program.kind == Kind::A && dropped &&
           (is_outcome(part) || is_thread(part) ||
            (is_page(part) && there(part.kernel) &&
             (there(part.model) || (of.step.verb == Verb::arm && is_marker(part.model)))));
}

constexpr auto list = std::to_array<Known>({
    {"guard-is-armed", Blame::kernel, "6.18", "SC-34", "A, async: REGISTER(WP); GUARD_INSTALL; arm",
     "PAGEMAP_SCAN arms a guard and calls it clean", nullptr, &Rules::scan_leaves_guards},
    {"huge-shmem-forgets", Blame::kernel, "6.18", "FT-5, E-TH5",
     "SS, huge, async: store; store@1; COLLAPSE; REGISTER(WP); arm; store",
     "one store makes all pages of a huge page of shared memory written", nullptr,
     &Rules::huge_shmem_keeps_u},
    {"poison-is-not-inherited", Blame::kernel, "6.18", "E-FK9",
     "SS: REGISTER(MISSING); POISON; fork",
     "a poisoned page of a shared mapping is none in a child", nullptr, &Rules::fork_copies_poison},
    {"hugetlb-truncation-forgets", Blame::kernel, "6.18", "E-ZP12",
     "HS: REGISTER(WP); WRITEPROTECT; truncate",
     "truncation of a hugetlb file takes protection markers along", nullptr,
     &Rules::hugetlb_truncation_keeps_u},
    {"fills-behind-the-end", Blame::kernel, "6.18", "FL-15", "HP: REGISTER(WP); truncate; COPY",
     "UFFDIO_COPY fills a private hugetlb page behind the end of its file", nullptr,
     &Rules::fills_end_with_file},
    {"huge-shmem-faults-anew", Blame::kernel, "6.18", "FT-6, E-TH4",
     "SS, huge: store; COLLAPSE; REGISTER(WP); UNREGISTER; REGISTER(MINOR); store",
     "a store to a read-only huge page of shared memory is a minor fault, though it is mapped",
     nullptr, &Rules::huge_shmem_stays_mapped},
    {"mremap-unregisters-neighbour", Blame::kernel, "6.18", "E-MR2, I5",
     "SS, 2 pages, async: store@1; REGISTER(WP); mremap@1; REGISTER(WP)@'; mremap@0",
     "mremap next to registered memory takes that memory's registration away", nullptr,
     &Rules::mremap_leaves_neighbour},
    {"huge-page-has-a-rest", Blame::model, "6.18", "1.2",
     "A, huge: store; REGISTER(WP)@0; REGISTER(WP)@1; WRITEPROTECT",
     "a huge page has more than the two pages that the model gives it", huge_page_has_a_rest},
    {"mappings-stay-apart", Blame::nobody, "6.18", "RG-12",
     "SP, 2 pages: REGISTER(WP)@0; store@0; store@1; REGISTER(WP); WRITEPROTECT; CONTINUE@all",
     "neighbouring mappings that are alike are not always merged", mappings_stay_apart},
    {"move-looks-at-source", Blame::nobody, "6.18", "MV-11, MV-12",
     "A, huge: store; map; REGISTER(MISSING); MOVE",
     "UFFDIO_MOVE says ENOENT for an empty source before EEXIST", move_looks_at_source},
    {"mapped-ahead", Blame::nobody, "6.18", "6.3",
     "SP, 2 pages: pwrite; load@1; REGISTER(WP); WRITEPROTECT; store",
     "a fault maps neighbours of the page that was asked for, where nothing is registered",
     mapped_ahead},
    {"table-was-given-back", Blame::nobody, "6.18", "E-TH7",
     "A, huge: HUGEPAGE; store; REGISTER(MISSING)@0; REGISTER(WP); DONTNEED; load",
     "an empty page table may go any time", table_was_given_back},
});

}  // namespace

std::span<const Known> known_other_differences() { return list; }

}  // namespace verso::check
