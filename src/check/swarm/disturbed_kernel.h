// DisturbedKernel: the seam of one simulated process, with answers thrown in that a kernel may
// give: an EAGAIN, half of a fill, an interruption, a thread that is not scheduled for a while.
// What is drawn is drawn from the run's one Choice; nothing is drawn where the knobs say never.
//
//   engine ──Call──▶ DisturbedKernel ──▶ SimKernel
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "check/swarm/knobs.h"
#include "kernel/kernel.h"

namespace verso::check::swarm {

/// What was thrown in so far, in all processes: what may be excused.
struct Disturbance {
    bool calm = false;  // nothing any more
    u64 faults = 0;
    u64 lost = 0;     // pages may be: a store of bytes was refused
    u64 refused = 0;  // a verb may fail
};

class DisturbedKernel final : public kernel::Kernel {
public:
    DisturbedKernel(kernel::Kernel& inner, Choice& choice, const Knobs& knobs,
                    Disturbance& disturbance)
        : inner_(inner), choice_(choice), knobs_(knobs), done_(disturbance) {}

    /// Told of every call and what came of it.
    using Witness = std::function<void(const kernel::Call&, const kernel::Outcome&)>;
    void tell(Witness witness) { witness_ = std::move(witness); }

    /// Kills the process that calls; returns only if it may not die.
    void dies_by(std::function<void()> death) { death_ = std::move(death); }

    using Kernel::perform;
    kernel::Outcome perform(const kernel::Call& call, const kernel::Payload& payload) override;
    const kernel::Abilities& abilities() override { return inner_.abilities(); }
    std::unique_ptr<kernel::Thread> spawn(const std::string& name,
                                          std::function<void()> body) override {
        return inner_.spawn(name, std::move(body));
    }
    std::unique_ptr<kernel::Mutex> make_mutex() override { return inner_.make_mutex(); }
    std::unique_ptr<kernel::Condition> make_condition() override { return inner_.make_condition(); }
    u64 now_ns() override { return inner_.now_ns(); }
    void relax() override { inner_.relax(); }

private:
    bool strikes(Fault fault);
    kernel::Outcome answer(const kernel::Call& call, const kernel::Payload& payload);
    kernel::Outcome fill(const kernel::Call& call, const kernel::Payload& payload);

    kernel::Kernel& inner_;
    Choice& choice_;
    const Knobs& knobs_;
    Disturbance& done_;
    Witness witness_;
    std::function<void()> death_;
};

}  // namespace verso::check::swarm
