// Runtime: what the regions of one process share: the kernel, the count of regions, and the
// servers of exported children. A server thread keeps its region alive until its child has gone; a
// reaper thread takes finished servers down, because the last user of a region must not be the
// thread that serves it.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <vector>

#include "base/result.h"
#include "kernel/kernel.h"

namespace verso::engine {

class Runtime {
public:
    explicit Runtime(kernel::Kernel& kernel);
    ~Runtime();
    Runtime(const Runtime&) = delete;
    Runtime& operator=(const Runtime&) = delete;

    kernel::Kernel& kernel() { return kernel_; }

    /// Counts a region in (or refuses: Limits::regions_max); the token counts it out.
    class Seat {
    public:
        Seat() = default;
        explicit Seat(Runtime& runtime) : runtime_(&runtime) {}
        Seat(Seat&& other) noexcept : runtime_(std::exchange(other.runtime_, nullptr)) {}
        Seat& operator=(Seat&&) = delete;
        ~Seat() {
            if (runtime_ != nullptr) {
                runtime_->regions_.fetch_sub(1);
            }
        }

    private:
        Runtime* runtime_ = nullptr;
    };
    Result<Seat> seat();

    /// Runs `body` on a thread of its own and takes it down, with all it holds, some time after it
    /// returned. `stop` is signalled when the runtime ends first.
    struct Service {
        virtual ~Service() = default;
        virtual void run() = 0;
        virtual void stop() = 0;
    };
    Result<void> start(const std::string& name, std::unique_ptr<Service> service);
    /// How many services are still running (tests wait for children to be noticed as gone).
    std::size_t services();

private:
    struct Running {
        std::unique_ptr<Service> service;
        std::unique_ptr<kernel::Thread> thread;
        bool finished = false;
    };
    void reap();

    kernel::Kernel& kernel_;
    std::atomic<u64> regions_{0};
    std::unique_ptr<kernel::Mutex> mutex_;
    std::unique_ptr<kernel::Condition> changed_;
    std::vector<std::shared_ptr<Running>> running_;  // guarded by mutex_
    bool ending_ = false;                            // guarded by mutex_
    std::unique_ptr<kernel::Thread> reaper_;  // guarded by mutex_; started by the first service
};

}  // namespace verso::engine
