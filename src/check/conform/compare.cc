// Differences and their keys.
#include "check/conform/compare.h"

#include <algorithm>

#include "abi/abi.h"
#include "kernel/call.h"

namespace verso::check {
namespace {

using abi::PageIs;

/// What a call said, where numbers are of no interest.
std::string said(const std::string& outcome) {
    return outcome.starts_with("= ") ? "=" : outcome.substr(0, outcome.find(' '));
}

bool is_tracked(const PageFacts& page) { return (page.categories & PageIs::wp_allowed) != 0; }
bool is_unprotected_hole(const PageFacts& page) { return page.text() == "N" && !is_tracked(page); }

/// A page that a load at this moment would bring, unprotected, may be there before it.
bool comes_by_itself(const PageFacts& page) {
    const bool zero = (page.categories & PageIs::pfn_zero) != 0;
    return !is_tracked(page) && (page.text() == "Pf" || (page.text() == "P" && zero));
}

bool are_one_of(const PageFacts& one, const PageFacts& other, std::string_view a,
                std::string_view b) {
    return (one.text() == a && other.text() == b) || (one.text() == b && other.text() == a);
}

/// The same, or a difference that says nothing: what the kernel maps ahead of faults (fault-around,
/// the whole of a huge page in the cache), what it leaves out of a child's page tables, to be
/// found again by a fault.
bool is_alike(const Program& program, Area area, const PageFacts& model, const PageFacts& kernel) {
    if (model == kernel) {
        return true;
    }
    PageFacts one = model;
    PageFacts other = kernel;
    // Of an empty hugetlb entry it says only whether somebody made a page table near it.
    const bool empty = one.text() == "N" && other.text() == "N";
    // Else whether an entry is huge is the kernel's choice, or of zeroes (E-TH1).
    if (program.huge || (empty && is_hugetlb(program.kind))) {
        one.categories &= ~(PageIs::huge | PageIs::pfn_zero);
        other.categories &= ~(PageIs::huge | PageIs::pfn_zero);
    }
    if (one == other) {
        return true;
    }
    // Huge memory comes in whole again once its page table is gone.
    if (program.huge && one.written() == other.written() && is_tracked(one) == is_tracked(other) &&
        (are_one_of(one, other, "N", "P") || are_one_of(one, other, "N", "Pf"))) {
        return true;
    }
    if (program.kind != Kind::A && is_unprotected_hole(one) && comes_by_itself(other)) {
        return true;
    }
    // Mapped ahead before it was registered: as clean or written as the empty entry.
    if (program.kind != Kind::A && one.written() == other.written() &&
        is_tracked(one) == is_tracked(other) &&
        (are_one_of(one, other, "N", "Pf") || are_one_of(one, other, "K(WP)", "Puf"))) {
        return true;
    }
    const bool holes = is_unprotected_hole(one) || is_unprotected_hole(other);
    return area == Area::child && holes && (comes_by_itself(one) || comes_by_itself(other));
}

bool are_alike(const Program& program, Area area, const std::vector<PageFacts>& model,
               const std::vector<PageFacts>& kernel) {
    return std::ranges::equal(model, kernel, [&](const PageFacts& one, const PageFacts& other) {
        return is_alike(program, area, one, other);
    });
}

bool is_scan(const Step& step) { return step.verb == Verb::scan || step.verb == Verb::arm; }

/// How many pages a scan selects depends on what memory is like that nobody tracks: whether it has
/// page tables (SC-22, SC-23), what was mapped ahead.
bool may_say_otherwise(const Program& program, const Step& step, const Seen& model,
                       const Seen& kernel) {
    // Of a huge page the model has two pages, and of what was mapped ahead nobody knows.
    if (is_scan(step) && (program.huge || program.kind == Kind::FS || program.kind == Kind::FP)) {
        return true;
    }
    const auto open = [](const std::vector<PageFacts>& pages) {
        return std::ranges::any_of(pages, [](const PageFacts& page) {
            return is_unprotected_hole(page) || comes_by_itself(page);
        });
    };
    if (is_scan(step) && step.at.second && (step.child || model.second.empty())) {
        return true;  // nobody looks at a child's second area, or at one that is about to come
    }
    const auto which = step.child ? &Seen::child : step.at.second ? &Seen::second : &Seen::first;
    return is_scan(step) && (open(model.*which) || open(kernel.*which));
}

/// A collapse may be refused for reasons of memory alone; a walk that found all it was to find may
/// stop there or look on.
bool outcomes_alike(const Program& program, const Step& step, const Seen& model,
                    const Seen& kernel) {
    const auto found = [](const Seen& seen) {
        return seen.outcome.substr(0, seen.outcome.find(" to "));
    };
    constexpr u64 collapse = static_cast<u64>(kernel::Advice::collapse);
    const bool asks_to_collapse = step.verb == Verb::advise && step.mode == collapse;
    return (asks_to_collapse && kernel.outcome != "hangs") || found(model) == found(kernel) ||
           (said(model.outcome) == said(kernel.outcome) &&
            may_say_otherwise(program, step, model, kernel));
}

constexpr std::pair<Area, std::vector<PageFacts> Seen::*> areas[] = {
    {Area::first, &Seen::first}, {Area::second, &Seen::second}, {Area::child, &Seen::child}};

bool steps_alike(const Program& program, const Step& step, const Seen& model, const Seen& kernel) {
    return outcomes_alike(program, step, model, kernel) && model.threads == kernel.threads &&
           std::ranges::all_of(areas, [&](const auto& one) {
               return are_alike(program, one.first, model.*one.second, kernel.*one.second);
           });
}

/// The first page in which two looks at an area differ.
std::optional<std::string> area_key(const Program& program, Area area,
                                    const std::vector<PageFacts>& before,
                                    const std::vector<PageFacts>& model,
                                    const std::vector<PageFacts>& kernel) {
    constexpr std::string_view names[] = {"first", "second", "child"};
    const std::string_view name = names[static_cast<std::size_t>(area)];
    const std::size_t pages = std::min(model.size(), kernel.size());
    for (std::size_t i = 0; i < pages; ++i) {
        if (!is_alike(program, area, model[i], kernel[i])) {
            const std::string was = i < before.size() ? facts_text(before[i]) : "";
            return fmt::format("{} | {} -> {} | {}", was, facts_text(model[i]),
                               facts_text(kernel[i]), name);
        }
    }
    if (model.size() != kernel.size()) {
        return fmt::format("{} pages / {} | {}", model.size(), kernel.size(), name);
    }
    return std::nullopt;
}

std::string key_of(const Program& program, const Step& step, const Seen& before, const Seen& model,
                   const Seen& kernel) {
    std::string key = word_of(step);
    if (!outcomes_alike(program, step, model, kernel)) {
        const auto& pages = step.child       ? before.child
                            : step.at.second ? before.second
                                             : before.first;
        const std::size_t at = step.at.first;
        key += fmt::format(" | {} | says {} -> {}", at < pages.size() ? facts_text(pages[at]) : "",
                           said(model.outcome), said(kernel.outcome));
    }
    for (std::size_t i = 0; i < std::max(model.threads.size(), kernel.threads.size()); ++i) {
        const std::string one = i < model.threads.size() ? said(model.threads[i]) : "";
        const std::string two = i < kernel.threads.size() ? said(kernel.threads[i]) : "";
        if (one != two) {
            key += fmt::format(" | {} -> {}", one, two);
        }
    }
    for (const auto& [area, pages] : areas) {
        const std::optional<std::string> differs =
            area_key(program, area, before.*pages, model.*pages, kernel.*pages);
        if (differs) {
            return key + " | " + *differs;
        }
    }
    return key;
}

void add_threads(std::vector<Part>& parts, const Seen& model, const Seen& kernel) {
    const std::size_t threads = std::max(model.threads.size(), kernel.threads.size());
    for (std::size_t i = 0; i < threads; ++i) {
        const std::string one = i < model.threads.size() ? model.threads[i] : "";
        const std::string two = i < kernel.threads.size() ? kernel.threads[i] : "";
        if (one != two) {
            parts.push_back({.what = Part::What::thread, .one = one, .other = two});
        }
    }
}

std::vector<Part> parts_of_step(const Program& program, const Step& step, const Seen* before,
                                const Seen& model, const Seen& kernel) {
    std::vector<Part> parts;
    if (!outcomes_alike(program, step, model, kernel)) {
        parts.push_back(
            {.what = Part::What::outcome, .one = model.outcome, .other = kernel.outcome});
    }
    if (kernel.outcome == "hangs") {
        return parts;  // there is nobody left to be looked at
    }
    add_threads(parts, model, kernel);
    for (const auto& [area, pages] : areas) {
        const std::vector<PageFacts>& ours = model.*pages;
        const std::vector<PageFacts>& theirs = kernel.*pages;
        if (ours.size() != theirs.size()) {
            parts.push_back({.what = Part::What::area, .area = area});
            continue;
        }
        for (std::size_t i = 0; i < ours.size(); ++i) {
            if (!is_alike(program, area, ours[i], theirs[i])) {
                const bool known = before != nullptr && i < (before->*pages).size();
                const PageFacts was = known ? (before->*pages)[i] : PageFacts{};
                parts.push_back({Part::What::page, {}, {}, area, i, was, ours[i], theirs[i]});
            }
        }
    }
    return parts;
}

std::optional<Difference> compare_contents(const Program& program, const Trace& model,
                                           const Trace& kernel) {
    const bool both_ended = model.why_not.empty() && kernel.why_not.empty();
    for (std::size_t i = 0; i < model.contents.size() && i < kernel.contents.size(); ++i) {
        if (both_ended && model.contents[i] != kernel.contents[i]) {
            return Difference{program.steps.size(),
                              fmt::format("contents | {} -> {}", said(model.contents[i]),
                                          said(kernel.contents[i])),
                              fmt::format("contents in the end, page {}: {} / {}", i,
                                          model.contents[i], kernel.contents[i])};
        }
    }
    return std::nullopt;
}

}  // namespace

std::string word_of(const Step& step) {
    Step bare;
    bare.verb = step.verb;
    bare.mode = step.mode;
    bare.child = step.child;
    bare.other = step.other;
    bare.at.count = takes_one_page(step.verb) ? 1 : 0;
    return to_text(bare);
}

std::string facts_text(const PageFacts& page) {
    std::string text = page.text();
    if (page.written() && is_tracked(page)) {
        text += " written";
    }
    if ((page.categories & abi::PageIs::wp_allowed) != 0) {
        text += " tracked";
    }
    if ((page.categories & abi::PageIs::pfn_zero) != 0) {
        text += " zero";
    }
    if ((page.categories & abi::PageIs::huge) != 0) {
        text += " huge";
    }
    return text;
}

PageRange pages_of(const Program& program, const Step& step) {
    const std::size_t pages = program.huge ? 2 : program.pages;
    const std::size_t first = std::min<std::size_t>(step.at.first, pages);
    const std::size_t end = step.at.count == 0 ? pages : first + step.at.count;
    return {first, std::min(end, pages)};
}

const Seen* last_look(const Trace& trace, std::size_t step) {
    for (std::size_t i = std::min(step, trace.steps.size()); i-- > 0;) {
        if (trace.steps[i].outcome != "begun") {
            return &trace.steps[i];
        }
    }
    return nullptr;
}

std::vector<Part> parts_of(const Program& program, const Trace& model, const Trace& kernel,
                           std::size_t step) {
    std::vector<Part> parts;
    if (step >= program.steps.size()) {
        for (std::size_t i = 0; i < std::min(model.contents.size(), kernel.contents.size()); ++i) {
            if (model.contents[i] != kernel.contents[i]) {
                parts.push_back({.what = Part::What::contents,
                                 .one = model.contents[i],
                                 .other = kernel.contents[i],
                                 .page = i});
            }
        }
    } else if (step < model.steps.size() && step < kernel.steps.size()) {
        parts = parts_of_step(program, program.steps[step], last_look(model, step),
                              model.steps[step], kernel.steps[step]);
    }
    if (parts.empty()) {
        parts.push_back({.what = Part::What::promise});
    }
    return parts;
}

std::optional<Difference> compare(const Program& program, const Trace& model, const Trace& kernel) {
    const Seen nothing;
    for (std::size_t i = 0; i < std::min(model.steps.size(), kernel.steps.size()); ++i) {
        const Step& step = program.steps[i];
        const Seen& one = model.steps[i];
        const Seen& two = kernel.steps[i];
        if (!steps_alike(program, step, one, two)) {
            const Seen& before = i == 0 ? nothing : model.steps[i - 1];
            return Difference{i, key_of(program, step, before, one, two),
                              fmt::format("step {}, {}: the model says\n     {}\n   the kernel\n"
                                          "     {}",
                                          i + 1, to_text(step), to_text(one), to_text(two))};
        }
    }
    return compare_contents(program, model, kernel);
}

}  // namespace verso::check
