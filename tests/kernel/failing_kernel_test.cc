// FailingKernel over a kernel that notes what reaches it.
#include "kernel/failing_kernel.h"

#include <algorithm>
#include <atomic>
#include <thread>

#include <gtest/gtest.h>

namespace verso::kernel {
namespace {

/// Says yes to everything, with the call's length as the value.
class NotingKernel final : public Kernel {
public:
    using Kernel::perform;
    Outcome perform(const Call& call, const Payload&) override {
        const std::lock_guard lock(guard);
        reached.push_back(call);
        return answer.ok() ? Outcome::done(static_cast<i64>(call.length)) : answer;
    }
    const Abilities& abilities() override { return known; }
    std::unique_ptr<Thread> spawn(const std::string&, std::function<void()> body) override {
        body();
        return std::make_unique<Thread>();
    }
    std::unique_ptr<Mutex> make_mutex() override { return nullptr; }
    std::unique_ptr<Condition> make_condition() override { return nullptr; }
    u64 now_ns() override { return 42; }
    void relax() override { ++relaxed; }

    std::mutex guard;
    std::vector<Call> reached;
    Outcome answer = Outcome::done();
    Abilities known = [] {
        Abilities abilities;
        abilities.userfaultfd = true;
        return abilities;
    }();
    int relaxed = 0;
};

constexpr Outcome no_memory{Verdict::no_memory, 12, 0, 0};

class Failing : public testing::Test {
protected:
    NotingKernel inner;
    FailingKernel kernel{inner};
};

TEST_F(Failing, WithoutAPlanIsTransparent) {
    EXPECT_EQ(kernel.perform(Call::unmap(0x1000, 0x2000)).value, 0x2000);
    EXPECT_EQ(inner.reached, std::vector<Call>{Call::unmap(0x1000, 0x2000)});
    EXPECT_TRUE(kernel.abilities().userfaultfd);
    EXPECT_EQ(kernel.now_ns(), 42U);
    kernel.relax();
    EXPECT_EQ(inner.relaxed, 1);
}

TEST_F(Failing, FailsExactlyTheNthCallWithoutPerformingIt) {
    kernel.fail({.nth = 2, .outcome = no_memory});
    EXPECT_TRUE(kernel.perform(Call::event_create()).ok());
    const Outcome second = kernel.perform(Call::memfd_create());
    EXPECT_TRUE(kernel.perform(Call::duplicate(1)).ok());
    EXPECT_EQ(second.verdict, Verdict::no_memory);
    EXPECT_EQ(second.error, 12);
    EXPECT_EQ(inner.reached, (std::vector{Call::event_create(), Call::duplicate(1)}));
    EXPECT_EQ(kernel.delivered(), 1U);
    EXPECT_EQ(kernel.victim(), Call::memfd_create());
}

TEST_F(Failing, CountsOnlyTheOpThatThePlanNames) {
    kernel.fail({.nth = 2, .outcome = no_memory, .only = Op::unmap});
    EXPECT_TRUE(kernel.perform(Call::unmap(0, 1)).ok());
    EXPECT_TRUE(kernel.perform(Call::event_create()).ok());
    EXPECT_FALSE(kernel.perform(Call::unmap(0, 2)).ok());
}

TEST_F(Failing, MayFailSeveralTimesInARow) {
    kernel.fail({.nth = 2, .outcome = no_memory, .times = 2});
    EXPECT_TRUE(kernel.perform(Call::event_create()).ok());
    EXPECT_FALSE(kernel.perform(Call::event_create()).ok());
    EXPECT_FALSE(kernel.perform(Call::event_create()).ok());
    EXPECT_TRUE(kernel.perform(Call::event_create()).ok());
}

TEST_F(Failing, APlanStartsCountingWhenItIsMade) {
    EXPECT_TRUE(kernel.perform(Call::event_create()).ok());
    kernel.fail({.nth = 1, .outcome = no_memory});
    EXPECT_FALSE(kernel.perform(Call::event_create()).ok());
}

TEST_F(Failing, StopsWhenTold) {
    kernel.fail({.nth = 1, .outcome = no_memory, .times = ~u64{0}});
    EXPECT_FALSE(kernel.perform(Call::event_create()).ok());
    kernel.stop_failing();
    EXPECT_TRUE(kernel.perform(Call::event_create()).ok());
}

// H31: a partial fill really fills what it says, and nothing more.
TEST_F(Failing, H31_PartialPerformsThePartItClaims) {
    kernel.fail({.nth = 1, .outcome = {Verdict::partial, 11, 4096, 0}});
    const Outcome outcome = kernel.perform(Call::uffd_copy(3, 0x10000, 0x3000, 0x50000, 0));
    EXPECT_EQ(outcome.verdict, Verdict::partial);
    EXPECT_EQ(outcome.value, 4096);
    EXPECT_EQ(inner.reached, std::vector{Call::uffd_copy(3, 0x10000, 0x1000, 0x50000, 0)});
}

TEST_F(Failing, H31_AFillOfOnePageIsNeverPartial) {
    kernel.fail({.nth = 1, .outcome = {Verdict::partial, 11, 4096, 0}});
    EXPECT_TRUE(kernel.perform(Call::uffd_copy(3, 0x10000, 0x1000, 0x50000, 0)).ok());
}

TEST_F(Failing, H31_WhatTheInnerKernelRefusesIsNotCalledPartial) {
    inner.answer = {Verdict::no_such_range, 2, 0, 0};
    kernel.fail({.nth = 1, .outcome = {Verdict::partial, 11, 4096, 0}});
    EXPECT_EQ(kernel.perform(Call::uffd_copy(3, 0x10000, 0x3000, 0x50000, 0)).verdict,
              Verdict::no_such_range);
}

TEST_F(Failing, RecordsCallsInOrderFailedOnesToo) {
    kernel.fail({.nth = 1, .outcome = no_memory});
    kernel.start_recording();
    static_cast<void>(kernel.perform(Call::memfd_create()));
    static_cast<void>(kernel.perform(Call::event_create()));
    EXPECT_EQ(kernel.stop_recording(), (std::vector{Call::memfd_create(), Call::event_create()}));
    static_cast<void>(kernel.perform(Call::event_create()));
    EXPECT_TRUE(kernel.stop_recording().empty());
}

TEST_F(Failing, CountsCallsInAllAndByOp) {
    static_cast<void>(kernel.perform(Call::memfd_create()));
    static_cast<void>(kernel.perform(Call::event_create()));
    static_cast<void>(kernel.perform(Call::event_create()));
    EXPECT_EQ(kernel.calls(), 3U);
    EXPECT_EQ(kernel.calls(Op::event_create), 2U);
    EXPECT_EQ(kernel.calls(Op::map), 0U);
}

TEST_F(Failing, TheHookMayHoldACallUpAndMakeCallsItself) {
    std::atomic<bool> held{false};
    std::atomic<bool> go{false};
    kernel.set_hook([&](const Call& call) {
        if (call.op == Op::memfd_create) {
            held = true;
            held.notify_all();
            go.wait(false);
        }
    });
    std::jthread caller([&] { static_cast<void>(kernel.perform(Call::memfd_create())); });
    held.wait(false);
    EXPECT_TRUE(kernel.perform(Call::event_create()).ok()) << "other calls pass meanwhile";
    EXPECT_EQ(inner.reached, std::vector{Call::event_create()});
    go = true;
    go.notify_all();
    caller.join();
    EXPECT_EQ(inner.reached, (std::vector{Call::event_create(), Call::memfd_create()}));
}

TEST_F(Failing, TheHookCanBeTakenOff) {
    int hooked = 0;
    kernel.set_hook([&](const Call&) { ++hooked; });
    static_cast<void>(kernel.perform(Call::event_create()));
    kernel.set_hook({});
    static_cast<void>(kernel.perform(Call::event_create()));
    EXPECT_EQ(hooked, 1);
}

TEST_F(Failing, AThreadCanFailToStart) {
    int ran = 0;
    kernel.fail_spawn(2);
    EXPECT_NE(kernel.spawn("first", [&] { ++ran; }), nullptr);
    EXPECT_EQ(kernel.spawn("second", [&] { ++ran; }), nullptr);
    EXPECT_NE(kernel.spawn("third", [&] { ++ran; }), nullptr);
    EXPECT_EQ(ran, 2);
    EXPECT_EQ(kernel.delivered(), 1U);
}

TEST_F(Failing, ManyThreadsGetTheOneFailureOnce) {
    kernel.fail({.nth = 500, .outcome = no_memory});
    std::atomic<int> failures{0};
    {
        std::vector<std::jthread> threads;
        for (int i = 0; i < 4; ++i) {
            threads.emplace_back([&] {
                for (int n = 0; n < 250; ++n) {
                    failures += kernel.perform(Call::event_create()).ok() ? 0 : 1;
                }
            });
        }
    }
    EXPECT_EQ(failures, 1);
    EXPECT_EQ(kernel.calls(), 1000U);
}

TEST(DocumentedFailures, AreFailuresEachOnce) {
    for (unsigned i = 0; i < op_count; ++i) {
        const Op op = static_cast<Op>(i);
        std::vector<std::string> texts;
        for (const Outcome& outcome : documented_failures(op)) {
            EXPECT_FALSE(outcome.ok()) << name_of(op);
            texts.push_back(to_string(outcome));
        }
        std::sort(texts.begin(), texts.end());
        EXPECT_EQ(std::adjacent_find(texts.begin(), texts.end()), texts.end()) << name_of(op);
    }
}

TEST(DocumentedFailures, EveryFillCanFindAPageThereOrALayoutInChangeOrStopHalfWay) {
    for (const Op op : {Op::uffd_copy, Op::uffd_zeropage, Op::uffd_continue, Op::uffd_poison}) {
        for (const Verdict verdict :
             {Verdict::exists, Verdict::layout_changing, Verdict::partial, Verdict::target_gone}) {
            const std::vector<Outcome>& answers = documented_failures(op);
            EXPECT_TRUE(std::any_of(answers.begin(), answers.end(),
                                    [&](const Outcome& o) { return o.verdict == verdict; }))
                << name_of(op) << " " << name_of(verdict);
        }
    }
}

TEST(FailingKernelDeathTest, APlanToSucceedIsABug) {
    NotingKernel inner;
    FailingKernel kernel(inner);
    EXPECT_DEATH(kernel.fail({.nth = 1, .outcome = Outcome::done()}),
                 "a failure that is a success");
}

}  // namespace
}  // namespace verso::kernel
