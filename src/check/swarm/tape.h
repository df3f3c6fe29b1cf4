// Tape: the Choice of one simulated run. It answers at random from a seed and writes down what it
// answered; or it plays such a list again, in which a shrinker may have changed anything. Where the
// list ends, the answer is 0, and whoever asks gives 0 the calmest meaning it has: the same task
// goes on, no fault is injected. So a shorter tape is a calmer run, and every list is a run.
#pragma once

#include <algorithm>
#include <atomic>
#include <span>
#include <utility>
#include <vector>

#include "base/choice.h"

namespace verso::check::swarm {

class Tape final : public Choice {
public:
    using Answers = std::vector<u32>;

    explicit Tape(u64 seed) : random_(seed) {}
    explicit Tape(Answers played) : random_(0), playing_(true), played_(std::move(played)) {}

    u32 choose(u32 n) override {
        VERSO_CHECK(n >= 1, "a choice among none");
        u32 answer = 0;
        if (!playing_) {
            answer = random_.choose(n);
        } else if (taken_.size() < played_.size()) {
            answer = std::min(played_[taken_.size()], n - 1);
        }
        if (taken_.size() < copy_.size()) {
            copy_[taken_.size()] = answer;
        }
        taken_.push_back(answer);
        if (count_ != nullptr) {
            count_->store(taken_.size(), std::memory_order_relaxed);
        }
        return answer;
    }
    /// What was answered so far.
    const Answers& taken() const { return taken_; }
    /// … also into this, where it outlives a run that crashes.
    void copy_to(std::span<u32> copy, std::atomic<u64>* count) {
        copy_ = copy;
        count_ = count;
    }

private:
    RandomChoice random_;
    bool playing_ = false;
    Answers played_;
    Answers taken_;
    std::span<u32> copy_;
    std::atomic<u64>* count_ = nullptr;
};

}  // namespace verso::check::swarm
