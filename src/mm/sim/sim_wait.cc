// Waiting for descriptors, events, sockets, processes: what linux/wait_calls.cc and socket_calls.cc
// do.
#include <algorithm>
#include <cerrno>
#include <cstring>

#include "mm/sim/sim_world.h"

namespace verso::mm::sim {
namespace {

constexpr std::size_t message_fds_max = 250;  // as in linux/
constexpr u64 for_ever_ms = ~u64{0};
constexpr u64 ns_per_ms = 1'000'000;

}  // namespace

kernel::Outcome SimKernel::wait(const kernel::Call& call, const kernel::Payload& payload) {
    // Held: somebody may close a number meanwhile. By the kernel, see Held.
    const auto kept = watched_.emplace(watched_.end());
    const unsigned life = life_;
    std::vector<ObjectRef>& objects = *kept;
    for (const kernel::Wait& one : payload.waits) {
        objects.push_back(descriptors().find(process_, one.fd));
    }
    const auto look = [&] {
        i64 count = 0;
        for (std::size_t i = 0; i < objects.size(); ++i) {
            kernel::Wait& one = payload.waits[i];
            one.ready = objects[i] != nullptr && objects[i]->readable();
            // POLLNVAL for a number that means nothing; negative ones are passed over
            one.hung_up = objects[i] != nullptr ? objects[i]->hung_up() : one.fd >= 0;
            count += one.ready || one.hung_up ? 1 : 0;
        }
        return count;
    };
    if (look() == 0 && call.aux != 0) {
        const u64 now = scheduler().now_ns();
        const u64 longest_ms = (Scheduler::for_ever - 1 - now) / ns_per_ms;
        const u64 deadline = call.aux == for_ever_ms
                                 ? Scheduler::for_ever
                                 : now + std::min(call.aux, longest_ms) * ns_per_ms;
        const u64 first = payload.waits.empty() ? 0 : static_cast<u64>(payload.waits[0].fd);
        scheduler().block([&] { return look() != 0; },
                          {"one of its descriptors, the first is", first}, deadline);
    }
    const i64 count = look();
    if (life == life_) {
        watched_.erase(kept);
    }
    return count == 0 ? kernel::Outcome{kernel::Verdict::timed_out, 0, 0, 0}
                      : kernel::Outcome::done(count);
}

kernel::Outcome SimKernel::event_signal(const kernel::Call& call) {
    const auto event = object<EventObject>(call.fd, ObjectKind::event);
    if (event == nullptr) {
        return kernel::failure(EBADF);
    }
    ++event->count;
    return kernel::Outcome::done();
}

kernel::Outcome SimKernel::event_drain(const kernel::Call& call) {
    const auto event = object<EventObject>(call.fd, ObjectKind::event);
    if (event == nullptr) {
        return kernel::failure(EBADF);
    }
    return kernel::Outcome::done(static_cast<i64>(std::exchange(event->count, 0)));
}

/// Without a limit: sending never waits, which Linux' does at some 200 KiB.
kernel::Outcome SimKernel::socket_send(const kernel::Call& call, const kernel::Payload& payload) {
    const auto socket = object<SocketObject>(call.fd, ObjectKind::socket);
    if (socket == nullptr || payload.fds.size() > message_fds_max) {
        return kernel::failure(socket == nullptr ? EBADF : EINVAL);
    }
    const std::shared_ptr<SocketObject> peer = socket->peer.lock();
    if (peer == nullptr) {
        return kernel::failure(EPIPE);
    }
    SocketObject::Part part;
    part.bytes.assign(payload.in.begin(), payload.in.end());
    for (const int fd : payload.fds) {
        part.objects.push_back(descriptors().find(process_, fd));
        if (part.objects.back() == nullptr) {
            return kernel::failure(EBADF);
        }
    }
    peer->inbox.push_back(std::move(part));
    return kernel::Outcome::done(static_cast<i64>(payload.in.size()));
}

/// recvmsg(2) of a SOCK_SEQPACKET socket: one message, whole or not at all. (Two that ran together
/// were seen to make the engine drop the second: half of a child's requests.)
kernel::Outcome SimKernel::socket_receive(const kernel::Call& call,
                                          const kernel::Payload& payload) {
    const auto socket = object<SocketObject>(call.fd, ObjectKind::socket);
    if (socket == nullptr) {
        return kernel::failure(EBADF);
    }
    if (socket->inbox.empty()) {
        return socket->hung_up() ? kernel::Outcome{kernel::Verdict::closed, 0, 0, 0}
                                 : kernel::failure(EAGAIN);
    }
    const SocketObject::Part part = std::move(socket->inbox.front());
    socket->inbox.pop_front();
    const bool cut = part.bytes.size() > payload.out.size();
    if (cut || (!part.objects.empty() && payload.received == nullptr)) {
        return {kernel::Verdict::invalid, EMSGSIZE, 0, 0};
    }
    std::ranges::copy(part.bytes, payload.out.begin());
    for (const ObjectRef& one : part.objects) {
        payload.received->emplace_back(descriptors().add(process_, one));
    }
    return kernel::Outcome::done(static_cast<i64>(part.bytes.size()));
}

kernel::Outcome SimKernel::end_process() {
    world_.exit(process_);  // does not come back if the caller is one of that process' fibers
    return kernel::Outcome::done();
}

kernel::Outcome SimKernel::process_self() {
    return number_for(std::make_shared<ProcessObject>(world_.at(process_).ended));
}

kernel::Outcome SimKernel::duplicate(const kernel::Call& call) {
    ObjectRef found = descriptors().find(process_, call.fd);
    return found == nullptr ? kernel::failure(EBADF) : number_for(std::move(found));
}

kernel::Outcome SimKernel::close(const kernel::Call& call) {
    return descriptors().close(process_, call.fd) ? kernel::Outcome::done()
                                                  : kernel::failure(EBADF);
}

kernel::Outcome SimKernel::bundle(const kernel::Payload& payload) {
    auto all = std::make_shared<BundleObject>();
    for (const int fd : payload.fds) {
        const ObjectRef found = descriptors().find(process_, fd);
        if (found == nullptr) {
            return kernel::failure(EBADF);
        }
        all->watched.push_back(found);
    }
    return number_for(std::move(all));
}

}  // namespace verso::mm::sim
