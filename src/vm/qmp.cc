// QEMU's monitor protocol: see the header.
#include "vm/qmp.h"

#include <array>
#include <cerrno>
#include <cstring>

#include <fmt/core.h>
#include <nlohmann/json.hpp>
#include <sys/socket.h>
#include <unistd.h>

#include "vm/socket.h"

namespace verso::vm {
namespace {
constexpr std::size_t line_bytes_max = 16 << 20;

bool is_answer(const Json& said) { return said.contains("return") || said.contains("error"); }
}  // namespace

Result<Qmp> Qmp::connect(const std::string& path, int timeout_ms) {
    const Deadline deadline(timeout_ms);
    Result<Fd> socket = connect_within(path, SocketKind::stream, timeout_ms);
    if (!socket) {
        return pass(socket, "QEMU's monitor");
    }
    return over(std::move(*socket), deadline.left_ms());
}

Result<Qmp> Qmp::over(Fd socket, int timeout_ms) {
    Qmp made(std::move(socket));
    const Deadline deadline(timeout_ms);
    Result<Json> greeting = made.read_object(timeout_ms);
    while (greeting && is_answer(*greeting)) {  // to whoever was connected before
        greeting = made.read_object(deadline.left_ms());
    }
    if (!greeting) {
        return pass(greeting, "waiting for QEMU's greeting");
    }
    if (!part_at(*greeting, "QMP").is_object()) {
        return fail(ErrorKind::peer, 0, "what answers there does not greet as QEMU does");
    }
    if (Result<Json> ready = made.execute("qmp_capabilities", {}, deadline.left_ms()); !ready) {
        return pass(ready);
    }
    return made;
}

Result<Json> Qmp::execute(std::string_view command) { return execute(command, Json()); }

Result<Json> Qmp::execute(std::string_view command, const Json& arguments, int timeout_ms, int fd) {
    Json request;
    request["execute"] = command;
    // Of this process and this moment, so that no other client's answers have it.
    const std::string id = fmt::format("{}-{}-{}", ::getpid(), now_ns(), ++commands_);
    request["id"] = id;
    if (arguments.is_object()) {
        request["arguments"] = arguments;
    }
    const std::string line = to_line(request) + "\n";
    const std::array<int, 1> fds{fd};
    if (Result<void> sent = send_packet(socket_.get(), line, std::span(fds).first(fd >= 0 ? 1 : 0));
        !sent) {
        return pass(sent, std::string(command));
    }
    const Deadline deadline(timeout_ms);
    while (true) {
        Result<Json> said = read_object(deadline.left_ms());
        if (!said) {
            return pass(said, std::string(command));
        }
        if (is_answer(*said) && text_at(*said, "id") != id) {
            continue;
        }
        if (said->contains("return")) {
            return (*said)["return"];
        }
        const Json& error = part_at(*said, "error");
        if (!error.is_null()) {
            return fail(ErrorKind::system, 0, "QEMU refuses {}: {}", command,
                        text_at(error, "desc", "without a reason"));
        }
        if (!said->contains("event")) {
            return fail(ErrorKind::peer, 0, "QEMU answers {} with neither return nor error",
                        command);
        }
    }
}

u64 Qmp::seen(const std::string& event) const {
    const auto at = events_.find(event);
    return at == events_.end() ? 0 : at->second.count;
}

u64 Qmp::last_at_us(const std::string& event) const {
    const auto at = events_.find(event);
    return at == events_.end() ? 0 : at->second.at_us;
}

Result<Json> Qmp::read_object(int timeout_ms) {
    Result<std::string> line = read_line(timeout_ms);
    if (!line) {
        return pass(line);
    }
    Json object = parse_json(*line);
    if (!object.is_object()) {
        return fail(ErrorKind::peer, 0, "QEMU said something that is not a JSON object: {}",
                    line->substr(0, 80));
    }
    const std::string event = text_at(object, "event");
    if (!event.empty()) {
        const Json& stamp = part_at(object, "timestamp");
        Heard& heard = events_[event];
        ++heard.count;
        heard.at_us = number_at(stamp, "seconds") * 1'000'000 + number_at(stamp, "microseconds");
    }
    return object;
}

Result<std::string> Qmp::read_line(int timeout_ms) {
    const Deadline deadline(timeout_ms);
    std::size_t looked_at = 0;
    while (true) {
        const std::size_t end = unread_.find('\n', looked_at);
        if (end != std::string::npos) {
            std::string line = unread_.substr(0, end);
            unread_.erase(0, end + 1);
            return line;
        }
        looked_at = unread_.size();
        if (unread_.size() > line_bytes_max) {
            return fail(ErrorKind::peer, EMSGSIZE, "QEMU said more than {} bytes on one line",
                        line_bytes_max);
        }
        if (!wait_readable(socket_.get(), deadline.left_ms())) {
            return fail(ErrorKind::peer, ETIMEDOUT, "QEMU did not answer in {} ms", timeout_ms);
        }
        std::array<char, 16384> some{};
        // Why safe: writes no further than the buffer's length.
        const ssize_t got = ::recv(socket_.get(), some.data(), some.size(), 0);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return fail(ErrorKind::peer, got < 0 ? errno : 0, "QEMU has gone");
        }
        unread_.append(some.data(), static_cast<std::size_t>(got));
    }
}

}  // namespace verso::vm
