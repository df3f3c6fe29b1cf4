// What the lists of known differences ask of the moment at which model and kernel part: the step,
// the pages that it is about as they were before, what came earlier in the program, what differs.
#pragma once

#include <algorithm>

#include "abi/abi.h"
#include "check/conform/known.h"
#include "kernel/call.h"

namespace verso::check {

// The step.

inline bool is_advice(const Step& step, kernel::Advice which) {
    return step.verb == Verb::advise && step.mode == static_cast<u64>(which);
}
inline bool locks(const Step& step) { return step.verb == Verb::lock; }
inline bool reads_all(const Step& step) { return step.verb == Verb::load; }
inline bool fills(const Step& step) {
    return step.verb == Verb::copy || step.verb == Verb::continue_ || step.verb == Verb::zeropage ||
           step.verb == Verb::poison;
}
inline bool is_trigger(const Step& step, kernel::Trigger which) {
    return step.verb == Verb::provoke && step.mode == static_cast<u64>(which);
}
/// A child's userfaultfd is its parent's, and so is the memory that it speaks of.
inline Area area_of(const Step& step) {
    const bool of_child = step.child && !is_uffd_ioctl(step.verb);
    return step.at.second ? Area::second : of_child ? Area::child : Area::first;
}
/// How many pages it is about.
inline std::size_t size_of(const Program& program, const Step& step) {
    const PageRange range = pages_of(program, step);
    return range.end - range.first;
}

// The program.

inline bool is_async(const Program& program) {
    return (program.features & abi::Feature::wp_async) != 0;
}
inline bool is_ordinary(const Program& program) {
    return program.kind == Kind::FS || program.kind == Kind::FP;
}
/// Some earlier step was such.
template <class Predicate>
bool came_before(const Occasion& of, Predicate is) {
    for (std::size_t i = 0; i < of.index && i < of.model.steps.size(); ++i) {
        if (is(of.program.steps[i])) {
            return true;
        }
    }
    return false;
}

// Pages.

inline bool shows_protection(const PageFacts& page) {
    return (page.word & abi::PagemapBit::uffd_wp) != 0;
}
inline bool is_guard(const PageFacts& page) { return page.text() == "K(GUARD)"; }
inline bool is_poisoned(const PageFacts& page) { return page.text() == "K(POISONED)"; }
inline bool is_marker(const PageFacts& page) { return page.text() == "K(WP)"; }
inline bool is_empty(const PageFacts& page) { return page.text() == "N"; }
inline bool is_tracked(const PageFacts& page) {
    return (page.categories & abi::PageIs::wp_allowed) != 0;
}
/// Its bytes are the process' own: no page of a file's, no marker.
inline bool is_private_copy(const PageFacts& page) {
    const std::string text = page.text();
    return text == "P" || text == "Pu" || text == "S" || text == "Su";
}
/// Some page that the step is about was so.
template <class Predicate>
bool some_page(const Occasion& of, Predicate is) {
    const Seen* const before = of.before();
    if (before == nullptr) {
        return false;
    }
    const PageRange range = pages_of(of.program, of.step);
    const auto& pages = of.step.at.second ? before->second : before->first;
    for (std::size_t i = range.first; i < range.end && i < pages.size(); ++i) {
        if (is(pages[i])) {
            return true;
        }
    }
    return false;
}

// What differs.

inline bool is_page(const Part& part) { return part.what == Part::What::page; }
inline bool is_outcome(const Part& part) { return part.what == Part::What::outcome; }
inline bool is_thread(const Part& part) { return part.what == Part::What::thread; }
/// A page that the step itself is about.
inline bool is_page_of_step(const Occasion& of, const Part& part) {
    const PageRange range = pages_of(of.program, of.step);
    return is_page(part) && part.area == area_of(of.step) && part.page >= range.first &&
           part.page < range.end;
}
/// What the call said to model and kernel.
template <class Model, class Kernel>
bool said(const Occasion& of, Model by_model, Kernel by_kernel) {
    return std::ranges::any_of(of.parts, [&](const Part& part) {
        return is_outcome(part) && by_model(part.one) && by_kernel(part.other);
    });
}
inline bool went_well(std::string_view word) {
    return word.starts_with("done") || word.starts_with('=') || word.starts_with("partly");
}
inline auto is_word(std::string_view wanted) {
    return [wanted](std::string_view word) { return word == wanted; };
}
/// The step of whoever a thread's part speaks of ("child.t2:done"), the last that it began;
/// nullptr: of none.
inline const Step* step_of_thread(const Occasion& of, const Part& part) {
    const std::string& said = part.one.empty() ? part.other : part.one;
    std::string_view name = std::string_view(said).substr(0, said.find(':'));
    const bool child = name.starts_with("child");
    const std::size_t digit = name.find_first_of("0123456789");
    const u32 number = digit == std::string_view::npos ? 0 : static_cast<u32>(name[digit] - '0');
    for (std::size_t i = std::min(of.index + 1, of.program.steps.size()); i-- > 0;) {
        const Step& step = of.program.steps[i];
        if (step.thread == number && step.child == child && (number != 0 || may_sleep(step))) {
            return &step;
        }
    }
    return nullptr;
}
inline bool has_ended(const Part& part, std::string_view how) {
    return part.one.ends_with(how) && !part.other.ends_with(how);
}

}  // namespace verso::check
