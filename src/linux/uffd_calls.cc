// userfaultfd: opening one, its ioctls, its messages.
//
// Three ways lead to one, tried in this order, because the first two also serve faults that the
// kernel itself takes in our memory (read(2) into the region), and the third, alone open to
// anybody, does not:
//
//   userfaultfd(2)            CAP_SYS_PTRACE, or vm.unprivileged_userfaultfd = 1
//   /dev/userfaultfd (6.1)    permission on the file
//   UFFD_USER_MODE_ONLY       always, where a kernel (5.11) has it and no filter forbids it
//
// Fills (copy, zeropage, continue, poison) have two answers: errno and a result field, which is a
// count of bytes or a negative errno, or untouched. fill_outcome() is the only reader of that pair
// (H1, H2, H31).
#include <algorithm>
#include <array>

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "abi/abi.h"
#include "base/check.h"
#include "linux/calls.h"

namespace verso::host {
namespace {
using abi::UffdIoctl;
using kernel::Event;
using kernel::EventKind;
using kernel::FillFlag;
using kernel::RegisterMode;
using kernel::Verdict;

Fd by_system_call(int flags) {
    // Why safe: makes a descriptor and nothing else.
    return Fd{static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | flags))};
}

Fd by_device() {
    // Why safe: opens a character device that only makes descriptors.
    const Fd device{::open("/dev/userfaultfd", O_RDWR | O_CLOEXEC)};
    if (!device.valid()) {
        return Fd{};
    }
    // Why safe: this ioctl takes flags, not an address.
    return Fd{::ioctl(device.get(), UffdIoctl::device_new, O_CLOEXEC | O_NONBLOCK)};
}

Fd open_by(UffdWay way) {
    switch (way) {
        case UffdWay::system_call: return by_system_call(0);
        case UffdWay::device: return by_device();
        case UffdWay::user_mode_only: return by_system_call(abi::uffd_user_mode_only);
        case UffdWay::none: break;
    }
    return Fd{};
}

/// errno of the ioctl, or 0. Every ioctl of this file goes through here, so none is left unread.
template <class Argument>
int uffd_ioctl(int fd, unsigned long request, Argument& argument) {
    // Why safe: `argument` is the structure that the request's number is made of (abi/), and lives
    // until the call returns. What the ioctl does to memory is the range in it, which the caller
    // owns.
    return ::ioctl(fd, request, &argument) == 0 ? 0 : errno;
}

/// Bits that mean nothing here go through: the kernel refuses them.
u64 fill_mode(u64 flags) {
    constexpr u64 ours = FillFlag::write_protect | FillFlag::no_wake;
    return ((flags & FillFlag::write_protect) != 0 ? abi::UffdFillMode::wp : 0) |
           ((flags & FillFlag::no_wake) != 0 ? abi::UffdFillMode::dont_wake : 0) | (flags & ~ours);
}

Event event_of(const abi::UffdMessage& message, bool keep) {
    switch (message.event) {
        case abi::UffdEvent::pagefault: {
            // WP and MINOR come with WRITE or without; MISSING is what is left.
            const u64 flags = message.first;
            const EventKind kind = (flags & abi::UffdFaultFlag::wp) != 0 ? EventKind::write_protect
                                   : (flags & abi::UffdFaultFlag::minor) != 0 ? EventKind::minor
                                                                              : EventKind::missing;
            return {kind, (flags & abi::UffdFaultFlag::write) != 0, message.second, 0, 0};
        }
        case abi::UffdEvent::remove:
            return {EventKind::removed, false, message.first, message.second,
                    message.second - message.first};
        case abi::UffdEvent::unmap:
            return {EventKind::unmapped, false, message.first, message.second,
                    message.second - message.first};
        case abi::UffdEvent::remap:
            return {EventKind::remapped, false, message.first, message.second, message.third};
        case abi::UffdEvent::fork:
            // It carries a descriptor. The engine never asks for it, but a context from elsewhere
            // may send it.
            if (keep) {
                return {EventKind::forked, false, 0, 0, message.first};
            }
            Fd{static_cast<int>(message.first)}.reset();
            return {EventKind::forked, false, 0, 0, 0};
        default: return {};
    }
}
}  // namespace

OpenedUffd open_uffd(u64 features, bool unprivileged) {
    OpenedUffd opened;
    for (const UffdWay way : {UffdWay::system_call, UffdWay::device, UffdWay::user_mode_only}) {
        if (unprivileged && way != UffdWay::user_mode_only) {
            continue;
        }
        errno = 0;
        Fd fd = open_by(way);
        if (fd.valid()) {
            abi::UffdApi api{abi::uffd_api_version, features, 0};
            const int error = uffd_ioctl(fd.get(), UffdIoctl::api, api);
            if (error == 0) {
                opened.fd = std::move(fd);
                opened.way = way;
                opened.features = api.features;
                return opened;
            }
            opened.refused_features = error == EINVAL;
            opened.last_error = error;
        } else {
            opened.last_error = errno;
        }
        if (opened.error == 0) {
            opened.error = opened.last_error;
        }
    }
    return opened;
}

Outcome uffd_open(const Call& call, bool unprivileged) {
    OpenedUffd opened = open_uffd(call.aux, unprivileged);
    if (opened.fd.valid()) {
        return Outcome::done(opened.fd.release());
    }
    // EINVAL of the handshake has one cause: the kernel lacks one of these features.
    if (opened.refused_features) {
        return {Verdict::unsupported, EINVAL, 0, 0};
    }
    return failure(opened.error);
}

Outcome uffd_register(const Call& call) {
    static_assert(RegisterMode::missing == abi::UffdRegisterMode::missing &&
                  RegisterMode::write_protect == abi::UffdRegisterMode::wp &&
                  RegisterMode::minor == abi::UffdRegisterMode::minor);
    const u64 mode = call.aux;
    u64 needed = 0;
    if ((mode & RegisterMode::missing) != 0) {
        needed |= u64{1} << abi::UffdCommand::copy;
    }
    if ((mode & RegisterMode::write_protect) != 0) {
        needed |= u64{1} << abi::UffdCommand::write_protect;
    }
    if ((mode & RegisterMode::minor) != 0) {
        needed |= u64{1} << abi::UffdCommand::continue_range;
    }
    abi::UffdRegister argument{{call.address, call.length}, mode, 0};
    const int error = uffd_ioctl(call.fd, UffdIoctl::register_range, argument);
    if (error == 0 && (argument.ioctls & needed) != needed) {
        // Registered, but the answer to its faults is missing: whoever faults would wait for ever.
        abi::UffdRange range{call.address, call.length};
        const int undo = uffd_ioctl(call.fd, UffdIoctl::unregister, range);
        VERSO_CHECK(undo == 0, "unregister after register: errno {}", undo);
        return {Verdict::unsupported, 0, 0, 0};
    }
    return error == 0 ? Outcome::done(static_cast<i64>(argument.ioctls)) : range_outcome(error);
}

Outcome uffd_unregister(const Call& call) {
    abi::UffdRange argument{call.address, call.length};
    return range_outcome(uffd_ioctl(call.fd, UffdIoctl::unregister, argument));
}

Outcome uffd_wake(const Call& call) {
    abi::UffdRange argument{call.address, call.length};
    return range_outcome(uffd_ioctl(call.fd, UffdIoctl::wake, argument));
}

Outcome uffd_write_protect(const Call& call) {
    abi::UffdWriteProtect argument{{call.address, call.length}, call.aux};
    return range_outcome(uffd_ioctl(call.fd, UffdIoctl::write_protect, argument));
}

Outcome uffd_copy(const Call& call) {
    abi::UffdCopy argument{call.address, call.offset, call.length, fill_mode(call.aux), 0};
    const int error = uffd_ioctl(call.fd, UffdIoctl::copy, argument);
    return fill_outcome(error, argument.copied, call.length);
}

Outcome uffd_zeropage(const Call& call) {
    abi::UffdZeropage argument{{call.address, call.length}, fill_mode(call.aux), 0};
    const int error = uffd_ioctl(call.fd, UffdIoctl::zeropage, argument);
    return fill_outcome(error, argument.zeroed, call.length);
}

Outcome uffd_continue(const Call& call) {
    abi::UffdContinue argument{{call.address, call.length}, fill_mode(call.aux), 0};
    const int error = uffd_ioctl(call.fd, UffdIoctl::continue_range, argument);
    return fill_outcome(error, argument.mapped, call.length);
}

Outcome uffd_poison(const Call& call) {
    abi::UffdPoison argument{{call.address, call.length}, fill_mode(call.aux), 0};
    const int error = uffd_ioctl(call.fd, UffdIoctl::poison, argument);
    return fill_outcome(error, argument.updated, call.length);
}

Outcome uffd_create(const Call& call) {
    Fd fd = by_system_call(call.aux != 0 ? abi::uffd_user_mode_only : 0);
    return fd.valid() ? Outcome::done(fd.release()) : failure(errno);
}

Outcome uffd_api(const Call& call) {
    abi::UffdApi argument{call.address, call.aux, 0};
    const int error = uffd_ioctl(call.fd, UffdIoctl::api, argument);
    return error == 0 ? Outcome::done(static_cast<i64>(argument.features)) : failure(error);
}

Outcome uffd_move(const Call& call) {
    abi::UffdMove argument{call.address, call.target, call.length, call.aux, 0};
    const int error = uffd_ioctl(call.fd, UffdIoctl::move, argument);
    return fill_outcome(error, argument.moved, call.length);
}

Outcome uffd_read(const Call& call, const Payload& payload) {
    std::array<abi::UffdMessage, 64> messages;
    const std::size_t room = std::min(messages.size(), payload.events.size());
    VERSO_CHECK(room > 0, "nowhere to put an event of fd {}", call.fd);
    // Why safe: at most `room` messages of the array; the descriptor is non-blocking.
    const ssize_t bytes = ::read(call.fd, messages.data(), room * sizeof(abi::UffdMessage));
    if (bytes < 0) {
        return failure(errno);
    }
    const std::size_t count = static_cast<std::size_t>(bytes) / sizeof(abi::UffdMessage);
    for (std::size_t i = 0; i < count; ++i) {
        payload.events[i] = event_of(messages[i], call.aux != 0);
    }
    return Outcome::done(static_cast<i64>(count));
}

}  // namespace verso::host
