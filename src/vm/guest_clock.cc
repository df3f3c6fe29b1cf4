// The clock that a guest lives by: see the header.
#include "vm/guest_clock.h"

#include <nlohmann/json.hpp>

#include "vm/keeper.h"

namespace verso::vm {
namespace {

u64 positive(i64 ns) { return ns < 0 ? 0 : static_cast<u64>(ns); }
i64 between(u64 from, u64 to) { return static_cast<i64>(to - from); }

}  // namespace

Result<ClockReading> read_guest_clock(const std::string& agent_socket) {
    constexpr int timeout_ms = 5'000;
    Result<Json> clock = ask(agent_socket, Json{{"do", "clock"}}, {}, timeout_ms);
    if (!clock) {
        return pass(clock);
    }
    return ClockReading{number_at(*clock, "guest_ns"), number_at(*clock, "host_ns")};
}

u64 missed_ns(const ClockReading& before, const ClockReading& after) {
    return positive(between(before.host_ns, after.host_ns) -
                    between(before.guest_ns, after.guest_ns));
}

u64 behind_ns(const ClockReading& child, const ClockReading& source) {
    return positive(between(child.guest_ns, source.guest_ns) -
                    between(child.host_ns, source.host_ns));
}

}  // namespace verso::vm
