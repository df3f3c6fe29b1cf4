// Outcomes as text.
#include "kernel/outcome.h"

#include <system_error>

#include <fmt/format.h>

#include "base/check.h"

namespace verso::kernel {

std::string_view name_of(Verdict verdict) {
    switch (verdict) {
        case Verdict::done: return "done";
        case Verdict::partial: return "partial";
        case Verdict::exists: return "exists";
        case Verdict::layout_changing: return "layout_changing";
        case Verdict::would_block: return "would_block";
        case Verdict::no_such_range: return "no_such_range";
        case Verdict::no_page: return "no_page";
        case Verdict::target_gone: return "target_gone";
        case Verdict::no_memory: return "no_memory";
        case Verdict::no_descriptors: return "no_descriptors";
        case Verdict::interrupted: return "interrupted";
        case Verdict::invalid: return "invalid";
        case Verdict::denied: return "denied";
        case Verdict::busy: return "busy";
        case Verdict::unsupported: return "unsupported";
        case Verdict::closed: return "closed";
        case Verdict::timed_out: return "timed_out";
        case Verdict::signal: return "signal";
        case Verdict::other: return "other";
    }
    VERSO_CHECK(false, "no such verdict: {}", static_cast<unsigned>(verdict));
    return {};
}

std::string to_string(const Outcome& outcome) {
    std::string text{name_of(outcome.verdict)};
    if (outcome.verdict == Verdict::done || outcome.verdict == Verdict::partial ||
        outcome.verdict == Verdict::signal) {
        text += fmt::format(" {}", outcome.value);
    }
    if (outcome.error != 0) {
        text += fmt::format(" ({})", std::generic_category().message(outcome.error));
    }
    return text;
}

}  // namespace verso::kernel
