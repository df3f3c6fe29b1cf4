// Shrinking: from a program that shows something, the shortest that can be had by taking away. The
// question "does it still show it?" is the caller's; every program is asked about once.
//
// Passes, until none of them gets further: drop the steps behind the one that shows it; drop steps
// one by one and two by two, last first; simpler arguments (fewer mode bits, page 0, no value, not
// the other userfaultfd, not the child); fewer pages, fewer features. A step that is needed stays
// needed in smaller programs, mostly, so this ends after about 10 questions per step.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "check/program/program.h"

namespace verso::check {

class Shrinker {
public:
    using Question = std::function<bool(const Program&)>;
    struct Limits {
        unsigned questions_max = 400;
    };
    explicit Shrinker(Question still_shows) : Shrinker(std::move(still_shows), Limits{}) {}
    Shrinker(Question still_shows, Limits limits)
        : still_shows_(std::move(still_shows)), limits_(limits) {}

    /// `program` shows it. `last` is the step after which nothing matters.
    Program shrink(const Program& program, std::size_t last);
    unsigned questions() const { return asked_; }

private:
    bool shows(const Program& program);
    bool drop_steps(Program& program, std::size_t width);
    bool simplify_steps(Program& program);
    bool simplify_head(Program& program);
    bool adopt(Program& program, const Program& simpler);

    const Question still_shows_;
    const Limits limits_;
    std::map<std::string, bool> known_;
    unsigned asked_ = 0;
};

}  // namespace verso::check
