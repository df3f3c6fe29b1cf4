// The two lists, and the verdict.
#include "check/safety/safety.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "base/check.h"
#include "check/conform/known.h"
#include "check/conform/promise.h"

namespace verso::check {
namespace {

// A source's memory is SS: a memfd, mapped shared. A child's is SP: the same memfd, mapped private.
constexpr auto essential_list = std::to_array<Essential>({
    {"SS: store; REGISTER(WP); WRITEPROTECT; store -> msg",
     "a store to a protected page goes unnoticed"},
    {"SS, unpopulated: REGISTER(WP); WRITEPROTECT; store -> msg",
     "the first store to an empty protected page goes unnoticed"},
    {"SS: store; REGISTER(WP); WRITEPROTECT; load; store -> msg",
     "a store goes unnoticed once a protected page was read"},
    {"SS: store; REGISTER(WP); WRITEPROTECT; migrate; store -> msg",
     "a store goes unnoticed once a protected page has moved"},
    {"SS: load; REGISTER(WP); WRITEPROTECT; migrate; store -> msg",
     "a store goes unnoticed once a protected page that was only read has moved"},
    {"SS: store; REGISTER(WP); WRITEPROTECT; reclaim; store -> msg",
     "a store goes unnoticed once a protected page was swapped out"},
    {"SS: store; REGISTER(WP); WRITEPROTECT; reclaim; load; store -> msg",
     "a store goes unnoticed once a protected page came back from swap"},
    {"SP: store; REGISTER(WP); WRITEPROTECT; reclaim; swapoff; store -> msg",
     "a store goes unnoticed after swapoff"},
    {"SS: store; REGISTER(WP); WRITEPROTECT; hint; store -> msg",
     "a store goes unnoticed after a NUMA hint"},
    {"SS: store; REGISTER(WP); WRITEPROTECT; hint; load; store -> msg",
     "a store goes unnoticed once a NUMA hint was taken by a load"},
    {"SS: store; REGISTER(WP); WRITEPROTECT; mprotect(READ); mprotect(READ|WRITE); store -> msg",
     "mprotect takes the protection away"},
    {"SS: store; REGISTER(WP); WRITEPROTECT; DONTNEED; store -> msg",
     "a store goes unnoticed once an entry was dropped"},
    {"SS: store; REGISTER(WP); WRITEPROTECT; fork; store -> msg",
     "fork takes the protection away from the parent"},
    {"SS, 2 pages: store; store@1; REGISTER(WP); WRITEPROTECT; clear@0; store@1 -> msg",
     "releasing one page releases its neighbour"},
    {"SS, huge: store; store@1; COLLAPSE; REGISTER(WP); WRITEPROTECT; store@1 -> msg",
     "a store to a protected huge page goes unnoticed"},
    {"SP: store; REGISTER(WP); WRITEPROTECT; store -> msg",
     "a store to a child's protected page goes unnoticed"},
    {"SP: store; REGISTER(WP); WRITEPROTECT; migrate; store -> msg",
     "a store goes unnoticed once a child's protected page has moved"},
    {"SP: load; REGISTER(WP); WRITEPROTECT; migrate; store -> msg",
     "a store goes unnoticed once a page that a child shares has moved"},
    {"SP: store; REGISTER(WP); WRITEPROTECT; reclaim; load; store -> msg",
     "a store goes unnoticed once a child's protected page came back from swap"},
    {"SP, unpopulated: pwrite; REGISTER(WP|MINOR|MISSING); CONTINUE(WP); store -> msg",
     "a page mapped protected into a child is writable"},
    {"SP, unpopulated: REGISTER(WP|MISSING); COPY(WP); store -> msg",
     "a page copied protected into a child is writable"},
    {"SS, async: store; REGISTER(WP); arm; store -> silent written",
     "a written page is called clean"},
    {"SS, async: store; REGISTER(WP); arm; migrate; store -> silent written",
     "a written page is called clean once it has moved"},
    {"SS, async: store; REGISTER(WP); arm; reclaim; store -> silent written",
     "a written page is called clean once it was swapped out"},
    {"SS, async: store; REGISTER(WP); arm; store; reclaim -> written",
     "a written page is called clean when it is swapped out"},
    {"SS, async: store; REGISTER(WP); arm; store; DONTNEED; load -> written",
     "a written page is called clean when its entry is dropped"},
    {"SS, async, unpopulated: REGISTER(WP); arm; store -> silent written",
     "the first write to an empty page is called clean"},
});

constexpr auto hazard_list = std::to_array<Hazard>({
    {"guard-install-hangs", true, "MADV_GUARD_INSTALL on a region (never returns)"},
    {"locked-marker-hangs", false, "regions are memfds; files on disk are refused"},
    {"guard-is-filled", true, "guards installed in a child (filling takes them away)"},
    {"blind-arms-all", false, "the engine scans with a vector and without a limit of pages"},
    {"dropped-copy-is-clean", false, "private memory is never tracked asynchronously"},
    {"empty-hugetlb", false, "hugetlb memory is refused"},
    {"any-descriptor", true, "ioctls for a region on a userfaultfd of the program's own (obeyed)"},
    {"reregistered-stays-protected", false, "the engine registers memory once, with its modes"},
    {"dontunmap-forgets", true,
     "mremap(MREMAP_DONTUNMAP) of a region (unprotects it; the region is called damaged)"},
    {"failed-scan-arms", false, "what a failed scan may have armed counts as written"},
    {"merge-forgets", true,
     "madvise(MADV_MERGEABLE) on a child's memory (merging unprotects it; PR_SET_MEMORY_MERGE does "
     "not reach it)"},
    {"moved-swap-stays-protected", false,
     "the engine does not use UFFDIO_MOVE on what it protects"},
    {"unregister-wakes-nobody", false, "the engine wakes those who wait itself"},
    {"poison-is-armed", false,
     "only pages of children are poisoned, and those are tracked in sync"},
});

/// What a kernel without the feature answers is not a broken promise.
bool is_out_of_reach(const Trace& trace) {
    return std::ranges::any_of(trace.steps, [](const Seen& seen) {
        return seen.outcome == "EINVAL" || seen.outcome == "EPERM" || seen.outcome == "ENOTTY";
    });
}

void try_essential(const Essential& one, const Runner& run, Safety& safety) {
    const Result<Program> program = parse(one.program);
    VERSO_CHECK(program.has_value(), "{}: {}", one.program, program.error().message);
    const Trace trace = run(*program);
    const std::string sentence = unmet(*program, trace);
    if (!sentence.empty() && !is_out_of_reach(trace)) {
        ++safety.tried;
        safety.broken.push_back({std::string(one.program), std::string(one.otherwise), sentence});
    } else if (trace.steps.size() < program->steps.size() || is_out_of_reach(trace)) {
        const std::string why = trace.why_not.empty() ? "this kernel refuses it" : trace.why_not;
        safety.not_tried.push_back({std::string(one.program), why});
    } else {
        ++safety.tried;
    }
}

void try_hazard(const Hazard& hazard, const Known& known, const Runner& run, Safety& safety) {
    const Result<Program> program = parse(known.program);
    VERSO_CHECK(program.has_value(), "{}: {}", known.program, program.error().message);
    const Trace trace = run(*program);
    if (const std::optional<Broken> broken = broken_promise(*program, trace)) {
        std::vector<Safety::Shown>& list =
            hazard.reaches_users ? safety.exceptions : safety.avoided;
        list.push_back({std::string(known.program), std::string(hazard.answer), broken->text});
    } else if (trace.steps.size() < program->steps.size()) {
        safety.not_tried.push_back({std::string(known.program), trace.why_not});
        return;
    }
    ++safety.tried;
}

std::string_view first_of(const std::vector<Safety::Shown>& list) { return list.front().what; }

}  // namespace

std::span<const Essential> essentials() { return essential_list; }
std::span<const Hazard> hazards() { return hazard_list; }

Safety judge_safety(const Runner& run) {
    Safety safety;
    for (const Essential& one : essential_list) {
        try_essential(one, run, safety);
    }
    const bool nothing = safety.tried == 0;
    for (const Known& known : known_differences()) {
        const auto found = std::ranges::find(hazard_list, known.name, &Hazard::known);
        if (!nothing && found != hazard_list.end()) {
            try_hazard(*found, known, run, safety);
        }
    }
    safety.safe = nothing                     ? Safe::unknown
                  : !safety.broken.empty()    ? Safe::no
                  : safety.exceptions.empty() ? Safe::yes
                                              : Safe::except;
    return safety;
}

std::string Safety::line() const {
    std::string text;
    switch (safe) {
        case Safe::unknown:
            return fmt::format("unknown: none of {} programs could be run ({})", not_tried.size(),
                               not_tried.empty() ? "none was given" : not_tried.front().why);
        case Safe::no: text = fmt::format("unsafe because {}", first_of(broken)); break;
        case Safe::yes: text = "safe"; break;
        case Safe::except:
            text = "safe except";  // and what follows is a program's to avoid
            for (const Shown& one : exceptions) {
                text += fmt::format("{} {}", &one == &exceptions.front() ? "" : ";", one.what);
            }
            break;
    }
    text += fmt::format(" [{} programs", tried);
    if (!not_tried.empty()) {
        text += fmt::format(", {} could not be tried here", not_tried.size());
    }
    return text + "]";
}

}  // namespace verso::check
