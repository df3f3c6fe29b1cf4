// A runtime whose kernel can be made to fail, to lack things, or to be held up at a chosen call.
#pragma once

#include <condition_variable>
#include <csignal>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "api/api.h"
#include "kernel/failing_kernel.h"
#include "linux/linux_kernel.h"
#include "support/backends.h"
#include "support/needs.h"

namespace verso::test {

/// Owns region handles' runtime: declare it before them.
struct Hooked {
    explicit Hooked(const host::Mask& mask = {}) : host(mask) {}
    Result<Region> create(u64 pages, Tracking tracking = Tracking::contents,
                          Backend backend = Backend::automatic) {
        Result<std::shared_ptr<engine::Region>> made = engine::Region::create(
            runtime, {.size = to_bytes(pages), .tracking = tracking, .backend = backend});
        if (!made) {
            return tl::unexpected<Error>(made.error());
        }
        return wrap(std::move(*made));
    }
    host::LinuxKernel host;
    kernel::FailingKernel kernel{host};
    engine::Runtime runtime{kernel};
};

/// A source at version 0, its snapshot, and a child of that.
struct Family {
    std::optional<Region> source;
    std::optional<Snapshot> moment;
    std::optional<Region> child;

    void make(Hooked& hooked, u64 pages, u64 seed) {
        Result<Region> made = hooked.create(pages);
        VERSO_ASSERT_OK(made);
        source = std::move(*made);
        write_all(source->bytes(), seed, 0);
        Result<Snapshot> taken = source->snapshot();
        VERSO_ASSERT_OK(taken);
        moment = std::move(*taken);
        Result<Region> forked = moment->fork();
        VERSO_ASSERT_OK(forked);
        child = std::move(*forked);
    }
};

/// While it lives, loads of lost pages are expected to raise SIGSEGV.
class LostIsSegv {
public:
    LostIsSegv() {
        (void)::sigaction(SIGSEGV, nullptr, &before_);
        lost_is_segv.store(true);
    }
    ~LostIsSegv() {
        lost_is_segv.store(false);
        (void)::sigaction(SIGSEGV, &before_, nullptr);
    }
    LostIsSegv(const LostIsSegv&) = delete;
    LostIsSegv& operator=(const LostIsSegv&) = delete;

private:
    struct sigaction before_ {};
};

/// Of tests that are made with UFFDIO_POISON and without.
inline std::string kernel_name(const testing::TestParamInfo<bool>& info) {
    return info.param ? "WithPoison" : "BeforeLinux66";
}

/// Holds up the first call that matches, until it is let go.
class Gate {
public:
    template <class Match>
    Gate(kernel::FailingKernel& kernel, Match match) : kernel_(kernel) {
        kernel_.set_hook([this, match](const kernel::Call& call) {
            if (!match(call)) {
                return;
            }
            std::unique_lock lock(mutex_);
            if (arrived_) {
                return;
            }
            arrived_ = true;
            changed_.notify_all();
            changed_.wait(lock, [this] { return open_; });
        });
    }
    ~Gate() {
        open();
        kernel_.set_hook({});
    }
    Gate(const Gate&) = delete;
    Gate& operator=(const Gate&) = delete;
    void wait_for_arrival() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return arrived_; });
    }
    void open() {
        const std::lock_guard lock(mutex_);
        open_ = true;
        changed_.notify_all();
    }

private:
    kernel::FailingKernel& kernel_;
    std::mutex mutex_;
    std::condition_variable changed_;
    bool arrived_ = false;
    bool open_ = false;
};

inline bool holds(std::span<const std::byte> bytes, u64 seed, u64 version) {
    return tally(bytes, seed, version).right == to_pages(bytes.size());
}

}  // namespace verso::test
