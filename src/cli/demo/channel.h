// How the demo's processes talk: SOCK_SEQPACKET pairs, one trivially copyable struct per packet,
// strictly question and answer. Both ends run the same binary, so there is nothing to encode; a
// packet of another size than expected means that the other side is not what we think it is.
#pragma once

#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <sys/types.h>

#include "base/fd.h"
#include "base/types.h"
#include "verso/verso.hpp"

namespace verso::cli {

/// Longer than any answer takes on a machine that is alive: integrity_check under a sanitizer.
inline constexpr int answer_timeout_ms = 600'000;

class Channel {
public:
    Channel() = default;
    explicit Channel(Fd socket) : socket_(std::move(socket)) {}
    static Result<std::pair<Channel, Channel>> pair();

    template <class T>
    Result<void> send(const T& packet) {
        static_assert(std::is_trivially_copyable_v<T>);
        return send_bytes(std::as_bytes(std::span(&packet, 1)));
    }
    /// ErrorKind::peer if the other side has gone.
    template <class T>
    Result<T> receive(int timeout_ms = answer_timeout_ms) {
        static_assert(std::is_trivially_copyable_v<T>);
        T packet{};
        if (auto got = receive_bytes(std::as_writable_bytes(std::span(&packet, 1)), timeout_ms);
            !got) {
            return tl::unexpected<Error>(got.error());
        }
        return packet;
    }

    int fd() const { return socket_.get(); }
    bool valid() const { return socket_.valid(); }
    void close() { socket_.reset(); }

private:
    Result<void> send_bytes(std::span<const std::byte> packet);
    Result<void> receive_bytes(std::span<std::byte> packet, int timeout_ms);

    Fd socket_;
};

/// A process of ours. Whoever destroys it without wait() kills it: no child outlives a failed demo.
class Process {
public:
    Process() = default;
    explicit Process(pid_t pid) : pid_(pid) {}
    Process(Process&& other) noexcept : pid_(std::exchange(other.pid_, -1)) {}
    Process& operator=(Process&& other) noexcept;
    ~Process();

    /// This binary again, as `verso demo-child WORDS… FD…`: `sockets` arrive as descriptors 3, 4, 5
    /// …
    static Result<Process> spawn(const std::vector<std::string>& words,
                                 const std::vector<int>& sockets);

    /// "" if it ended with exit code 0, else how it ended.
    std::string wait();
    pid_t pid() const { return pid_; }

private:
    pid_t pid_ = -1;
};

/// The first statement of a child: it dies with the demo, whatever happens.
void die_with_parent();

}  // namespace verso::cli
