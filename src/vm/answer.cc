// When a guest answers: see the header. What it prints is read without pause: each character is a
// buffer of its own in the socket, and some three hundred that nobody reads stop the guest's port.
#include "vm/answer.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>

#include <sys/socket.h>

#include "vm/socket.h"

namespace verso::vm {
namespace {

/// Reads what is there. 0 bytes: QEMU has gone.
Result<std::string_view> read_some(int from, std::array<char, 4096>& buffer, int timeout_ms) {
    if (!wait_readable(from, timeout_ms)) {
        return fail(ErrorKind::peer, ETIMEDOUT, "nothing came");
    }
    ssize_t count = -1;
    do {
        // Why safe: writes no further than the buffer's length.
        count = ::recv(from, buffer.data(), buffer.size(), 0);
    } while (count < 0 && errno == EINTR);
    if (count <= 0) {
        return fail(ErrorKind::peer, count < 0 ? errno : 0, "its QEMU has gone");
    }
    return std::string_view(buffer.data(), static_cast<std::size_t>(count));
}

}  // namespace

Result<void> check_question(const Question& question) {
    if (question.line.find('\n') != std::string::npos ||
        question.text.find('\n') != std::string::npos) {
        return fail(ErrorKind::invalid_argument, 0,
                    "--ask and --answer take one line each; leave the line break out");
    }
    if (!question.typed && question.text.empty()) {
        return fail(ErrorKind::invalid_argument, 0,
                    "--answer: an empty text is printed at once; say what is to be waited for");
    }
    if (!question.text.empty() && question.line.find(question.text) != std::string::npos) {
        return fail(ErrorKind::invalid_argument, 0,
                    "--answer '{}' is part of what is typed, and most guests echo that; choose a "
                    "text that only the answer has",
                    question.text);
    }
    return {};
}

Result<ConsoleTalk> ConsoleTalk::open(const std::string& socket, int timeout_ms) {
    Result<Fd> opened = connect_within(socket, SocketKind::stream, timeout_ms);
    if (!opened) {
        return pass(opened, "the console");
    }
    return ConsoleTalk(std::move(*opened));
}

Result<void> ConsoleTalk::type(const std::string& line) const {
    std::string_view rest = line;
    while (!rest.empty()) {
        // Why safe: reads only what the view covers.
        const ssize_t sent = ::send(socket_.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent <= 0) {
            return fail(ErrorKind::peer, errno, "typing on the console: {}", std::strerror(errno));
        }
        rest.remove_prefix(static_cast<std::size_t>(sent));
    }
    return {};
}

Result<void> ConsoleTalk::ask(const Question& question) {
    const Deadline deadline(question.timeout_ms);
    std::array<char, 4096> buffer{};
    if (question.typed) {
        while (read_some(socket_.get(), buffer, 0)) {}  // printed before: no answer to this
        if (Result<void> typed = type(question.line + "\n"); !typed) {
            return typed;
        }
    }
    std::string seen;
    while (!deadline.over()) {
        Result<std::string_view> some = read_some(socket_.get(), buffer, deadline.left_ms());
        if (!some && some.error().os_error == ETIMEDOUT) {
            break;
        }
        if (!some) {
            return pass(some);
        }
        seen += *some;
        if (seen.find(question.text) != std::string::npos) {  // an empty text is always there
            return {};
        }
        const std::size_t kept = std::min(seen.size(), question.text.size());
        seen.erase(0, seen.size() - kept);
    }
    return fail(ErrorKind::peer, ETIMEDOUT, "it did not answer in {} s",
                question.timeout_ms / 1000);
}

}  // namespace verso::vm
