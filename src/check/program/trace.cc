// What was seen, in words; expectations; comparison.
#include <algorithm>

#include "abi/abi.h"
#include "check/program/run.h"

namespace verso::check {
namespace {

constexpr u64 guard_bit = u64{1} << 58;  // 6.15
constexpr u64 marker_type = 31;          // of a swap entry

std::string pages_text(const std::vector<PageFacts>& pages) {
    std::string text;
    for (const PageFacts& page : pages) {
        text += (text.empty() ? "" : " ") + page.text();
    }
    return text;
}

std::string area_text(const std::vector<PageFacts>& pages) {
    std::string text = fmt::format("[{}]", pages_text(pages));
    for (const PageFacts& page : pages) {
        text += fmt::format(" {:x}", page.categories);
    }
    return text;
}

/// "[Pu N]" from page `first` on; `f` need not be said.
bool pages_match(std::string_view wanted, const std::vector<PageFacts>& pages, u32 first) {
    wanted.remove_prefix(1);
    wanted.remove_suffix(1);
    std::size_t at = first;
    while (!wanted.empty()) {
        const std::string_view one = wanted.substr(0, wanted.find(' '));
        wanted.remove_prefix(std::min(one.size() + 1, wanted.size()));
        if (at >= pages.size()) {
            return false;
        }
        std::string have = pages[at++].text();
        if (have != one && have.ends_with('f')) {
            have.pop_back();
        }
        if (have != one) {
            return false;
        }
    }
    return true;
}

bool outcome_matches(std::string_view seen, std::string_view word) {
    if (word == "silent" || word == "done") {
        return seen.starts_with("done") || seen.starts_with('=');
    }
    return seen == (word == "msg" ? "SIGBUS" : word);
}

/// Is the word one of those that blanks separate?
bool has_part(std::string_view text, std::string_view word) {
    while (!text.empty()) {
        const std::string_view one = text.substr(0, text.find(' '));
        if (one == word) {
            return true;
        }
        text.remove_prefix(std::min(one.size() + 1, text.size()));
    }
    return false;
}

/// A step that says which messages there are names them all.
bool has_more_messages(const Step& step, const Seen& seen) {
    const auto named = std::ranges::count_if(
        step.expected, [&](std::string_view word) { return has_part(seen.outcome, word); });
    return step.verb == Verb::messages && named != 0 &&
           named != std::ranges::count(seen.outcome, ' ') + 1;
}

const std::vector<PageFacts>& pages_of(const Step& step, const Seen& seen) {
    return step.child ? seen.child : step.at.second ? seen.second : seen.first;
}

}  // namespace

bool operator==(const PageFacts& a, const PageFacts& b) {
    const auto comparable = [](const PageFacts& page) {
        const bool tracked = (page.categories & abi::PageIs::wp_allowed) != 0;
        constexpr u64 of_a_table = abi::PageIs::written | abi::PageIs::huge;
        return page.text() == "N" && !tracked ? page.categories & ~of_a_table : page.categories;
    };
    return a.text() == b.text() && comparable(a) == comparable(b) &&
           a.soft_dirty() == b.soft_dirty();
}

std::string PageFacts::text() const {
    using abi::PagemapBit;
    const char* const file = (word & PagemapBit::file) != 0 ? "f" : "";
    const char* const u = (word & PagemapBit::uffd_wp) != 0 ? "u" : "";
    if ((word & PagemapBit::present) != 0) {
        return fmt::format("P{}{}", u, file);
    }
    if ((word & PagemapBit::swapped) == 0) {
        return *u != '\0' ? "K(WP)" : "N";  // hugetlb: of a marker only that bit shows
    }
    if ((word & marker_type) != marker_type) {
        return fmt::format("S{}{}", u, file);
    }
    const u64 which = (word >> 5) & 15;
    if ((which & 8) != 0) {
        return "K(WRITTEN)";  // of the model alone: the proposal with two markers
    }
    if ((word & guard_bit) != 0 || (which & 4) != 0) {
        return "K(GUARD)";
    }
    return (which & 2) != 0 ? "K(POISONED)" : "K(WP)";
}

bool PageFacts::written() const { return (categories & abi::PageIs::written) != 0; }
bool PageFacts::soft_dirty() const { return (word & abi::PagemapBit::soft_dirty) != 0; }

bool matches(const Step& step, const Seen& seen, std::string_view word) {
    const std::vector<PageFacts>& pages = pages_of(step, seen);
    const PageFacts* const page = step.at.first < pages.size() ? &pages[step.at.first] : nullptr;
    if (word.starts_with('[')) {
        return pages_match(word, pages, step.at.first);
    }
    if (word == "written" || word == "clean") {
        return page != nullptr && page->written() == (word == "written");
    }
    if (word == "dirty" || word == "undirtied") {  // soft-dirty
        return page != nullptr && page->soft_dirty() == (word == "dirty");
    }
    if (const std::size_t colon = word.find(':'); colon != std::string_view::npos) {
        const std::string_view name = word.substr(0, colon + 1);
        return std::ranges::any_of(seen.threads, [&](std::string_view one) {
            return one.starts_with(name) &&
                   outcome_matches(one.substr(colon + 1), word.substr(colon + 1));
        });
    }
    if (step.verb == Verb::messages && seen.outcome != word) {
        return has_part(seen.outcome, word);
    }
    return outcome_matches(seen.outcome, word);
}

std::string to_text(const Seen& seen) {
    std::string text = fmt::format("{:<8} {}", seen.outcome, area_text(seen.first));
    if (!seen.second.empty()) {
        text += " ' " + area_text(seen.second);
    }
    if (!seen.child.empty()) {
        text += " child " + area_text(seen.child);
    }
    for (const std::string& one : seen.threads) {
        text += " " + one;
    }
    return text;
}

std::string to_text(const Program& program, const Trace& trace) {
    std::string text = to_text(program) + "\n";
    for (std::size_t i = 0; i < trace.steps.size(); ++i) {
        text += fmt::format("  {:>2} {:<28} {}\n", i + 1, to_text(program.steps[i]),
                            to_text(trace.steps[i]));
    }
    for (const std::string& one : trace.contents) {
        text += (&one == &trace.contents.front() ? "     in the end " : ", ") + one;
    }
    return text + (trace.why_not.empty() ? "" : "     could not go on: " + trace.why_not) + "\n";
}

std::string unmet(const Program& program, const Trace& trace) {
    for (std::size_t i = 0; i < trace.steps.size(); ++i) {
        for (const std::string& word : program.steps[i].expected) {
            if (!matches(program.steps[i], trace.steps[i], word)) {
                return fmt::format("step {}, {}: {} was not what happened\n{}", i + 1,
                                   to_text(program.steps[i]), word, to_text(program, trace));
            }
        }
        if (has_more_messages(program.steps[i], trace.steps[i])) {
            return fmt::format("step {}, {}: there are more messages than that\n{}", i + 1,
                               to_text(program.steps[i]), to_text(program, trace));
        }
    }
    return {};
}

std::string difference(const Program& program, const Trace& one, const Trace& two) {
    const std::size_t steps = std::min(one.steps.size(), two.steps.size());
    for (std::size_t i = 0; i < steps; ++i) {
        if (!(one.steps[i] == two.steps[i])) {
            return fmt::format("step {}, {}:\n  {}\n  {}", i + 1, to_text(program.steps[i]),
                               to_text(one.steps[i]), to_text(two.steps[i]));
        }
    }
    if (one.why_not.empty() && two.why_not.empty() && one.contents != two.contents) {
        std::string text = "contents in the end:";
        for (std::size_t i = 0; i < one.contents.size() && i < two.contents.size(); ++i) {
            text += fmt::format(" {} / {}", one.contents[i], two.contents[i]);
        }
        return text;
    }
    return {};
}

}  // namespace verso::check
