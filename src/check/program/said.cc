// Outcomes and events to words.
#include "check/program/said.h"

#include <csignal>
#include <cstring>

#include <fmt/format.h>

namespace verso::check {
namespace {

std::string page_text(u64 address, const Areas& areas) {
    for (const bool second : {false, true}) {
        const u64 begin = second ? areas.second : areas.first;
        if (address >= begin && address < begin + areas.length) {
            return fmt::format("{}{}", (address - begin) / areas.unit, second ? "'" : "");
        }
    }
    return "elsewhere";
}

/// How many pages a huge one has differs between machines: all of an area is "all".
std::string range_text(u64 address, u64 length, const Areas& areas) {
    if (length == areas.length && (address == areas.first || address == areas.second)) {
        return address == areas.first ? "all" : "all'";
    }
    std::string first = page_text(address, areas);
    const std::string last = page_text(address + length - 1, areas);
    if (first != last) {
        if (first.ends_with('\'')) {
            first.pop_back();
        }
        first += "-" + last;
    }
    return first;
}

std::string event_text(const kernel::Event& event, const Areas& areas) {
    using kernel::EventKind;
    const auto fault = [&](const char* what) {
        return fmt::format("{}{}@{}", what, event.write ? "+write" : "",
                           page_text(event.address, areas));
    };
    const auto range = [&](const char* what) {
        return fmt::format("{}@{}", what, range_text(event.address, event.length, areas));
    };
    switch (event.kind) {
        case EventKind::write_protect: return fault("wp");
        case EventKind::missing: return fault("missing");
        case EventKind::minor: return fault("minor");
        case EventKind::removed: return range("removed");
        case EventKind::unmapped: return range("unmapped");
        case EventKind::remapped:
            return range("remapped") + ">" + range_text(event.end, event.length, areas);
        case EventKind::forked: return "forked";
        case EventKind::other: break;
    }
    return "unknown";
}

}  // namespace

std::string word_of(Verb verb, const kernel::Outcome& outcome, u64 unit) {
    using kernel::Verdict;
    if (outcome.verdict == Verdict::partial) {
        return fmt::format("partly {}", static_cast<u64>(outcome.value) / unit);
    }
    if (outcome.verdict == Verdict::signal) {
        return outcome.value == SIGBUS ? "SIGBUS" : "SIGSEGV";
    }
    if (outcome.verdict == Verdict::timed_out) {
        return hangs;
    }
    if (!outcome.ok()) {
        const char* const name = ::strerrorname_np(outcome.error);
        return outcome.error != 0 && name != nullptr ? name : kernel::to_string(outcome);
    }
    if (verb == Verb::load || verb == Verb::read) {
        return fmt::format("= {}", outcome.value);
    }
    return verb == Verb::register_ ? fmt::format("done {:#x}", outcome.value) : "done";
}

std::string what_is_said(std::span<const kernel::Event> events, const Areas& areas) {
    std::string text;
    for (const kernel::Event& event : events) {
        text += (text.empty() ? "" : " ") + event_text(event, areas);
    }
    return text.empty() ? "none" : text;
}

}  // namespace verso::check
