// Unix sockets: see the header.
#include "vm/socket.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/check.h"

namespace verso::vm {
namespace {

Result<sockaddr_un> address_of(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof(address.sun_path)) {
        return fail(ErrorKind::invalid_argument, ENAMETOOLONG,
                    "the socket '{}' has a name of {} bytes and at most {} are possible; set "
                    "XDG_RUNTIME_DIR to a shorter folder",
                    path, path.size(), sizeof(address.sun_path) - 1);
    }
    std::memcpy(address.sun_path, path.data(), path.size());
    return address;
}

Result<Fd> open_socket(SocketKind kind) {
    const int type = kind == SocketKind::stream ? SOCK_STREAM : SOCK_SEQPACKET;
    Fd made(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
    if (!made.valid()) {
        return fail(ErrorKind::resource, errno, "no socket: {}", std::strerror(errno));
    }
    return made;
}

}  // namespace

u64 now_ns() {
    const auto since = std::chrono::steady_clock::now().time_since_epoch();
    return static_cast<u64>(std::chrono::duration_cast<std::chrono::nanoseconds>(since).count());
}

int Deadline::left_ms() const {
    const u64 now = now_ns();
    return now >= at_ns_ ? 0 : static_cast<int>((at_ns_ - now) / 1'000'000) + 1;
}

void pause_ms(unsigned ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

bool wait_readable(int fd, int timeout_ms) {
    const Deadline deadline(timeout_ms);
    while (true) {
        pollfd waiting{.fd = fd, .events = POLLIN, .revents = 0};
        // Why safe: fills one struct of ours.
        const int ready = ::poll(&waiting, 1, deadline.left_ms());
        if (ready >= 0 || errno != EINTR) {
            return ready > 0;
        }
    }
}

Result<Fd> listen_at(const std::string& path, SocketKind kind) {
    Result<sockaddr_un> address = address_of(path);
    if (!address) {
        return pass(address);
    }
    if (connect_to(path, kind)) {
        return fail(ErrorKind::resource, EADDRINUSE, "somebody listens at '{}' already", path);
    }
    Result<Fd> socket = open_socket(kind);
    if (!socket) {
        return socket;
    }
    constexpr int backlog = 64;
    ::unlink(path.c_str());
    const auto* const raw = reinterpret_cast<const sockaddr*>(&*address);
    if (::bind(socket->get(), raw, sizeof(*address)) != 0 || ::chmod(path.c_str(), 0600) != 0 ||
        ::listen(socket->get(), backlog) != 0) {
        return fail(ErrorKind::system, errno, "cannot listen at '{}': {}", path,
                    std::strerror(errno));
    }
    return socket;
}

Result<Fd> connect_to(const std::string& path, SocketKind kind) {
    Result<sockaddr_un> address = address_of(path);
    if (!address) {
        return pass(address);
    }
    Result<Fd> socket = open_socket(kind);
    if (!socket) {
        return socket;
    }
    const auto* const raw = reinterpret_cast<const sockaddr*>(&*address);
    if (::connect(socket->get(), raw, sizeof(*address)) != 0) {
        return fail(ErrorKind::peer, errno, "nobody answers at '{}': {}", path,
                    std::strerror(errno));
    }
    return socket;
}

Result<Fd> connect_within(const std::string& path, SocketKind kind, int timeout_ms) {
    const Deadline deadline(timeout_ms);
    while (true) {
        Result<Fd> socket = connect_to(path, kind);
        if (socket || deadline.over()) {
            return socket;
        }
        pause_ms(2);
    }
}

Result<std::pair<Fd, Fd>> packet_pair() {
    std::array<int, 2> ends{-1, -1};
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) {
        return fail(ErrorKind::resource, errno, "no socket pair: {}", std::strerror(errno));
    }
    return std::pair(Fd(ends[0]), Fd(ends[1]));
}

Result<void> send_packet(int socket, std::string_view text, std::span<const int> fds) {
    VERSO_CHECK(fds.size() <= packet_fds_max, "{} descriptors in a packet", fds.size());
    if (text.size() > packet_bytes_max) {
        return fail(ErrorKind::invalid_argument, EMSGSIZE, "a message of {} bytes is too long",
                    text.size());
    }
    // Why safe: the kernel only reads the text; iovec has no const.
    iovec bytes{.iov_base = const_cast<char*>(text.data()), .iov_len = text.size()};
    alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(packet_fds_max * sizeof(int))> control{};
    msghdr message{};
    message.msg_iov = &bytes;
    message.msg_iovlen = 1;
    if (!fds.empty()) {
        message.msg_control = control.data();
        message.msg_controllen = CMSG_SPACE(fds.size_bytes());
        cmsghdr* const header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(fds.size_bytes());
        std::memcpy(CMSG_DATA(header), fds.data(), fds.size_bytes());
    }
    ssize_t sent = -1;
    do {
        // Why safe: reads what was laid out above; MSG_NOSIGNAL turns a dead reader into EPIPE.
        sent = ::sendmsg(socket, &message, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    if (sent != static_cast<ssize_t>(text.size())) {
        return fail(ErrorKind::peer, errno, "the other process is gone: {}", std::strerror(errno));
    }
    return {};
}

Result<Packet> receive_packet(int socket, int timeout_ms) {
    if (!wait_readable(socket, timeout_ms)) {
        return fail(ErrorKind::peer, ETIMEDOUT, "the other process did not answer in {} ms",
                    timeout_ms);
    }
    Packet packet;
    packet.text.resize(packet_bytes_max);
    iovec bytes{.iov_base = packet.text.data(), .iov_len = packet.text.size()};
    alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(packet_fds_max * sizeof(int))> control{};
    msghdr message{};
    message.msg_iov = &bytes;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    ssize_t got = -1;
    do {
        // Why safe: writes into the buffers above, no further than their lengths say.
        got = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    } while (got < 0 && errno == EINTR);
    if (got <= 0) {
        return fail(ErrorKind::peer, got < 0 ? errno : 0, "the other process has gone");
    }
    for (cmsghdr* at = CMSG_FIRSTHDR(&message); at != nullptr; at = CMSG_NXTHDR(&message, at)) {
        if (at->cmsg_level != SOL_SOCKET || at->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        const std::size_t count = (at->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        std::vector<int> numbers(count);
        std::memcpy(numbers.data(), CMSG_DATA(at), count * sizeof(int));
        for (const int number : numbers) {
            packet.fds.emplace_back(number);
        }
    }
    if ((message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
        return fail(ErrorKind::peer, EMSGSIZE, "the other process said too much at once");
    }
    packet.text.resize(static_cast<std::size_t>(got));
    return packet;
}

}  // namespace verso::vm
