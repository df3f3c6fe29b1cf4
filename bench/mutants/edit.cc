// Changes to programs.
#include "mutants/edit.h"

#include <algorithm>

#include "abi/abi.h"
#include "check/conform/generate.h"
#include "check/program/words.h"
#include "kernel/half.h"

namespace verso::bench {
namespace {

using check::Program;
using check::Step;
using check::Verb;

std::ptrdiff_t some(Choice& choice, std::size_t count) {
    return static_cast<std::ptrdiff_t>(choice.choose(static_cast<u32>(count)));
}

/// The generator has no word for what a model alone can do.
Step half_step(Choice& choice) {
    Step step;
    step.verb = Verb::provoke;
    constexpr auto first = static_cast<u32>(kernel::Half::migrate_begin);
    constexpr auto last = static_cast<u32>(kernel::Half::device_writes);
    step.mode = first + choice.choose(last - first + 1);
    return step;
}

void put_in(Program& program, Choice& choice, u64 seed) {
    if (choice.choose(4) == 0) {
        program.steps.insert(program.steps.begin() + some(choice, program.steps.size() + 1),
                             half_step(choice));
        return;
    }
    const Program other = check::generate(seed, choice.choose(1U << 30), {}, check::Batch::machine);
    if (other.steps.empty()) {
        return;
    }
    const auto from = other.steps.begin() + some(choice, other.steps.size());
    const auto room = static_cast<std::size_t>(other.steps.end() - from);
    const std::ptrdiff_t count = choice.choose(3) == 0 ? 1 + some(choice, room) : 1;
    program.steps.insert(program.steps.begin() + some(choice, program.steps.size() + 1), from,
                         from + count);
}

void other_mode(Step& step, Choice& choice) {
    std::vector<u64> bits;
    for (const check::ModeWord& one : check::mode_words()) {
        if (one.verb == step.verb) {
            bits.push_back(one.bits);
        }
    }
    if (!bits.empty()) {
        const u64 drawn = bits[static_cast<std::size_t>(some(choice, bits.size()))];
        step.mode = choice.coin() ? step.mode ^ drawn : drawn;
    }
}

void other_place(const Program& program, Step& step, Choice& choice) {
    const u32 pages = program.huge ? 2 : program.pages;
    step.at.first = choice.choose(pages);
    step.at.count = choice.choose(pages - step.at.first + 1);
    if (choice.choose(4) == 0) {
        step.at.second = !step.at.second;
    }
    step.at.askew = choice.choose(6) == 0;
}

void change_step(Program& program, Step& step, Choice& choice) {
    switch (choice.choose(7)) {
        case 0:
        case 1: other_mode(step, choice); break;
        case 2:
        case 3: other_place(program, step, choice); break;
        case 4: step.child = !step.child; break;
        case 5: {
            const bool of_userfaultfd = step.verb >= Verb::register_ && step.verb <= Verb::close;
            step.other = of_userfaultfd && !step.other;
            break;
        }
        default:
            step.thread = check::may_sleep(step) && !step.child ? choice.choose(4) : 0;
            step.value = choice.choose(3);
            break;
    }
    const bool stores = step.verb == Verb::store || step.verb == Verb::write ||
                        step.verb == Verb::force || step.verb == Verb::file_write ||
                        step.verb == Verb::copy;
    step.value = stores ? step.value : 0;
    step.expected.clear();
}

void change_head(Program& program, Choice& choice) {
    using abi::Feature;
    constexpr u64 features[] = {Feature::wp_async,     Feature::wp_unpopulated,
                                Feature::event_remove, Feature::event_unmap,
                                Feature::event_remap,  Feature::event_fork};
    switch (choice.choose(6)) {
        case 0:
        case 1: program.features ^= features[choice.choose(6)]; break;
        case 2: program.pages = 1 + choice.choose(4); break;
        case 3: program.kind = check::every_kind[choice.choose(7)]; break;
        case 4: program.messages = !program.messages; break;
        default:
            program.huge = !program.huge &&
                           (program.kind == check::Kind::A || program.kind == check::Kind::SS);
            break;
    }
    if (program.huge) {
        program.pages = 1;
    }
}

}  // namespace

void edit(Program& program, Choice& choice, u64 seed) {
    const u32 changes = 1 + choice.choose(4);
    for (u32 i = 0; i < changes; ++i) {
        const u32 which = choice.choose(10);
        if (which < 4 || program.steps.empty()) {
            put_in(program, choice, seed);
        } else if (which == 4) {
            program.steps.erase(program.steps.begin() + some(choice, program.steps.size()));
        } else if (which == 5) {
            change_head(program, choice);
        } else {
            const auto at = static_cast<std::size_t>(some(choice, program.steps.size()));
            change_step(program, program.steps[at], choice);
        }
    }
    constexpr std::size_t steps_max = 20;
    program.steps.resize(std::min(program.steps.size(), steps_max));
    for (Step& step : program.steps) {
        step.expected.clear();
    }
}

}  // namespace verso::bench
