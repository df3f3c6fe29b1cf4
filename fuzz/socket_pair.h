// A connected pair of the sockets over which children and loans travel.
#pragma once

#include <utility>

#include <sys/socket.h>

#include "base/check.h"
#include "base/fd.h"

namespace verso::fuzz {

inline std::pair<Fd, Fd> socket_pair() {
    int ends[2] = {-1, -1};
    // Why safe: fills two ints of ours.
    const int made = ::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends);
    VERSO_CHECK(made == 0, "no socket pair");
    return {Fd(ends[0]), Fd(ends[1])};
}

}  // namespace verso::fuzz
