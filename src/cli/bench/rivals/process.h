// A second process: this program again (/proc/self/exe), started by its hidden verb with two
// sockets. posix_spawn, not fork(2): a fork would copy the page tables of every protected region
// first.
//
//   descriptor 3  the socket a child region is imported through
//   descriptor 4  orders and answers (fixed-size Messages)
#pragma once

#include <string>
#include <vector>

#include <sys/types.h>

#include "base/fd.h"
#include "base/result.h"
#include "base/types.h"

namespace verso::cli::bench {

/// One order to a child process or one answer from it.
struct Message {
    char what = 0;  // see bench_child.cc
    u64 a = 0;
    u64 b = 0;
};
bool send_message(int socket, const Message& message);
/// False once the other side is gone or has kept silent for a minute.
bool receive_message(int socket, Message& message);

class ChildProcess {
public:
    static constexpr int import_fd = 3;
    static constexpr int orders_fd = 4;

    static Result<ChildProcess> start(const std::vector<std::string>& arguments);
    ChildProcess(ChildProcess&& other) noexcept;
    ChildProcess& operator=(ChildProcess&&) = delete;
    ~ChildProcess();  // killed and reaped

    pid_t pid() const { return pid_; }
    int export_socket() const { return region_.get(); }
    /// Sends an order and waits for its answer.
    Result<Message> ask(const Message& order) const;
    Result<Message> receive() const;

private:
    ChildProcess(pid_t pid, Fd region, Fd orders)
        : pid_(pid), region_(std::move(region)), orders_(std::move(orders)) {}
    pid_t pid_;
    Fd region_;
    Fd orders_;
};

}  // namespace verso::cli::bench
