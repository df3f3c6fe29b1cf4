// Threads, locks and time of simulated processes, and what the simulated kernel can do.
#include "abi/abi.h"
#include "mm/sim/sim_world.h"

namespace verso::mm::sim {
namespace {

class SimThread final : public kernel::Thread {
public:
    SimThread(Scheduler& scheduler, Scheduler::TaskId task) : scheduler_(scheduler), task_(task) {}
    ~SimThread() override { scheduler_.join(task_); }
    SimThread(const SimThread&) = delete;
    SimThread& operator=(const SimThread&) = delete;

private:
    Scheduler& scheduler_;
    Scheduler::TaskId task_;
};

constexpr Scheduler::TaskId unlocked = -1;

class SimMutex final : public kernel::Mutex {
public:
    explicit SimMutex(Scheduler& scheduler) : scheduler_(scheduler) {}
    void lock() override {
        scheduler_.yield();
        take();
    }
    void take() {
        if (holder_ != unlocked) {
            scheduler_.block([this] { return holder_ == unlocked; }, {"a lock", 0, holder_});
        }
        holder_ = scheduler_.current();
    }
    void unlock() override {
        VERSO_CHECK(holder_ == scheduler_.current(), "unlocked by {}, locked by {}",
                    scheduler_.current(), holder_);
        holder_ = unlocked;
    }

private:
    Scheduler& scheduler_;
    Scheduler::TaskId holder_ = unlocked;
};

class SimCondition final : public kernel::Condition {
public:
    explicit SimCondition(Scheduler& scheduler) : scheduler_(scheduler) {}
    void wait(kernel::Mutex& held) override { sleep(held, Scheduler::for_ever); }
    bool wait_for(kernel::Mutex& held, u64 timeout_ns) override {
        const u64 now = scheduler_.now_ns();
        const u64 longest = Scheduler::for_ever - 1 - now;
        return sleep(held, now + std::min(timeout_ns, longest));
    }
    void notify_all() override { ++notified_; }

private:
    bool sleep(kernel::Mutex& held, u64 deadline) {
        SimMutex& mutex = static_cast<SimMutex&>(held);  // one kernel makes both
        const u64 seen = notified_;
        mutex.unlock();
        const bool told =
            scheduler_.block([this, seen] { return notified_ != seen; }, {"a condition"}, deadline);
        mutex.take();
        return told;
    }

    Scheduler& scheduler_;
    u64 notified_ = 0;
};

}  // namespace

/// Never nullptr: a simulated machine has room for as many threads as its Shape says.
std::unique_ptr<kernel::Thread> SimKernel::spawn(const std::string& name,
                                                 std::function<void()> body) {
    const Scheduler::TaskId task = scheduler().spawn(process_, name, std::move(body));
    return std::make_unique<SimThread>(scheduler(), task);
}

std::unique_ptr<kernel::Mutex> SimKernel::make_mutex() {
    return std::make_unique<SimMutex>(scheduler());
}

std::unique_ptr<kernel::Condition> SimKernel::make_condition() {
    return std::make_unique<SimCondition>(scheduler());
}

u64 SimKernel::now_ns() { return scheduler().now_ns(); }

void SimKernel::relax() { scheduler().relax(); }

/// What linux/probe.cc finds out by trying, the rules say outright; the features are asked of the
/// model's own handshake.
const kernel::Abilities& SimKernel::abilities() {
    if (abilities_) {
        return *abilities_;
    }
    const Rules& rules = world_.rules();
    kernel::Abilities can;
    const kernel::Outcome opened = uffd_create(!world_.privileged());
    can.userfaultfd = opened.ok();
    can.pagemap_scan = rules.has_wp_async;
    if (!opened.ok()) {
        can.why_no_userfaultfd = "the simulated kernel has no userfaultfd left to give";
        return abilities_.emplace(std::move(can));
    }
    const int number = static_cast<int>(opened.value);
    const kernel::Outcome api = uffd_api(kernel::Call::uffd_api(number, abi::uffd_api_version, 0));
    descriptors().close(process_, number);
    using abi::Feature;
    can.uffd_features = api.ok() ? static_cast<u64>(api.value) : 0;
    can.user_mode_only = !world_.privileged();
    can.write_protect_shmem = rules.has_wp_shmem;
    can.wp_unpopulated = (can.uffd_features & Feature::wp_unpopulated) != 0;
    can.wp_async = rules.has_wp_async && rules.has_wp_shmem;
    can.minor_shmem = (can.uffd_features & Feature::minor_shmem) != 0;
    can.continue_private = can.minor_shmem;
    can.poison = rules.has_poison;
    can.layout_events = (can.uffd_features & Feature::layout_events) == Feature::layout_events;
    return abilities_.emplace(std::move(can));
}

}  // namespace verso::mm::sim
