// userfaultfd: what linux/uffd_calls.cc does.
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "abi/abi.h"
#include "mm/sim/sim_world.h"

namespace verso::mm::sim {
namespace {

constexpr u64 lowest_address = u64{64} << 10;  // vm.mmap_min_addr

/// Bits that mean nothing here go through: the kernel refuses them (the model's Call has room for
/// 32, so those above become one that is refused as well).
u32 fill_mode(u64 flags) {
    using kernel::FillFlag;
    constexpr u64 ours = FillFlag::write_protect | FillFlag::no_wake;
    const u64 rest = flags & ~ours;
    const u64 low = (rest & 0xffff'ffff) | ((rest >> 32) != 0 ? u64{1} << 31 : 0);
    return static_cast<u32>(((flags & FillFlag::write_protect) != 0 ? abi::UffdFillMode::wp : 0) |
                            ((flags & FillFlag::no_wake) != 0 ? abi::UffdFillMode::dont_wake : 0) |
                            low);
}

kernel::Outcome range_answer(const Outcome& outcome) {
    return outcome.verdict == Verdict::done ? kernel::Outcome::done()
                                            : kernel::range_outcome(outcome.error);
}

kernel::Outcome fill_answer(const Outcome& outcome, u64 length) {
    return kernel::fill_outcome(outcome.verdict == Verdict::done ? 0 : outcome.error, outcome.value,
                                length);
}

/// The calls that differ in nothing but their number.
Op op_of(kernel::Op op) {
    constexpr std::pair<kernel::Op, Op> same[] = {
        {kernel::Op::uffd_unregister, Op::uffd_unregister},
        {kernel::Op::uffd_wake, Op::uffd_wake},
        {kernel::Op::uffd_write_protect, Op::uffd_writeprotect},
        {kernel::Op::uffd_zeropage, Op::uffd_zeropage},
        {kernel::Op::uffd_continue, Op::uffd_continue},
        {kernel::Op::uffd_poison, Op::uffd_poison},
    };
    const auto found = std::ranges::find(same, op, &std::pair<kernel::Op, Op>::first);
    VERSO_CHECK(found != std::end(same), "no call of a range: {}", name_of(op));
    return found->second;
}

kernel::Event event_of(const Message& message) {
    using kernel::EventKind;
    switch (message.kind) {
        case MessageKind::pagefault: {
            const EventKind kind = (message.flags & FaultFlag::wp) != 0 ? EventKind::write_protect
                                   : (message.flags & FaultFlag::minor) != 0 ? EventKind::minor
                                                                             : EventKind::missing;
            return {kind, (message.flags & FaultFlag::write) != 0, message.address, 0, 0};
        }
        case MessageKind::remove:
            return {EventKind::removed, false, message.address, message.end,
                    message.end - message.address};
        case MessageKind::unmap:
            return {EventKind::unmapped, false, message.address, message.end,
                    message.end - message.address};
        case MessageKind::remap:
            return {EventKind::remapped, false, message.address, message.end, message.length};
        case MessageKind::fork: return {EventKind::forked, false, 0, 0, 0};
    }
    return {};
}

}  // namespace

kernel::Outcome SimKernel::uffd_create(bool user_mode_only) {
    if (!user_mode_only && !world_.privileged()) {
        return kernel::failure(EPERM);
    }
    Call open{.op = Op::uffd_open, .flags = user_mode_only ? abi::uffd_user_mode_only : 0U};
    const Outcome outcome = run(open);
    if (outcome.verdict != Verdict::done) {
        return kernel::failure(outcome.error);
    }
    return number_for(std::make_shared<UserfaultObject>(memory(), static_cast<u8>(outcome.value)));
}

kernel::Outcome SimKernel::uffd_api(const kernel::Call& call) {
    const auto uffd = object<UserfaultObject>(call.fd, ObjectKind::userfault);
    if (uffd == nullptr) {
        return kernel::failure(EBADF);
    }
    Call api{.op = Op::uffd_api, .fd = uffd->context, .flags = world_.privileged() ? 0U : 1U};
    api.address = call.address;
    api.extra = call.aux;
    return answer(run(api));
}

kernel::Outcome SimKernel::uffd_open(const kernel::Call& call) {
    const kernel::Outcome opened = uffd_create(!world_.privileged());
    if (!opened.ok()) {
        return opened;
    }
    const int number = static_cast<int>(opened.value);
    const kernel::Outcome api =
        uffd_api(kernel::Call::uffd_api(number, abi::uffd_api_version, call.aux));
    if (api.ok()) {
        return opened;
    }
    descriptors().close(process_, number);
    if (api.error == EINVAL) {
        return {kernel::Verdict::unsupported, EINVAL, 0, 0};
    }
    return api;
}

kernel::Outcome SimKernel::uffd_register(const kernel::Call& call) {
    const auto uffd = object<UserfaultObject>(call.fd, ObjectKind::userfault);
    if (uffd == nullptr) {
        return kernel::failure(EBADF);
    }
    using kernel::RegisterMode;
    const u8 there = state().contexts[uffd->context].space;  // the range is in that process
    const u8 where = there == nobody ? space() : there;
    const u64 mode = (call.aux >> 32) != 0 ? ~u64{0} : call.aux;  // unknown bits stay unknown
    Call reg{.op = Op::uffd_register, .fd = uffd->context, .flags = static_cast<u32>(mode)};
    reg.address = memory().to_model(where, call.address);
    reg.length = call.length;
    const Outcome outcome = run(reg);
    memory().show(where, reg.address, call.length);
    if (outcome.verdict != Verdict::done) {
        return kernel::range_outcome(outcome.error);
    }
    u64 needed = 0;
    for (const auto& [bit, command] :
         {std::pair{RegisterMode::missing, abi::UffdCommand::copy},
          std::pair{RegisterMode::write_protect, abi::UffdCommand::write_protect},
          std::pair{RegisterMode::minor, abi::UffdCommand::continue_range}}) {
        needed |= (call.aux & bit) != 0 ? u64{1} << command : 0;
    }
    if ((static_cast<u64>(outcome.value) & needed) != needed) {
        (void)uffd_range(kernel::Call::uffd_unregister(call.fd, call.address, call.length));
        return {kernel::Verdict::unsupported, 0, 0, 0};
    }
    return kernel::Outcome::done(outcome.value);
}

/// UNREGISTER, WAKE, WRITEPROTECT.
kernel::Outcome SimKernel::uffd_range(const kernel::Call& call) {
    const auto uffd = object<UserfaultObject>(call.fd, ObjectKind::userfault);
    if (uffd == nullptr) {
        return kernel::failure(EBADF);
    }
    const u8 there = state().contexts[uffd->context].space;
    const u8 where = there == nobody ? space() : there;
    const u64 mode = (call.aux >> 32) != 0 ? ~u64{0} : call.aux;
    Call range{.op = op_of(call.op), .fd = uffd->context, .flags = static_cast<u32>(mode)};
    range.address = memory().to_model(where, call.address);
    range.length = call.length;
    const Outcome outcome = run(range);
    if (call.op == kernel::Op::uffd_unregister) {
        memory().show(where, range.address, call.length);
    }
    return range_answer(outcome);
}

/// Memory of the process is read as the kernel would read it, through the model; any other address
/// is this program's own memory, as a buffer on a stack is.
std::vector<Contents> SimKernel::source_pages(u64 source, u64 count) {
    std::vector<Contents> pages;
    std::array<std::byte, page_size> page;
    for (u64 i = 0; i < count; ++i) {
        const u64 from = source + to_bytes(i);
        if (memory().in_window(space(), from)) {
            u64 through = 0;
            if (touch_all(Op::gup_read, from, page, false, through)) {
                break;
            }
        } else if (from < lowest_address) {
            break;
        } else {
            std::memcpy(page.data(), reinterpret_cast<const void*>(from), page_size);  // NOLINT
        }
        pages.push_back(memory().versions().intern(page));
    }
    return pages;
}

kernel::Outcome SimKernel::uffd_copy(const kernel::Call& call) {
    const auto uffd = object<UserfaultObject>(call.fd, ObjectKind::userfault);
    if (uffd == nullptr) {
        return kernel::failure(EBADF);
    }
    const u8 there = state().contexts[uffd->context].space;
    const u8 where = there == nobody ? space() : there;
    constexpr u64 pages_max = u64{1} << 20;
    constexpr u64 user_limit = u64{1} << 47;
    const bool wraps = call.offset >= user_limit || call.length > user_limit - call.offset;
    Call copy{.op = Op::uffd_copy, .fd = uffd->context, .flags = fill_mode(call.aux)};
    copy.address = memory().to_model(where, call.address);
    copy.length = call.length;
    copy.source = wraps ? call.offset : 0;
    const u64 wanted =
        wraps || !is_page_aligned(call.length) ? 0 : std::min(to_pages(call.length), pages_max);
    const u64 within =
        copy.address < memory().limit() ? to_pages(memory().limit() - copy.address) : 0;
    std::vector<Contents> pages = source_pages(call.offset, std::min(wanted, within));
    const u64 readable = pages.size();
    if (wanted != 0 && readable == 0 && within != 0) {  // looked for only where there is room
        const Vma* const to =
            state().spaces[where].alive
                ? state().find_vma(where, static_cast<Vpn>(to_pages(copy.address)))
                : nullptr;
        const bool watched = to != nullptr && to->context != nobody;
        return kernel::range_outcome(there == nobody ? ESRCH : watched ? EFAULT : ENOENT);
    }
    const Versions::Write write(memory().versions(), std::move(pages));
    copy.value = write.number();
    const bool cut = readable < std::min(wanted, within);
    copy.length = cut ? to_bytes(readable) : call.length;
    const Outcome outcome = run(copy, where, copy.address, copy.length);
    if (cut && outcome.verdict == Verdict::done) {
        return {kernel::Verdict::partial, EAGAIN, outcome.value, 0};
    }
    return fill_answer(outcome, call.length);
}

kernel::Outcome SimKernel::uffd_fill(const kernel::Call& call) {
    const auto uffd = object<UserfaultObject>(call.fd, ObjectKind::userfault);
    if (uffd == nullptr) {
        return kernel::failure(EBADF);
    }
    const u8 there = state().contexts[uffd->context].space;
    const u8 where = there == nobody ? space() : there;
    Call fill{.op = op_of(call.op), .fd = uffd->context, .flags = fill_mode(call.aux)};
    fill.address = memory().to_model(where, call.address);
    fill.length = call.length;
    return fill_answer(run(fill, where, fill.address, fill.length), call.length);
}

kernel::Outcome SimKernel::uffd_move(const kernel::Call& call) {
    const auto uffd = object<UserfaultObject>(call.fd, ObjectKind::userfault);
    if (uffd == nullptr) {
        return kernel::failure(EBADF);
    }
    const u64 mode = (call.aux >> 32) != 0 ? ~u64{0} : call.aux;
    Call move{.op = Op::uffd_move, .fd = uffd->context, .flags = static_cast<u32>(mode)};
    move.address = model(call.address);
    move.length = call.length;
    move.source = model(call.target);
    return fill_answer(run(move), call.length);
}

kernel::Outcome SimKernel::uffd_read(const kernel::Call& call, const kernel::Payload& payload) {
    const auto uffd = object<UserfaultObject>(call.fd, ObjectKind::userfault);
    VERSO_CHECK(!payload.events.empty(), "nowhere to put an event of fd {}", call.fd);
    if (uffd == nullptr) {
        return kernel::failure(EBADF);
    }
    constexpr u64 message_bytes = 32;
    Call read{.op = Op::uffd_read, .fd = uffd->context};
    read.length = std::min<u64>(payload.events.size(), 64) * message_bytes;
    const Outcome outcome = run(read);
    if (outcome.verdict != Verdict::done) {
        return kernel::failure(outcome.error);
    }
    const u8 there = state().contexts[uffd->context].space;
    const u8 where = there == nobody ? space() : there;
    const std::vector<Message> messages = memory().machine().delivered;
    for (std::size_t i = 0; i < messages.size(); ++i) {
        kernel::Event event = event_of(messages[i]);
        if (messages[i].kind == MessageKind::fork && call.aux != 0) {
            event.length = static_cast<u64>(descriptors().add(
                process_, std::make_shared<UserfaultObject>(memory(), messages[i].context)));
        } else if (messages[i].kind == MessageKind::fork) {
            // Never asked for by the engine; whoever did would get a descriptor, and it is closed.
            const UserfaultObject child(memory(), messages[i].context);
        } else {
            event.address = memory().from_model(where, event.address);
            if (messages[i].kind != MessageKind::pagefault) {
                event.end = memory().from_model(where, event.end);
            }
        }
        payload.events[i] = event;
    }
    return kernel::Outcome::done(static_cast<i64>(messages.size()));
}

}  // namespace verso::mm::sim
