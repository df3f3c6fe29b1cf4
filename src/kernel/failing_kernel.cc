// Counting, recording, and the one answer that is not the inner kernel's.
#include "kernel/failing_kernel.h"

#include <algorithm>
#include <numeric>

#include "base/check.h"

namespace verso::kernel {

void FailingKernel::fail(const FailurePlan& plan) {
    VERSO_CHECK(plan.nth >= 1, "calls are counted from 1, not {}", plan.nth);
    VERSO_CHECK(!plan.outcome.ok(), "a failure that is a success: {}", to_string(plan.outcome));
    const std::lock_guard lock(guard_);
    plan_ = plan;
    seen_ = 0;
    delivered_ = 0;
    victim_.reset();
}

void FailingKernel::fail_spawn(u64 nth) {
    VERSO_CHECK(nth >= 1, "threads are counted from 1, not {}", nth);
    const std::lock_guard lock(guard_);
    spawns_left_ = nth;
    delivered_ = 0;
}

void FailingKernel::stop_failing() {
    const std::lock_guard lock(guard_);
    plan_.reset();
    spawns_left_ = 0;
}

u64 FailingKernel::delivered() const {
    const std::lock_guard lock(guard_);
    return delivered_;
}

std::optional<Call> FailingKernel::victim() const {
    const std::lock_guard lock(guard_);
    return victim_;
}

u64 FailingKernel::calls() const {
    const std::lock_guard lock(guard_);
    return std::accumulate(counts_.begin(), counts_.end(), u64{0});
}

u64 FailingKernel::calls(Op op) const {
    const std::lock_guard lock(guard_);
    return counts_[static_cast<std::size_t>(op)];
}

void FailingKernel::start_recording() {
    const std::lock_guard lock(guard_);
    recording_ = true;
    recorded_.clear();
}

std::vector<Call> FailingKernel::stop_recording() {
    const std::lock_guard lock(guard_);
    recording_ = false;
    return std::exchange(recorded_, {});
}

void FailingKernel::set_hook(Hook hook) {
    std::shared_ptr<const Hook> next =
        hook ? std::make_shared<const Hook>(std::move(hook)) : nullptr;
    const std::lock_guard lock(guard_);
    hook_ = std::move(next);
}

std::optional<Outcome> FailingKernel::note(const Call& call) {
    const std::lock_guard lock(guard_);
    ++counts_[static_cast<std::size_t>(call.op)];
    if (recording_) {
        recorded_.push_back(call);
    }
    if (!plan_ || (plan_->only && !plan_->only->has(call.op))) {
        return std::nullopt;
    }
    ++seen_;
    if (seen_ < plan_->nth || seen_ - plan_->nth >= plan_->times) {
        return std::nullopt;
    }
    ++delivered_;
    if (!victim_) {
        victim_ = call;
    }
    return plan_->outcome;
}

Outcome FailingKernel::perform(const Call& call, const Payload& payload) {
    std::shared_ptr<const Hook> hook;
    {
        const std::lock_guard lock(guard_);
        hook = hook_;
    }
    if (hook) {
        (*hook)(call);
    }
    const std::optional<Outcome> planned = note(call);
    if (!planned) {
        return inner_.perform(call, payload);
    }
    if (planned->verdict != Verdict::partial) {
        return *planned;
    }
    // A fill of one page cannot stop half way: it is performed whole, and answers for itself.
    Call shorter = call;
    shorter.length = std::min(static_cast<u64>(planned->value), call.length);
    const Outcome outcome = inner_.perform(shorter, payload);
    return outcome.ok() && shorter.length < call.length ? *planned : outcome;
}

std::unique_ptr<Thread> FailingKernel::spawn(const std::string& name, std::function<void()> body) {
    {
        const std::lock_guard lock(guard_);
        if (spawns_left_ > 0 && --spawns_left_ == 0) {
            ++delivered_;
            return nullptr;
        }
    }
    return inner_.spawn(name, std::move(body));
}

}  // namespace verso::kernel
