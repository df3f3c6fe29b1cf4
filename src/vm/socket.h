// Unix sockets: connected with a limit on the time, and packets (SOCK_SEQPACKET) that carry
// descriptors. One packet is one JSON object: it arrives whole or not at all, with its descriptors,
// which a stream of lines does not promise.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "base/types.h"

namespace verso::vm {

u64 now_ns();

/// A moment by which something must have happened.
class Deadline {
public:
    explicit Deadline(int timeout_ms) : at_ns_(now_ns() + to_ns(timeout_ms)) {}
    bool over() const { return now_ns() >= at_ns_; }
    int left_ms() const;

private:
    static u64 to_ns(int ms) { return static_cast<u64>(ms < 0 ? 0 : ms) * 1'000'000; }
    u64 at_ns_;
};
void pause_ms(unsigned ms);

/// False: nothing came in time. A descriptor that was hung up is readable.
bool wait_readable(int fd, int timeout_ms);

enum class SocketKind { stream, packets };
/// Replaces a socket that nobody listens at any more.
Result<Fd> listen_at(const std::string& path, SocketKind kind);
Result<Fd> connect_to(const std::string& path, SocketKind kind);
/// Tries again until somebody listens there.
Result<Fd> connect_within(const std::string& path, SocketKind kind, int timeout_ms);
Result<std::pair<Fd, Fd>> packet_pair();

inline constexpr std::size_t packet_bytes_max = 64 << 10;
inline constexpr std::size_t packet_fds_max = 8;

struct Packet {
    std::string text;
    std::vector<Fd> fds;
};
Result<void> send_packet(int socket, std::string_view text, std::span<const int> fds = {});
Result<Packet> receive_packet(int socket, int timeout_ms);

}  // namespace verso::vm
