// Encoding: fixed little-endian fields (the machine's own; both ends are on it), then levels, then
// text.
#include "engine/wire.h"

#include <array>
#include <cerrno>
#include <cstring>

#include "engine/explain.h"

namespace verso::engine::wire {

using kernel::Call;
using kernel::Outcome;
using kernel::Payload;
using kernel::Verdict;
using kernel::Wait;

namespace {

constexpr u64 magic = 0x3445'5249'574f'5356;  // "VSOWIRE4"

struct Fixed {
    u64 magic;
    u32 kind;
    u32 base_file;
    u64 pages;
    u64 address;
    u64 lifeline;
    u64 page;
    u64 number;
    u64 window_first;
    u64 window_count;
    u32 protect;
    u32 levels;
    u32 text_bytes;
    u32 reserved;
};
struct FixedLevel {
    u64 seq;
    u32 slot;
    u32 has;  // 1 live, 2 pin, 4 process
};

template <class T>
void append(std::vector<std::byte>& out, const T& value) {
    const std::size_t at = out.size();
    out.resize(at + sizeof(T));
    std::memcpy(out.data() + at, &value, sizeof(T));
}

tl::unexpected<Error> malformed(std::string_view what) {
    return fail(ErrorKind::peer, 0,
                "the other process sent {}; both ends must be the same version of Verso", what);
}

}  // namespace

std::vector<std::byte> encode(const Message& message) {
    const std::string text = message.text.substr(0, text_bytes_max);
    std::vector<std::byte> out;
    append(out, Fixed{magic, static_cast<u32>(message.kind), static_cast<u32>(message.base_file),
                      message.pages, message.address, message.lifeline, message.page,
                      message.number, message.window.first, message.window.count,
                      message.protect ? u32{1} : u32{0},
                      static_cast<u32>(message.levels.size()), static_cast<u32>(text.size()), 0});
    for (const LevelInfo& level : message.levels) {
        append(out,
               FixedLevel{level.seq, level.slot,
                          (level.has_live ? u32{1} : u32{0}) | (level.has_pin ? u32{2} : u32{0}) |
                              (level.has_process ? u32{4} : u32{0})});
    }
    const auto bytes = std::as_bytes(std::span(text));
    out.insert(out.end(), bytes.begin(), bytes.end());
    return out;
}

Result<Message> decode(std::span<const std::byte> bytes) {
    Fixed fixed{};
    if (bytes.size() < sizeof fixed) {
        return malformed("a message that is too short");
    }
    std::memcpy(&fixed, bytes.data(), sizeof fixed);
    if (fixed.magic != magic || fixed.kind < static_cast<u32>(Kind::offer) ||
        fixed.kind > static_cast<u32>(kind_last) || fixed.base_file > 1) {
        return malformed("something that is not a message");
    }
    if (fixed.levels > Limits::depth_max || fixed.text_bytes > text_bytes_max ||
        bytes.size() != sizeof fixed + fixed.levels * sizeof(FixedLevel) + fixed.text_bytes) {
        return malformed("a message whose parts do not add up");
    }
    if (fixed.pages > to_pages(Limits::region_bytes_max) || !is_page_aligned(fixed.address) ||
        !is_page_aligned(fixed.lifeline)) {
        return malformed("an impossible size or address");
    }
    Message message;
    message.kind = static_cast<Kind>(fixed.kind);
    message.base_file = static_cast<BaseFile>(fixed.base_file);
    message.pages = fixed.pages;
    message.address = fixed.address;
    message.lifeline = fixed.lifeline;
    message.page = fixed.page;
    message.number = fixed.number;
    message.window = {fixed.window_first, fixed.window_count};
    message.protect = fixed.protect != 0;
    std::size_t at = sizeof fixed;
    for (u32 i = 0; i < fixed.levels; ++i, at += sizeof(FixedLevel)) {
        FixedLevel level{};
        std::memcpy(&level, bytes.data() + at, sizeof level);
        if (level.slot >= Limits::snapshots_max || level.seq == 0) {
            return malformed("a layer that cannot be");
        }
        message.levels.push_back({level.seq, level.slot, (level.has & 1) != 0, (level.has & 2) != 0,
                                  (level.has & 4) != 0});
    }
    message.text.assign(reinterpret_cast<const char*>(bytes.data() + at),
                        fixed.text_bytes);  // NOLINT
    return message;
}

Outcome send(kernel::Kernel& kernel, int socket, const Message& message, std::span<const int> fds) {
    const std::vector<std::byte> bytes = encode(message);
    return kernel.perform(Call::socket_send(socket), Payload{.in = bytes, .fds = fds});
}

namespace {
/// What is the matter with a descriptor at this moment.
Wait look_at(kernel::Kernel& kernel, int fd) {
    while (true) {
        std::array<Wait, 1> waits{Wait{fd}};
        const Outcome waited = kernel.perform(Call::wait(0), Payload{.waits = waits});
        if (waited.ok() || waited.verdict == Verdict::timed_out) {
            return waits[0];
        }
    }
}
}  // namespace

bool has_hung_up(kernel::Kernel& kernel, int socket) { return look_at(kernel, socket).hung_up; }

bool has_ended(kernel::Kernel& kernel, int process) {
    return process >= 0 && look_at(kernel, process).ready;
}

bool ends_soon(kernel::Kernel& kernel, int process) {
    constexpr u64 patience_ns = 2'000'000'000;
    const u64 deadline = kernel.now_ns() + patience_ns;
    while (!has_ended(kernel, process)) {
        if (kernel.now_ns() >= deadline) {
            return false;
        }
        (void)kernel.perform(Call::wait(1));
    }
    return true;
}

Fd this_process(kernel::Kernel& kernel) {
    const Outcome opened = kernel.perform(Call::process_self());
    return opened.ok() ? Fd(static_cast<int>(opened.value)) : Fd();
}

bool send_or_gone(kernel::Kernel& kernel, int socket, const Message& message,
                  std::span<const int> fds) {
    while (!send(kernel, socket, message, fds).ok()) {
        if (has_hung_up(kernel, socket)) {
            return false;
        }
        (void)kernel.perform(Call::wait(1));
    }
    return true;
}

Result<Received> receive_now(kernel::Kernel& kernel, int socket) {
    std::array<std::byte, message_bytes_max> buffer;
    Received received;
    const Outcome outcome = kernel.perform(Call::socket_receive(socket),
                                           Payload{.out = buffer, .received = &received.fds});
    if (!outcome.ok()) {
        return refuse(outcome, "receiving from the other process");
    }
    Result<Message> message =
        decode(std::span<const std::byte>(buffer).first(static_cast<std::size_t>(outcome.value)));
    if (!message) {
        return pass(message);
    }
    received.message = std::move(*message);
    return received;
}

Result<Received> receive(kernel::Kernel& kernel, int socket, Kind wanted, int timeout_ms) {
    const u64 deadline = kernel.now_ns() + static_cast<u64>(timeout_ms) * 1'000'000;
    while (true) {
        const u64 now = kernel.now_ns();
        std::array<Wait, 1> waits{Wait{socket}};
        const Outcome waited =
            kernel.perform(Call::wait(now < deadline ? (deadline - now) / 1'000'000 + 1 : 0),
                           Payload{.waits = waits});
        if (waited.verdict == Verdict::interrupted) {
            continue;
        }
        if (!waited.ok() && waited.verdict != Verdict::timed_out) {
            return refuse(waited, "waiting for the other process");
        }
        if (!waits[0].ready && !waits[0].hung_up) {
            return fail(ErrorKind::peer, 0, "the other process did not answer within {} ms",
                        timeout_ms);
        }
        Result<Received> received = receive_now(kernel, socket);
        if (!received && received.error().os_error == EAGAIN) {
            continue;
        }
        if (!received) {
            return received;
        }
        if (received->message.kind == Kind::refused) {
            return fail(ErrorKind::peer, 0, "the other process refused: {}",
                        received->message.text);
        }
        if (received->message.kind != wanted) {
            return malformed("a message out of order");
        }
        return received;
    }
}

}  // namespace verso::engine::wire
