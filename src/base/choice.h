// Choice: the one source of everything that could go either way. Whoever simulates asks choose(n)
// for a number below n; a generator answers at random, an enumerator goes through all answers in
// turn, a replay gives back a list. So a random run, an exhaustive search and a replay share their
// code.
#pragma once

#include <vector>

#include "base/check.h"
#include "base/types.h"

namespace verso {

class Choice {
public:
    virtual ~Choice() = default;
    /// A number in [0, n), n ≥ 1.
    virtual u32 choose(u32 n) = 0;
    bool coin() { return choose(2) == 1; }
};

/// Always the first: what happens when nothing unusual does.
class FirstChoice final : public Choice {
public:
    u32 choose(u32) override { return 0; }
};

/// Goes through every sequence of answers, the first ones last:
///   Enumerator every; do { run(every); } while (every.next());
class Enumerator final : public Choice {
public:
    u32 choose(u32 n) override {
        VERSO_CHECK(n >= 1, "a choice among none");
        if (at_ == taken_.size()) {
            taken_.push_back({0, n});
        }
        VERSO_CHECK(taken_[at_].limit == n, "the run is not repeatable: {} answers were {}", n,
                    taken_[at_].limit);
        return taken_[at_++].answer;
    }
    /// False: there was no other sequence.
    bool next() {
        at_ = 0;
        while (!taken_.empty()) {
            if (++taken_.back().answer < taken_.back().limit) {
                return true;
            }
            taken_.pop_back();
        }
        return false;
    }

private:
    struct Taken {
        u32 answer;
        u32 limit;
    };
    std::vector<Taken> taken_;
    std::size_t at_ = 0;
};

/// Pseudo-random, the same on every machine (SplitMix64).
class RandomChoice final : public Choice {
public:
    explicit RandomChoice(u64 seed) : state_(seed) {}
    u32 choose(u32 n) override {
        VERSO_CHECK(n >= 1, "a choice among none");
        state_ += 0x9e3779b97f4a7c15;
        u64 mixed = state_;
        mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
        mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
        return static_cast<u32>((mixed ^ (mixed >> 31)) % n);
    }

private:
    u64 state_;
};

}  // namespace verso
