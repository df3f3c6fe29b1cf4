// The clock that a guest lives by: QEMU's virtual clock, which its timers, its TSC and its ticks
// come from. It stands while the guest does, so the guest itself sees nothing of a moment of
// standing still, unless it looks at a clock of outside. What it missed shows from here: how much
// further this machine's clock has gone.
#pragma once

#include <string>

#include "base/result.h"
#include "base/types.h"

namespace verso::vm {

/// Both at one moment, as the agent in the QEMU read them.
struct ClockReading {
    u64 guest_ns = 0;
    u64 host_ns = 0;
};
/// Refused by a QEMU whose program does not show that clock (Debian's does). With -icount it counts
/// instructions, and what was missed means nothing.
Result<ClockReading> read_guest_clock(const std::string& agent_socket);

/// How much the guest missed between the two.
u64 missed_ns(const ClockReading& before, const ClockReading& after);
/// How far a child's clock is behind its source's.
u64 behind_ns(const ClockReading& child, const ClockReading& source);

}  // namespace verso::vm
