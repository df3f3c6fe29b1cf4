// What the entries of known.cc ask of the moment at which model and kernel part: the step, the
// pages that it is about as they were before, and what came earlier in the program.
#pragma once

#include <algorithm>

#include "abi/abi.h"
#include "check/conform/known.h"
#include "kernel/call.h"

namespace verso::check {

inline bool is_advice(const Step& step, kernel::Advice which) {
    return step.verb == Verb::advise && step.mode == static_cast<u64>(which);
}

/// Some page that the step is about was so.
template <class Predicate>
bool some_page(const Occasion& of, Predicate is) {
    const PageRange range = pages_of(of.program, of.step);
    if (of.before() == nullptr) {
        return false;
    }
    const auto& pages = of.step.at.second ? of.before()->second : of.before()->first;
    for (std::size_t i = range.first; i < range.end && i < pages.size(); ++i) {
        if (is(pages[i])) {
            return true;
        }
    }
    return false;
}

inline bool shows_protection(const PageFacts& page) {
    return (page.word & abi::PagemapBit::uffd_wp) != 0;
}
inline bool is_guard(const PageFacts& page) { return page.text() == "K(GUARD)"; }
inline bool is_poisoned(const PageFacts& page) { return page.text() == "K(POISONED)"; }
inline bool is_marker(const PageFacts& page) { return page.text() == "K(WP)"; }

inline bool is_async(const Program& program) {
    return (program.features & abi::Feature::wp_async) != 0;
}
inline bool is_ordinary(const Program& program) {
    return program.kind == Kind::FS || program.kind == Kind::FP;
}
inline bool hangs(const Occasion& of) {
    return of.said() != nullptr && of.said()->outcome == "hangs";
}

/// Some earlier step was such, and went well.
template <class Predicate>
bool came_before(const Occasion& of, Predicate is) {
    for (std::size_t i = 0; i < of.index && i < of.model.steps.size(); ++i) {
        if (is(of.program.steps[i])) {
            return true;
        }
    }
    return false;
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

}  // namespace verso::check
