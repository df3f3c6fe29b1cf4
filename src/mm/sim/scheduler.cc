// Scheduler: see the header.
#include "mm/sim/scheduler.h"

#include <algorithm>

#include <fmt/core.h>

#include "base/check.h"

namespace verso::mm::sim {
namespace {
constexpr u64 spin_ns = 10'000;  // a real one takes less; a spinner gets to its end sooner here
}  // namespace

Scheduler::Scheduler(Choice& choice, Limits limits) : choice_(choice), limits_(std::move(limits)) {
    Task main;
    main.fiber = std::make_unique<Fiber>();
    main.name = "main";
    tasks_.push_back(std::move(main));
}

/// What has not finished by now never will: its stack is given up as it is.
Scheduler::~Scheduler() { VERSO_CHECK(current_ == 0, "a world ends on a fiber of its own"); }

bool Scheduler::runnable(const Task& task) const {
    return !task.finished && (task.ready == nullptr || (*task.ready)() || task.deadline <= now_);
}

void Scheduler::somebody_acts() {
    if (relaxed_ == 0 || at(current_).spins) {
        return;
    }
    relaxed_ = 0;
    for (Task& task : tasks_) {
        task.relaxed = false;
    }
}

void Scheduler::let_time_pass() {
    u64 next = for_ever;
    for (Task& task : tasks_) {
        if (!task.finished && task.ready != nullptr) {
            next = std::min(next, task.deadline);
        }
        if (!task.finished && task.relaxed) {
            next = std::min(next, now_ + spin_ns);
        }
        task.relaxed = false;
        task.spins = false;
    }
    if (next != for_ever) {
        now_ = std::max(now_, next);
        return;
    }
    give_up(fmt::format("nobody can go on:\n{}", report()));
}

void Scheduler::give_up(const std::string& report) {
    const bool healed = limits_.on_deadlock && limits_.on_deadlock(report);
    VERSO_CHECK(healed, "{}", report);
}

/// Without a look at all the others: most decisions of a simulation are this one.
bool Scheduler::goes_on() {
    const u32 n = limits_.switch_one_in;
    const Task& self = at(current_);
    return n > 1 && !self.relaxed && runnable(self) && choice_.choose(n) != n - 1;
}

Scheduler::TaskId Scheduler::choose() {
    ++decisions_;
    if (limits_.decisions_max != 0 && decisions_ > limits_.decisions_max) {
        give_up(
            fmt::format("after {} decisions still not done:\n{}", limits_.decisions_max, report()));
    }
    if (goes_on()) {
        return current_;
    }
    for (;;) {
        candidates_.clear();
        for (TaskId task = 0; task < static_cast<TaskId>(tasks_.size()); ++task) {
            if (!at(task).relaxed && runnable(at(task))) {
                candidates_.push_back(task);
            }
        }
        if (!candidates_.empty()) {
            break;
        }
        let_time_pass();
    }
    const auto count = static_cast<u32>(candidates_.size());
    return candidates_[count == 1 ? 0 : choice_.choose(count)];
}

void Scheduler::reschedule(bool for_good) {
    const TaskId from = current_;
    const TaskId to = choose();
    if (to != from) {
        current_ = to;
        at(from).fiber->switch_to(*at(to).fiber, for_good);
    }
    for (const TaskId ended : ended_) {
        at(ended).fiber.reset();
    }
    ended_.clear();
}

void Scheduler::yield() {
    somebody_acts();
    reschedule(false);
}

void Scheduler::relax() {
    at(current_).relaxed = true;
    at(current_).spins = true;
    ++relaxed_;
    reschedule(false);
}

bool Scheduler::block(const std::function<bool()>& ready, Reason reason, u64 deadline) {
    Task& self = at(current_);
    somebody_acts();
    self.ready = &ready;
    self.reason = reason;
    self.deadline = deadline;
    reschedule(false);
    self.ready = nullptr;
    self.deadline = for_ever;
    return ready();
}

Scheduler::TaskId Scheduler::spawn(int process, std::string name, std::function<void()> body) {
    const auto id = static_cast<TaskId>(tasks_.size());
    Task task;
    task.name = std::move(name);
    task.process = process;
    task.fiber = std::make_unique<Fiber>([this, body = std::move(body)] {
        body();
        finish();
    });
    tasks_.push_back(std::move(task));
    return id;
}

void Scheduler::finish() {
    if (on_finish) {
        on_finish(current_);
    }
    at(current_).finished = true;
    ended_.push_back(current_);
    reschedule(true);
}

void Scheduler::join(TaskId task) {
    VERSO_CHECK(task != current_, "task {} joins itself", task);
    block([this, task] { return finished(task); }, {"the end of", 0, task});
}

void Scheduler::kill_process(int process) {
    bool own = false;
    for (TaskId task = 1; task < static_cast<TaskId>(tasks_.size()); ++task) {
        if (at(task).process == process && !at(task).finished) {
            at(task).finished = true;
            ended_.push_back(task);
            own = own || task == current_;
        }
    }
    if (own) {
        reschedule(true);
    }
}

std::string Scheduler::report() const {
    std::string lines;
    for (const Task& task : tasks_) {
        if (task.finished) {
            continue;
        }
        lines += fmt::format("  {} (process {}): ", task.name, task.process);
        if (task.ready == nullptr) {
            lines += task.relaxed ? "spins" : "can run";
        } else {
            lines += fmt::format("waits for {}", task.reason.what);
            if (task.reason.number != 0) {
                lines += fmt::format(" {:#x}", task.reason.number);
            }
            if (task.reason.holder >= 0) {
                lines += fmt::format(" ({})", at(task.reason.holder).name);
            }
        }
        lines += '\n';
    }
    return lines;
}

}  // namespace verso::mm::sim
