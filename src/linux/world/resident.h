// A process of a world, seen from inside: it does what its sockets ask for and nothing else.
#pragma once

#include "base/fd.h"

namespace verso::host {

/// Serves the socket until its other end closes, then ends the process. In a process that was
/// forked for this; never returns.
[[noreturn]] void reside(Fd socket);

}  // namespace verso::host
