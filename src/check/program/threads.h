// The further threads of a program: who makes a call there, who sleeps in one, and who woke up.
//
//   begin(t1, store) ──▶ sleeps ──▶ "blocked" ─┐ settle() after each later step:
//                   └──▶ its outcome           └─▶ t1:blocked, t1:blocked, t1:done
//
// A program with messages makes the calls of its main thread that may sleep in a thread as well, so
// that somebody is left to read the messages: the thread "main", or of the child "child".
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "check/program/program.h"
#include "kernel/world.h"

namespace verso::check {

class Threads {
public:
    /// What a finished call comes to, in a word; it may note what the call brought.
    using Finish = std::function<std::string(const Step&, int process, const kernel::Outcome&)>;

    Threads(kernel::World& world, Finish finish) : world_(world), finish_(std::move(finish)) {}

    /// Before memory is laid out: a thread's stack would come to lie in the middle of it.
    Result<void> prepare(int process, u32 thread);
    /// Nothing to wait for if the step is one with "&": "begun".
    Result<std::string> begin(const Step& step, int process, const kernel::Call& call);
    /// Those that were under way, in words: "t1:blocked", "child.t2:done".
    std::vector<std::string> settle();
    /// A load by whichever thread of the process is free: contents in the end.
    Result<std::string> look(int process, const kernel::Call& load);
    /// All there are: their names and their numbers in the world.
    std::vector<std::pair<std::string, int>> names() const;
    /// Its threads are gone.
    void forget(int process);

private:
    struct Further {
        int process = 0;
        u32 number = 0;
        int in_world = -1;
        bool under_way = false;
        Step step{};
    };
    Result<Further*> find(int process, u32 number);
    Result<void> start(Further& thread, const Step& step, const kernel::Call& call);

    kernel::World& world_;
    const Finish finish_;
    std::vector<Further> all_;
};

/// May its main thread come to sleep?
bool has_sleepers(const Program& program);

}  // namespace verso::check
