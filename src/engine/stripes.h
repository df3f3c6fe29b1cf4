// The page locks of one region: 64 mutexes, each for every 64th chunk of 512 pages.
//
// What a stripe guards, for the pages of its chunks: the `open` and `exposed` bits, the captured
// bits of all layers, and the protect / release / fill calls that go with them. The list of layers
// changes only with all stripes held, so one stripe is enough to read it. 64 locks cost 1.3 µs to
// take when nobody contends, against 7–15 ms for the protection pass they enclose.
#pragma once

#include <array>
#include <memory>

#include "base/types.h"
#include "kernel/kernel.h"

namespace verso::engine {

class Stripes {
public:
    static constexpr u64 chunk_pages = 512;  // 2 MiB: one page table
    static constexpr u64 count = 64;

    explicit Stripes(kernel::Kernel& kernel) {
        for (std::unique_ptr<kernel::Mutex>& mutex : mutexes_) {
            mutex = kernel.make_mutex();
        }
    }

    static u64 chunk_of(u64 page) { return page / chunk_pages; }

    class One {
    public:
        One(Stripes& stripes, u64 page) : mutex_(*stripes.mutexes_[chunk_of(page) % count]) {
            mutex_.lock();
        }
        ~One() { mutex_.unlock(); }
        One(const One&) = delete;
        One& operator=(const One&) = delete;

    private:
        kernel::Mutex& mutex_;
    };

    class All {
    public:
        explicit All(Stripes& stripes) : stripes_(stripes) {
            for (std::unique_ptr<kernel::Mutex>& mutex : stripes_.mutexes_) {
                mutex->lock();
            }
        }
        ~All() {
            for (std::unique_ptr<kernel::Mutex>& mutex : stripes_.mutexes_) {
                mutex->unlock();
            }
        }
        All(const All&) = delete;
        All& operator=(const All&) = delete;

    private:
        Stripes& stripes_;
    };

private:
    std::array<std::unique_ptr<kernel::Mutex>, count> mutexes_;
};

/// A kernel::Mutex for a scope.
class Locked {
public:
    explicit Locked(kernel::Mutex& mutex) : mutex_(mutex) { mutex_.lock(); }
    ~Locked() { mutex_.unlock(); }
    Locked(const Locked&) = delete;
    Locked& operator=(const Locked&) = delete;

private:
    kernel::Mutex& mutex_;
};

}  // namespace verso::engine
