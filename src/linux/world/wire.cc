// Messages in and out of a socket, and the owner's half of a question and its answer.
#include "linux/world/wire.h"

#include <array>
#include <cerrno>

#include <sys/socket.h>
#include <sys/uio.h>

namespace verso::host {
namespace {
struct alignas(cmsghdr) OneDescriptor {
    std::array<char, CMSG_SPACE(sizeof(int))> bytes{};
};

void attach(msghdr& header, OneDescriptor& control, int passed) {
    header.msg_control = control.bytes.data();
    header.msg_controllen = control.bytes.size();
    cmsghdr* const part = CMSG_FIRSTHDR(&header);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(part), &passed, sizeof passed);
}

void detach(msghdr& header, Fd* passed) {
    for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr;
         part = CMSG_NXTHDR(&header, part)) {
        if (part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_RIGHTS) {
            int number = -1;
            std::memcpy(&number, CMSG_DATA(part), sizeof number);
            Fd owned(number);
            if (passed != nullptr) {
                *passed = std::move(owned);
            }
        }
    }
}
}  // namespace

bool send(int socket, Message& message, int passed) {
    const u64 length = message.bytes_.size();
    std::memcpy(message.bytes_.data(), &length, sizeof length);
    std::size_t sent = 0;
    while (sent < length) {
        iovec data{message.bytes_.data() + sent, length - sent};
        msghdr header{};
        header.msg_iov = &data;
        header.msg_iovlen = 1;
        OneDescriptor control;
        if (passed >= 0 && sent == 0) {
            attach(header, control, passed);
        }
        // Why safe: reads the message and the control buffer, both of this function's caller.
        const ssize_t count = ::sendmsg(socket, &header, MSG_NOSIGNAL);
        if (count < 0 && errno != EINTR) {
            return false;
        }
        sent += count < 0 ? 0 : static_cast<std::size_t>(count);
    }
    return true;
}

Received receive(int socket, Message& message, Fd* passed) {
    constexpr std::size_t usual = 4096;
    message.bytes_.resize(usual);
    message.at_ = sizeof(u64);
    std::size_t got = 0;
    u64 length = sizeof length;
    while (got < length) {
        iovec data{message.bytes_.data() + got, message.bytes_.size() - got};
        msghdr header{};
        header.msg_iov = &data;
        header.msg_iovlen = 1;
        OneDescriptor control;
        if (got == 0) {
            header.msg_control = control.bytes.data();
            header.msg_controllen = control.bytes.size();
        }
        // Why safe: fills the message's own bytes and the control buffer, by their sizes.
        const ssize_t count = ::recvmsg(socket, &header, MSG_CMSG_CLOEXEC);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0 && errno == EAGAIN) {
            return Received::timed_out;
        }
        if (count <= 0) {
            return Received::closed;
        }
        if (got == 0) {
            detach(header, passed);
        }
        got += static_cast<std::size_t>(count);
        if (got >= sizeof length) {
            std::memcpy(&length, message.bytes_.data(), sizeof length);
            message.bytes_.resize(length > got ? length : got);
        }
    }
    message.bytes_.resize(length);
    return Received::whole;
}

void put_question(Message& message, const kernel::Call& call, const kernel::Payload& payload) {
    // Both would have to act in the owner's process, in the middle of the call.
    VERSO_CHECK(payload.sink == nullptr, "{} with a sink cannot leave its process",
                name_of(call.op));
    VERSO_CHECK(payload.received == nullptr, "{}: descriptors stay with the process that has them",
                name_of(call.op));
    Question question;
    question.call = call;
    question.in = payload.in.size();
    question.out = payload.out.size();
    question.fds = payload.fds.size();
    question.events = payload.events.size();
    question.runs = payload.runs.size();
    question.waits = payload.waits.size();
    question.scan = payload.scan != nullptr;
    question.regions = question.scan ? payload.scan->regions.size() : 0;
    message.clear();
    message.put_one(question);
    message.put(payload.in);
    message.put(payload.fds);
    message.put(std::span<const kernel::Wait>(payload.waits));
    if (question.scan) {
        message.put_one(*payload.scan);  // its span is replaced at the other end
    }
}

kernel::Outcome take_answer(Message& message, const kernel::Payload& payload) {
    const Answer answer = message.take_one<Answer>();
    message.take(payload.out.first(answer.out));
    message.take(payload.events.first(answer.events));
    message.take(payload.runs.first(answer.runs));
    message.take(payload.waits.first(answer.waits));
    if (answer.regions > 0) {
        message.take(payload.scan->regions.first(answer.regions));
    }
    if (payload.usage != nullptr) {
        *payload.usage = answer.usage;
    }
    return answer.outcome;
}

}  // namespace verso::host
