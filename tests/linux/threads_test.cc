// Threads, locks and time of the real kernel.
#include <array>
#include <atomic>
#include <csignal>
#include <string>

#include <pthread.h>

#include "linux/linux_test.h"

namespace verso::host {
namespace {

TEST(LinuxThread, RunsUnderItsNameAndIsJoinedByItsOwner) {
    std::string name;
    {
        const auto thread = linux_kernel().spawn("verso-a-name-too-long", [&] {
            std::array<char, 16> text{};
            ::pthread_getname_np(::pthread_self(), text.data(), text.size());
            name = text.data();
        });
    }
    EXPECT_EQ(name, "verso-a-name-to");
}

TEST(LinuxThread, TakesNoSignalsButItsOwnFaults) {
    std::atomic<bool> term{false};
    std::atomic<bool> segv{true};
    {
        const auto thread = linux_kernel().spawn("signals", [&] {
            sigset_t mask;
            ::pthread_sigmask(SIG_SETMASK, nullptr, &mask);
            term = ::sigismember(&mask, SIGTERM) == 1;
            segv = ::sigismember(&mask, SIGSEGV) == 1;
        });
    }
    EXPECT_TRUE(term);
    EXPECT_FALSE(segv);
    sigset_t ours;
    ::pthread_sigmask(SIG_SETMASK, nullptr, &ours);
    EXPECT_EQ(::sigismember(&ours, SIGTERM), 0) << "the spawning thread keeps its own mask";
}

TEST(LinuxCondition, WakesAWaiterThatHoldsTheLockAgain) {
    const auto mutex = linux_kernel().make_mutex();
    const auto condition = linux_kernel().make_condition();
    bool told = false;
    bool seen = false;
    {
        const auto waiter = linux_kernel().spawn("waiter", [&] {
            mutex->lock();
            while (!told) {
                condition->wait(*mutex);
            }
            seen = true;
            mutex->unlock();
        });
        mutex->lock();
        told = true;
        condition->notify_all();
        mutex->unlock();
    }
    EXPECT_TRUE(seen);
}

TEST(LinuxCondition, SaysWhenTheTimeRanOutAndHoldsTheLock) {
    const auto mutex = linux_kernel().make_mutex();
    const auto condition = linux_kernel().make_condition();
    mutex->lock();
    bool in_time = true;
    while (in_time) {  // a wake-up without reason is allowed
        in_time = condition->wait_for(*mutex, 1000);
    }
    mutex->unlock();
    EXPECT_FALSE(in_time);
}

TEST(LinuxCondition, ForEverIsATimeThatDoesNotOverflow) {
    const auto mutex = linux_kernel().make_mutex();
    const auto condition = linux_kernel().make_condition();
    bool told = false;
    bool ran_out = false;
    {
        const auto waiter = linux_kernel().spawn("waiter", [&] {
            mutex->lock();
            while (!told && !ran_out) {
                ran_out = !condition->wait_for(*mutex, ~u64{0});
            }
            mutex->unlock();
        });
        mutex->lock();
        told = true;
        condition->notify_all();
        mutex->unlock();
    }
    EXPECT_FALSE(ran_out);
}

TEST(LinuxTime, NeverRunsBackwards) {
    u64 last = linux_kernel().now_ns();
    for (int i = 0; i < 1000; ++i) {
        linux_kernel().relax();
        const u64 now = linux_kernel().now_ns();
        ASSERT_GE(now, last);
        last = now;
    }
}

}  // namespace
}  // namespace verso::host
