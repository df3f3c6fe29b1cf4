// Looking a difference up.
#include "check/conform/known.h"

#include <algorithm>
#include <vector>

#include "check/conform/occasion.h"
#include "check/conform/promise.h"
#include "check/program/said.h"
#include "check/program/where.h"

namespace verso::check {
namespace {

using kernel::Advice;

/// The step, and those with "&" that were begun since anybody looked: what they did is seen now.
std::vector<const Step*> steps_seen_now(const Occasion& of) {
    std::vector<const Step*> steps{&of.step};
    for (std::size_t i = of.index; i-- > 0 && of.program.steps[i].background;) {
        steps.push_back(&of.program.steps[i]);
    }
    return steps;
}

/// Which promise the model of that release breaks at this step, if it does.
bool breaks(const Program& program, const mm::Rules& rules, std::size_t step) {
    FirstChoice first;
    const std::optional<Broken> broken =
        broken_promise(program, run_on_model(rules, program, first));
    return broken && broken->step <= step;
}

/// The one that keeps the promise when its rule is on; where several break it, one without which
/// all others would.
const Known* who_breaks(const Program& program, std::size_t step, std::string_view release) {
    const std::optional<mm::Rules> rules = mm::preset(release);
    if (!rules || !breaks(program, *rules, step)) {
        return nullptr;
    }
    mm::Rules all = *rules;
    for (const Known& one : known_differences()) {
        if (one.release != release || one.rule == nullptr) {
            continue;
        }
        mm::Rules with = *rules;
        with.*one.rule = true;
        if (!breaks(program, with, step)) {
            return &one;
        }
        all.*one.rule = true;
    }
    if (breaks(program, all, step)) {
        return nullptr;
    }
    for (const Known& one : known_differences()) {
        mm::Rules without = all;
        if (one.rule != nullptr && one.release == release) {
            without.*one.rule = false;
            if (breaks(program, without, step)) {
                return &one;
            }
        }
    }
    return nullptr;
}

/// What the kernel mapped ahead (fault-around) and the model did not is read by a step of its own,
/// so that the model has it, too. `step` stays the same one.
Program with_neighbours(Program program, const Trace& model, const Trace& kernel,
                        std::size_t& step) {
    std::vector<bool> read(program.huge ? 2 : program.pages);
    std::size_t added = 0;
    for (std::size_t i = 0; i < std::min({step, model.steps.size(), kernel.steps.size()}); ++i) {
        const auto& ours = model.steps[i].first;
        const auto& theirs = kernel.steps[i].first;
        for (std::size_t page = 0; page < std::min({read.size(), ours.size(), theirs.size()});
             ++page) {
            if (!read[page] && is_empty(ours[page]) && theirs[page].text().starts_with("P")) {
                read[page] = true;
                const Step load{.verb = Verb::load, .at = {static_cast<u32>(page), 1}};
                const auto behind = static_cast<std::ptrdiff_t>(i + ++added);
                program.steps.insert(program.steps.begin() + behind, load);
            }
        }
    }
    step += added;
    return program;
}

/// Of the model as it is, or with the neighbours that the kernel mapped.
const Known* who_breaks(const Occasion& of, std::string_view release) {
    const Known* const one = who_breaks(of.program, of.index, release);
    if (one != nullptr) {
        return one;
    }
    std::size_t step = of.index;
    const Program program = with_neighbours(of.program, of.model, of.kernel, step);
    return step == of.index ? nullptr : who_breaks(program, step, release);
}

const Known* who_explains(const Occasion& of, const Part& part, std::string_view release) {
    for (const Step* const step : steps_seen_now(of)) {
        const Occasion occasion{of.program, *step, of.index, of.model, of.kernel, of.parts};
        for (const Known& one : known_differences()) {
            if (one.release == release && one.explains != nullptr && one.explains(occasion, part)) {
                return &one;
            }
        }
    }
    return nullptr;
}

}  // namespace

std::span<const Known> known_differences() {
    static const std::vector<Known> all = [] {
        std::vector<Known> both;
        std::ranges::copy(known_broken_promises(), std::back_inserter(both));
        std::ranges::copy(known_other_differences(), std::back_inserter(both));
        return both;
    }();
    return all;
}

const Known* known(const Program& program, const Trace& model, const Trace& kernel,
                   std::size_t step, std::string_view release) {
    const Step nothing;  // the contents in the end
    const std::vector<Part> parts = parts_of(program, model, kernel, step);
    const Occasion occasion{program, step < program.steps.size() ? program.steps[step] : nothing,
                            step,    model,
                            kernel,  parts};
    const Known* first = nullptr;
    for (const Part& part : parts) {
        const Known* const one = part.what == Part::What::promise
                                     ? who_breaks(occasion, release)
                                     : who_explains(occasion, part, release);
        if (one == nullptr) {
            return nullptr;
        }
        first = first == nullptr ? one : first;
    }
    return first;
}

bool is_known_to_hang(const Program& program, std::size_t step, const Trace& model) {
    if (step < model.steps.size() && model.steps[step].outcome == hangs) {
        return true;
    }
    const Occasion of{program, program.steps[step], step, model, model, {}};
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

bool is_known_to_leak(const Program& program, std::size_t step) {
    const Step& one = program.steps[step];
    return program.kind == Kind::HP && one.verb == Verb::remap && one.at.count != 0 &&
           one.at.count < program.pages;
}

}  // namespace verso::check
