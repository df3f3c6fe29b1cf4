// Threads of a world by their names in the program.
#include "check/program/threads.h"

#include <algorithm>

#include "abi/abi.h"
#include "kernel/half.h"

namespace verso::check {
namespace {

std::string name_of(int process, u32 number) {
    const char* const whose = process == 0 ? "" : "child";
    if (number == 0) {
        return process == 0 ? "main" : whose;
    }
    return fmt::format("{}{}t{}", whose, process == 0 ? "" : ".", number);
}

}  // namespace

bool has_sleepers(const Program& program) {
    constexpr u64 events = abi::Feature::layout_events | abi::Feature::event_fork;
    const bool on_the_way = std::ranges::any_of(program.steps, [](const Step& step) {
        return step.verb == Verb::provoke &&
               kernel::makes_wait(static_cast<kernel::Trigger>(step.mode));
    });
    return program.messages || (program.features & events) != 0 || on_the_way;
}

Result<Threads::Further*> Threads::find(int process, u32 number) {
    for (Further& one : all_) {
        if (one.process == process && one.number == number) {
            return &one;
        }
    }
    const Result<int> made = world_.thread(process);
    if (!made) {
        return tl::unexpected<Error>(made.error());
    }
    all_.push_back({process, number, *made});
    return &all_.back();
}

Result<void> Threads::prepare(int process, u32 thread) {
    Result<Further*> found = find(process, thread);
    if (!found) {
        return pass(found);
    }
    return {};
}

Result<void> Threads::start(Further& thread, const Step& step, const kernel::Call& call) {
    if (thread.under_way) {
        return fail(ErrorKind::invalid_argument, 0,
                    "{} is still in {}: it can make no further step before that has ended",
                    name_of(thread.process, thread.number), to_text(thread.step));
    }
    thread.step = step;
    thread.under_way = true;
    if (step.verb == Verb::fork) {
        return world_.start_fork(thread.in_world);
    }
    world_.start(thread.in_world, call);
    return {};
}

Result<std::string> Threads::begin(const Step& step, int process, const kernel::Call& call) {
    Result<Further*> thread = find(process, step.thread);
    if (!thread) {
        return pass(thread);
    }
    if (const Result<void> started = start(**thread, step, call); !started) {
        return tl::unexpected<Error>(started.error());
    }
    if (step.background) {
        return "begun";
    }
    const std::optional<kernel::Outcome> outcome = world_.finished((*thread)->in_world);
    if (!outcome) {
        return "blocked";
    }
    (*thread)->under_way = false;
    return finish_(step, process, *outcome);
}

/// Who finishes may have let another go on: asked again until nobody does.
std::vector<std::string> Threads::settle() {
    std::vector<std::pair<const Further*, std::string>> words;
    for (const Further& one : all_) {
        if (one.under_way) {
            words.emplace_back(&one, "blocked");
        }
    }
    for (bool again = true; again;) {
        again = false;
        for (Further& one : all_) {
            if (!one.under_way) {
                continue;
            }
            if (const std::optional<kernel::Outcome> outcome = world_.finished(one.in_world)) {
                one.under_way = false;
                again = true;
                const auto mine =
                    std::ranges::find(words, &one, &decltype(words)::value_type::first);
                mine->second = finish_(one.step, one.process, *outcome);
            }
        }
    }
    std::vector<std::string> said;
    said.reserve(words.size());
    for (const auto& [thread, word] : words) {
        said.push_back(fmt::format("{}:{}", name_of(thread->process, thread->number), word));
    }
    return said;
}

Result<std::string> Threads::look(int process, const kernel::Call& load) {
    u32 number = 0;
    for (const Further& one : all_) {
        if (one.process == process && one.under_way) {
            number = std::max(number, one.number + 1);
        }
    }
    Step step;
    step.thread = number;
    return begin(step, process, load);
}

std::vector<std::pair<std::string, int>> Threads::names() const {
    std::vector<std::pair<std::string, int>> all;
    all.reserve(all_.size());
    for (const Further& one : all_) {
        all.emplace_back(name_of(one.process, one.number), one.in_world);
    }
    return all;
}

void Threads::forget(int process) {
    std::erase_if(all_, [&](const Further& one) { return one.process == process; });
}

}  // namespace verso::check
