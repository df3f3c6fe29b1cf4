// Qmp: QEMU's monitor protocol, a JSON object a line over a Unix socket. QEMU greets, is told
// qmp_capabilities, and then answers each command with "return" or "error"; events come in between
// at any time and are remembered by name.
//
// QEMU gives the answer to a client that was killed to the next one that connects (7.2: seen when
// the former had just said `stop`). So each command has an id, and other answers are passed over.
//
// Everything has a limit: the time that an answer may take and the length of a line. After an error
// of ErrorKind::peer the connection is of no further use.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"
#include "base/types.h"
#include "vm/json.h"

namespace verso::vm {

inline constexpr int qmp_timeout_ms = 60'000;

class Qmp {
public:
    /// Tries until QEMU listens there. Of clients QEMU serves one at a time: a second one waits for
    /// its greeting until the first has gone.
    static Result<Qmp> connect(const std::string& path, int timeout_ms = qmp_timeout_ms);
    /// Over a connected socket.
    static Result<Qmp> over(Fd socket, int timeout_ms = qmp_timeout_ms);

    /// What QEMU returned. `fd`, if there is one, travels beside the command (getfd).
    Result<Json> execute(std::string_view command, const Json& arguments,
                         int timeout_ms = qmp_timeout_ms, int fd = -1);
    Result<Json> execute(std::string_view command);

    /// How often this event has been heard of since the connection was made.
    u64 seen(const std::string& event) const;
    /// When QEMU says that it last was, in microseconds of the wall clock; 0: never.
    u64 last_at_us(const std::string& event) const;

private:
    explicit Qmp(Fd socket) : socket_(std::move(socket)) {}
    Result<std::string> read_line(int timeout_ms);
    Result<Json> read_object(int timeout_ms);

    Fd socket_;
    u64 commands_ = 0;
    std::string unread_;
    struct Heard {
        u64 count = 0;
        u64 at_us = 0;
    };
    std::map<std::string, Heard> events_;
};

}  // namespace verso::vm
