// The guest's own work as this machine's clock sees it: each round of its worker is a line on its
// console, stamped when it arrives in the log. What the guest's clock says would not do: that
// stands still with the guest.
#pragma once

#include <atomic>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/types.h"

namespace verso::cli::bench {

class Pulse {
public:
    /// From what `log` has now on.
    explicit Pulse(std::string log);
    ~Pulse();
    Pulse(const Pulse&) = delete;
    Pulse& operator=(const Pulse&) = delete;

    struct Window {
        double per_second = 0;
        double worst_gap_ns = 0;  // between two rounds, or up to the window's ends
    };
    Window between(u64 from_ns, u64 to_ns);

private:
    void follow();

    std::string log_;
    std::atomic<bool> over_{false};
    std::mutex mutex_;  // of stamps_
    std::vector<u64> stamps_;
    std::thread follower_;
};

}  // namespace verso::cli::bench
