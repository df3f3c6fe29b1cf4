// verso vm console: bytes go both ways between this terminal and the guest's first serial port.
// What the guest prints while nobody is attached is in console.log.
#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>

#include <poll.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "vm/machine.h"
#include "vm/socket.h"
#include "vm/verbs.h"

namespace verso::vm {
namespace {

constexpr char escape_key = 0x1d;  // Ctrl-]
constexpr int leave_timeout_ms = 5'000;

/// A terminal that hands every key on at once, as long as this lives.
class RawTerminal {
public:
    explicit RawTerminal(int terminal) : terminal_(terminal) {
        raw_ = ::tcgetattr(terminal_, &before_) == 0;
        if (raw_) {
            termios raw = before_;
            ::cfmakeraw(&raw);
            ::tcsetattr(terminal_, TCSANOW, &raw);
        }
    }
    ~RawTerminal() {
        if (raw_) {
            ::tcsetattr(terminal_, TCSANOW, &before_);
        }
    }
    RawTerminal(const RawTerminal&) = delete;
    RawTerminal& operator=(const RawTerminal&) = delete;

private:
    int terminal_;
    bool raw_ = false;
    termios before_{};
};

bool write_all(int to, std::string_view bytes) {
    while (!bytes.empty()) {
        // Why safe: reads only what the view covers.
        const ssize_t sent = ::write(to, bytes.data(), bytes.size());
        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent <= 0) {
            return false;
        }
        bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
}

/// Reads what is there; false at the end.
bool read_some(int from, std::array<char, 4096>& buffer, std::string_view& got) {
    ssize_t count = -1;
    do {
        // Why safe: writes no further than the buffer's length.
        count = ::read(from, buffer.data(), buffer.size());
    } while (count < 0 && errno == EINTR);
    got = std::string_view(buffer.data(), count > 0 ? static_cast<std::size_t>(count) : 0);
    return count > 0;
}

/// A socket that is closed may take with it what QEMU has not read yet. So it is only said that no
/// more will come, and QEMU closes it.
void leave_in_order(int console, int output) {
    ::shutdown(console, SHUT_WR);
    const Deadline deadline(leave_timeout_ms);
    std::array<char, 4096> buffer{};
    std::string_view got;
    while (wait_readable(console, deadline.left_ms()) && !deadline.over() &&
           read_some(console, buffer, got) && write_all(output, got)) {}
}

}  // namespace

Result<void> attach_console(const RuntimeDir& dir, const std::string& name, int input, int output) {
    Result<Record> record = load_record(dir, name);
    if (!record) {
        return pass(record);
    }
    if (!is_alive(record->process)) {
        return fail(ErrorKind::peer, 0, "'{}' is not running; what it printed is in {}", name,
                    dir.file(name, "console.log"));
    }
    Result<Fd> console = connect_to(dir.file(name, "console.sock"), SocketKind::stream);
    if (!console) {
        return pass(console, "the console");
    }
    const RawTerminal raw(input);
    std::array<char, 4096> buffer{};
    std::string_view got;
    while (true) {
        std::array<pollfd, 2> waiting{pollfd{console->get(), POLLIN, 0}, pollfd{input, POLLIN, 0}};
        // Why safe: fills structs of ours.
        if (::poll(waiting.data(), waiting.size(), -1) < 0) {
            if (errno == EINTR) {
                continue;
            }
            return fail(ErrorKind::system, errno, "waiting for the console: {}",
                        std::strerror(errno));
        }
        if (waiting[0].revents != 0 &&
            (!read_some(console->get(), buffer, got) || !write_all(output, got))) {
            return {};
        }
        if (waiting[1].revents == 0) {
            continue;
        }
        const bool more = read_some(input, buffer, got);
        const std::size_t escape = got.find(escape_key);
        if (!write_all(console->get(), got.substr(0, escape)) || escape != std::string_view::npos) {
            return {};
        }
        if (!more) {
            leave_in_order(console->get(), output);
            return {};
        }
    }
}

}  // namespace verso::vm
