// FailingKernel: another Kernel with one call made to fail. A test runs a verb with n = 1, 2, 3, …
// until nothing fails any more, and so walks every failure point of the verb, with every answer
// that the kernel documents for the call met there:
//
//   engine ──Call──▶ FailingKernel ──▶ inner      n-th call: the planned Outcome, nothing performed
//                      │ hook, count, record           all others: as if it were not there
//
// One outcome cannot be had by doing nothing: `partial` claims that bytes were filled. So the call
// is performed with that length, and the answer is partial only if it succeeded. Locks: one of its
// own, a leaf, never held while the inner kernel or the hook runs.
#pragma once

#include <array>
#include <bitset>
#include <functional>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "kernel/kernel.h"

namespace verso::kernel {

/// What the manual pages and the kernel's source know as answers to this call, other than success
/// and other than answers to bugs of the caller (EBADF). Empty for those that cannot fail.
const std::vector<Outcome>& documented_failures(Op op);

/// Some of the calls: OpSet{Op::file_write, Op::uffd_copy}; one converts by itself.
class OpSet {
public:
    OpSet(Op op) { ops_.set(static_cast<std::size_t>(op)); }  // NOLINT(google-explicit-constructor)
    OpSet(std::initializer_list<Op> ops) {
        for (const Op op : ops) {
            ops_.set(static_cast<std::size_t>(op));
        }
    }
    bool has(Op op) const { return ops_.test(static_cast<std::size_t>(op)); }

private:
    std::bitset<op_count> ops_;
};

struct FailurePlan {
    u64 nth = 1;        // of the calls that count, from 1, beginning when the plan is made
    Outcome outcome{};  // what it answers
    std::optional<OpSet> only = std::nullopt;  // if set, other calls do not count
    u64 times = 1;                             // this many calls that count fail in a row
};

class FailingKernel final : public Kernel {
public:
    using Hook = std::function<void(const Call&)>;

    explicit FailingKernel(Kernel& inner) : inner_(inner) {}

    void fail(const FailurePlan& plan);
    /// The n-th thread from now on cannot be had (spawn answers nullptr).
    void fail_spawn(u64 nth);
    void stop_failing();
    /// How many failures were delivered since the last fail() or fail_spawn().
    u64 delivered() const;
    /// The first call that failed since then.
    std::optional<Call> victim() const;

    u64 calls() const;
    u64 calls(Op op) const;
    void start_recording();
    std::vector<Call> stop_recording();
    /// Runs before each call, on the calling thread, which it may hold up. Empty: none.
    void set_hook(Hook hook);

    using Kernel::perform;
    Outcome perform(const Call& call, const Payload& payload) override;
    const Abilities& abilities() override { return inner_.abilities(); }
    std::unique_ptr<Thread> spawn(const std::string& name, std::function<void()> body) override;
    std::unique_ptr<Mutex> make_mutex() override { return inner_.make_mutex(); }
    std::unique_ptr<Condition> make_condition() override { return inner_.make_condition(); }
    u64 now_ns() override { return inner_.now_ns(); }
    void relax() override { inner_.relax(); }

private:
    /// Counts the call; the outcome it must have, if it must fail.
    std::optional<Outcome> note(const Call& call);

    Kernel& inner_;
    mutable std::mutex guard_;  // of all below
    std::optional<FailurePlan> plan_;
    u64 seen_ = 0;         // calls that counted since the plan was made
    u64 spawns_left_ = 0;  // until one fails; 0: none does
    u64 delivered_ = 0;
    std::optional<Call> victim_;
    std::array<u64, op_count> counts_{};
    bool recording_ = false;
    std::vector<Call> recorded_;
    std::shared_ptr<const Hook> hook_;
};

}  // namespace verso::kernel
