// Random programs for the model: a machine of some shape, and one call after the other over the
// whole vocabulary. Everything comes from a Choice, so that a seed, a fuzzer's bytes or a list of
// answers replays the same program. Arguments are mostly such that something happens; now and then
// they are anything.
#pragma once

#include <span>
#include <string>

#include "base/choice.h"
#include "mm/call.h"

namespace verso::mm {

/// One byte for each answer; the first answer when they have run out: a fuzzer's input, a seed.
class ByteChoice final : public Choice {
public:
    explicit ByteChoice(std::span<const u8> bytes) : left_(bytes) {}
    u32 choose(u32 n) override {
        if (left_.empty()) {
            return 0;
        }
        const u32 answer = left_.front() % n;
        left_ = left_.subspan(1);
        return answer;
    }
    bool any() const { return !left_.empty(); }

private:
    std::span<const u8> left_;
};

/// Switched on: one or two threads, little or much memory, one or two nodes, huge pages of two.
State random_machine(Choice& choice);
/// The next step. It need not be possible.
Call random_call(const State& state, Choice& choice);
/// A line about a step, with every argument, and without its end.
std::string line_of(const Call& call, const Outcome& outcome);

}  // namespace verso::mm
