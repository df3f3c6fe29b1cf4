// Threads, locks and time.
#include <chrono>
#include <condition_variable>
#include <csignal>

#include <pthread.h>

#include "base/check.h"
#include "linux/linux_kernel.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace verso::host {
namespace {

/// The engine's threads live inside somebody else's program: none of its signals may land on them.
/// Faults stay open, because the kernel kills a thread that faults while its signal is blocked, and
/// a store into memory under mprotect is meant to reach our handler.
class SignalsBlocked {
public:
    SignalsBlocked() {
        sigset_t set;
        ::sigfillset(&set);
        for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP}) {
            ::sigdelset(&set, fault);
        }
        // Why safe: changes this thread's mask only, and the destructor puts it back.
        ::pthread_sigmask(SIG_SETMASK, &set, &before_);
    }
    ~SignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
    SignalsBlocked(const SignalsBlocked&) = delete;
    SignalsBlocked& operator=(const SignalsBlocked&) = delete;

private:
    sigset_t before_{};
};

// pthread_create and not std::thread: the latter throws where there are too many threads.
class LinuxThread final : public kernel::Thread {
public:
    LinuxThread(const std::string& name, std::function<void()> body)
        : name_(name.substr(0, name_max)), body_(std::move(body)) {}
    LinuxThread(const LinuxThread&) = delete;
    LinuxThread& operator=(const LinuxThread&) = delete;
    ~LinuxThread() override {
        if (started_) {
            const int error = ::pthread_join(thread_, nullptr);
            VERSO_CHECK(error == 0, "thread {} joins itself: errno {}", name_, error);
        }
    }
    bool start() {
        const SignalsBlocked inherited;
        // Why safe: this object outlives the thread, because its destructor joins it.
        started_ = ::pthread_create(&thread_, nullptr, &LinuxThread::run, this) == 0;
        return started_;
    }

private:
    static constexpr std::size_t name_max = 15;
    static void* run(void* self) {
        LinuxThread& thread = *static_cast<LinuxThread*>(self);
        ::pthread_setname_np(::pthread_self(), thread.name_.c_str());
        thread.body_();
        return nullptr;
    }

    const std::string name_;
    const std::function<void()> body_;
    pthread_t thread_{};
    bool started_ = false;
};

class LinuxMutex final : public kernel::Mutex {
public:
    void lock() override { mutex_.lock(); }
    void unlock() override { mutex_.unlock(); }
    std::mutex& native() { return mutex_; }

private:
    std::mutex mutex_;
};

class LinuxCondition final : public kernel::Condition {
public:
    void wait(kernel::Mutex& held) override {
        std::unique_lock lock(native(held), std::adopt_lock);
        condition_.wait(lock);
        lock.release();  // still locked, and the caller's again
    }
    bool wait_for(kernel::Mutex& held, u64 timeout_ns) override {
        // A year: the sum with now() must not overflow.
        constexpr u64 longest_ns = u64{365} * 86'400 * 1'000'000'000;
        std::unique_lock lock(native(held), std::adopt_lock);
        const std::cv_status status = condition_.wait_for(
            lock, std::chrono::nanoseconds(static_cast<i64>(std::min(timeout_ns, longest_ns))));
        lock.release();
        return status == std::cv_status::no_timeout;
    }
    void notify_all() override { condition_.notify_all(); }

private:
    static std::mutex& native(kernel::Mutex& mutex) {
        return static_cast<LinuxMutex&>(mutex).native();  // one kernel makes both
    }
    std::condition_variable condition_;
};
}  // namespace

std::unique_ptr<kernel::Thread> LinuxKernel::spawn(const std::string& name,
                                                   std::function<void()> body) {
    std::unique_ptr<LinuxThread> thread = std::make_unique<LinuxThread>(name, std::move(body));
    if (!thread->start()) {
        return nullptr;
    }
    return thread;
}

std::unique_ptr<kernel::Mutex> LinuxKernel::make_mutex() { return std::make_unique<LinuxMutex>(); }

std::unique_ptr<kernel::Condition> LinuxKernel::make_condition() {
    return std::make_unique<LinuxCondition>();
}

u64 LinuxKernel::now_ns() {
    return static_cast<u64>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                std::chrono::steady_clock::now().time_since_epoch())
                                .count());
}

void LinuxKernel::relax() {
#if defined(__x86_64__)
    _mm_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

}  // namespace verso::host
