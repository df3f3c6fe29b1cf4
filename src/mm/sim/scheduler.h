// Scheduler: who runs next. Every thread of every simulated process is a fiber of one host thread;
// a fiber runs until it asks for something (a kernel call, a lock, a wait), and there the next one
// is chosen among all that can go on, through the world's Choice. So one seed is one schedule.
//
//            yield: chosen again some time          ready(): true
//   running ◀─────────────────────────▶ runnable ◀──────────────── blocked ──deadline──▶ runnable
//
// Time stands still as long as anybody can run; when nobody can, it jumps to the earliest deadline.
// When there is none either, that is a deadlock, and the report says who waits for what. A fiber
// that spins (relax) has its next turn once somebody else did something; if nobody can, some
// microseconds pass. What a spinner does between two turns, asking a queue again, counts for
// nothing: two of them would keep each other running, and time would stand still for ever.
//
// A blocked fiber is asked whether it can go on at every decision (some 5 ns each): with a few
// dozen fibers that is cheaper than the wake lists that would have to be right.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/choice.h"
#include "mm/sim/fiber.h"

namespace verso::mm::sim {

/// What a fiber waits for; put into words only if somebody asks.
struct Reason {
    const char* what = "";
    u64 number = 0;   // address, descriptor, …
    int holder = -1;  // the task that has it, if one has
};

class Scheduler {
public:
    static constexpr u64 for_ever = ~u64{0};
    using TaskId = int;  // 0: the stack that made the scheduler

    struct Limits {
        u64 decisions_max = 0;  // 0: none. More than that is taken for a livelock.
        /// Whoever runs and could go on does so, save one decision in so many. 1: all are equal.
        u32 switch_one_in = 1;
        /// Asked before a deadlock or a livelock ends the program: true if it has done something
        /// about it.
        std::function<bool(const std::string& report)> on_deadlock;
    };

    Scheduler(Choice& choice, Limits limits);
    ~Scheduler();
    Scheduler(const Scheduler&) = delete;
    Scheduler& operator=(const Scheduler&) = delete;

    /// A point at which another one may run.
    void yield();
    /// Goes on once `ready` says so (true) or at `deadline` (false).
    bool block(const std::function<bool()>& ready, Reason reason, u64 deadline = for_ever);
    /// One turn of a spin loop.
    void relax();
    TaskId spawn(int process, std::string name, std::function<void()> body);
    void join(TaskId task);
    bool finished(TaskId task) const { return at(task).finished; }
    /// It waits for something that is not there yet.
    bool asleep(TaskId task) const {
        return at(task).ready != nullptr && !(*at(task).ready)() && at(task).deadline > now_;
    }
    /// Its fibers never run again; what is on their stacks is not destroyed. If the running one is
    /// among them, this does not return.
    void kill_process(int process);

    TaskId current() const { return current_; }
    /// The same, for whoever wants to know at any later moment.
    const TaskId& running() const { return current_; }
    int process_of(TaskId task) const { return at(task).process; }
    const std::string& name_of(TaskId task) const { return at(task).name; }
    u64 now_ns() const { return now_; }
    u64 decisions() const { return decisions_; }
    /// One line for each task that has not finished.
    std::string report() const;
    /// Called when a task has ended, before its fiber goes.
    std::function<void(TaskId)> on_finish;

private:
    struct Task {
        std::unique_ptr<Fiber> fiber;
        std::string name;
        int process = 0;
        bool finished = false;
        bool relaxed = false;  // spins, and has had its turn since anybody did something else
        bool spins = false;    // … at this moment in time, even if it is running just now
        const std::function<bool()>* ready = nullptr;  // blocked
        Reason reason;
        u64 deadline = for_ever;
    };
    const Task& at(TaskId task) const { return tasks_[static_cast<std::size_t>(task)]; }
    Task& at(TaskId task) { return tasks_[static_cast<std::size_t>(task)]; }
    bool runnable(const Task& task) const;
    void somebody_acts();
    void let_time_pass();
    void give_up(const std::string& report);
    TaskId choose();
    bool goes_on();
    void reschedule(bool for_good);
    void finish();

    Choice& choice_;
    Limits limits_;
    std::deque<Task> tasks_;  // a task keeps its place
    std::vector<TaskId> candidates_;
    std::vector<TaskId> ended_;  // their fibers go once somebody else runs
    TaskId current_ = 0;
    u64 now_ = 0;
    u64 decisions_ = 0;
    u32 relaxed_ = 0;  // tasks that are, at most: most of the time none is
};

}  // namespace verso::mm::sim
