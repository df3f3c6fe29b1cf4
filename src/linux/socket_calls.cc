// Messages over Unix sockets, with descriptors in them.
//
// Sending blocks, receiving never does (callers wait first). A message that did not fit is not a
// message: whatever came of it is dropped and closed, and the answer is `invalid`.
#include <array>
#include <cstring>
#include <vector>

#include <sys/socket.h>
#include <sys/uio.h>

#include "base/check.h"
#include "linux/calls.h"

namespace verso::host {
namespace {
using kernel::Verdict;

struct alignas(cmsghdr) ControlBuffer {
    std::array<char, CMSG_SPACE(message_fds_max * sizeof(int))> bytes{};
};

msghdr header_of(iovec& data, ControlBuffer& control, std::size_t control_bytes) {
    msghdr header{};
    header.msg_iov = &data;
    header.msg_iovlen = 1;
    header.msg_control = control_bytes > 0 ? control.bytes.data() : nullptr;
    header.msg_controllen = control_bytes;
    return header;
}

/// Every descriptor of the message, owned from here on.
std::vector<Fd> take_fds(msghdr& header) {
    std::vector<Fd> taken;
    for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr;
         part = CMSG_NXTHDR(&header, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t i = 0; i < count; ++i) {
            int number = -1;
            std::memcpy(&number, CMSG_DATA(part) + i * sizeof(int), sizeof number);
            taken.emplace_back(number);
        }
    }
    return taken;
}
}  // namespace

Outcome socket_send(const Call& call, const Payload& payload) {
    if (payload.fds.size() > message_fds_max) {
        return {Verdict::invalid, EINVAL, 0, 0};
    }
    ControlBuffer control;
    std::size_t control_bytes = 0;
    if (!payload.fds.empty()) {
        control_bytes = CMSG_SPACE(payload.fds.size_bytes());
    }
    std::size_t sent = 0;
    do {
        // sendmsg does not write through the pointer; its structure is shared with recvmsg.
        iovec data{const_cast<std::byte*>(payload.in.data()) + sent, payload.in.size() - sent};
        msghdr header = header_of(data, control, control_bytes);
        if (control_bytes > 0) {
            cmsghdr* const part = CMSG_FIRSTHDR(&header);
            part->cmsg_level = SOL_SOCKET;
            part->cmsg_type = SCM_RIGHTS;
            part->cmsg_len = CMSG_LEN(payload.fds.size_bytes());
            std::memcpy(CMSG_DATA(part), payload.fds.data(), payload.fds.size_bytes());
        }
        ssize_t count = 0;
        do {
            // Why safe: header, data and control are locals or the caller's spans, with their own
            // sizes.
            count = ::sendmsg(call.fd, &header, MSG_NOSIGNAL);
        } while (count < 0 && errno == EINTR);
        if (count < 0) {
            return failure(errno);
        }
        sent += static_cast<std::size_t>(count);
        control_bytes = 0;  // a stream takes parts; the descriptors went with the first
    } while (sent < payload.in.size());
    return Outcome::done(static_cast<i64>(sent));
}

Outcome socket_receive(const Call& call, const Payload& payload) {
    ControlBuffer control;
    iovec data{payload.out.data(), payload.out.size()};
    msghdr header = header_of(data, control, control.bytes.size());
    ssize_t count = 0;
    do {
        // Why safe: the kernel writes into the caller's span and our control buffer, and knows both
        // sizes.
        count = ::recvmsg(call.fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    } while (count < 0 && errno == EINTR);
    if (count < 0) {
        return failure(errno);
    }
    std::vector<Fd> taken = take_fds(header);
    const bool cut = (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0;
    if (cut || (!taken.empty() && payload.received == nullptr)) {
        return {Verdict::invalid, EMSGSIZE, 0, 0};
    }
    if (count == 0 && taken.empty()) {
        return {Verdict::closed, 0, 0, 0};
    }
    for (Fd& fd : taken) {
        payload.received->push_back(std::move(fd));
    }
    return Outcome::done(count);
}

}  // namespace verso::host
