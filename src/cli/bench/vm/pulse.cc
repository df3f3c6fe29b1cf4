// The guest's own work, stamped: see the header. The log is looked at every millisecond, which a
// gap's figure may therefore be off by.
#include "cli/bench/vm/pulse.h"

#include <algorithm>
#include <array>
#include <string_view>

#include <fcntl.h>
#include <unistd.h>

#include "base/fd.h"
#include "cli/bench/harness/clock.h"
#include "vm/socket.h"

namespace verso::cli::bench {

Pulse::Pulse(std::string log) : log_(std::move(log)), follower_([this] { follow(); }) {}

Pulse::~Pulse() {
    over_.store(true);
    follower_.join();
}

void Pulse::follow() {
    // Why safe: reads a file.
    const Fd file(::open(log_.c_str(), O_RDONLY | O_CLOEXEC));
    off_t at = ::lseek(file.get(), 0, SEEK_END);
    std::string unread;
    std::array<char, 4096> some{};
    while (!over_.load()) {
        // Why safe: writes no further than the buffer's length.
        const ssize_t got = ::pread(file.get(), some.data(), some.size(), at);
        if (got <= 0) {
            vm::pause_ms(1);
            continue;
        }
        at += got;
        unread.append(some.data(), static_cast<std::size_t>(got));
        const u64 now = stamp_ns();
        std::size_t begin = 0;
        for (std::size_t end = unread.find('\n'); end != std::string::npos;
             end = unread.find('\n', begin)) {
            if (std::string_view(unread).substr(begin, end - begin).starts_with("work ")) {
                const std::scoped_lock lock(mutex_);
                stamps_.push_back(now);
            }
            begin = end + 1;
        }
        unread.erase(0, begin);
    }
}

Pulse::Window Pulse::between(u64 from_ns, u64 to_ns) {
    const std::scoped_lock lock(mutex_);
    Window window;
    u64 last = from_ns;
    u64 count = 0;
    u64 worst = 0;
    for (const u64 stamp : stamps_) {
        if (stamp < from_ns || stamp > to_ns) {
            continue;
        }
        worst = std::max(worst, stamp - last);
        last = stamp;
        ++count;
    }
    worst = std::max(worst, to_ns - last);
    window.per_second = static_cast<double>(count) * 1e9 / static_cast<double>(to_ns - from_ns);
    window.worst_gap_ns = static_cast<double>(worst);
    return window;
}

}  // namespace verso::cli::bench
