// Sweeper: a second thread that captures for a region while its writers are held up by faults.
//
//   reader thread   fault ▸ capture, release   fault ▸ capture, release   …   one word at a time
//   sweeper           ·         ▸ chunk 7, word by word ────────▸ chunk 9 …   no fault at all
//
// A page that waits for its own fault costs its writer 9 to 20 µs, a page that is swept costs the
// sweeper 2 µs, and while a writer waits a processor is free. Which chunks are worth it the region
// decides (ahead.cc). The thread starts with the first of them: a region that is written
// here and there never has one. If no thread can be had, faults go on being served one by one.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "base/types.h"
#include "kernel/kernel.h"

namespace verso::engine {

class Sweeper {
public:
    /// `step` does a part of a chunk's work (up to 130 µs) and returns whether more is left.
    Sweeper(kernel::Kernel& kernel, std::function<bool(u64 chunk)> step)
        : kernel_(kernel),
          step_(std::move(step)),
          mutex_(kernel.make_mutex()),
          changed_(kernel.make_condition()) {}
    ~Sweeper() { stop(); }
    Sweeper(const Sweeper&) = delete;
    Sweeper& operator=(const Sweeper&) = delete;

    /// Any thread. Called with the chunk's stripe held: waits for nothing that the sweeper does.
    void add(u64 chunk);
    /// Returns when no step is being done; none is done afterwards.
    void stop();

private:
    void run();

    kernel::Kernel& kernel_;
    std::function<bool(u64)> step_;
    std::unique_ptr<kernel::Mutex> mutex_;
    std::unique_ptr<kernel::Condition> changed_;
    std::vector<u64> chunks_;  // latest last; guarded by mutex_, as is all below
    bool ended_ = false;
    bool refused_ = false;  // no thread could be had
    std::unique_ptr<kernel::Thread> thread_;
};

}  // namespace verso::engine
