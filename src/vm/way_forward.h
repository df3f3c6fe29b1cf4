// The way forward: out of a rewind that cannot be finished, to where the guest was when it was
// stopped. The verb goes it where QEMU refuses a step; its guard does where the verb was killed.
//
//   memory    the engine's snapshot .before             (of the moment when it was stopped)
//   devices   QEMU's own, in the store of that name
//   disks     the new layers may be the tops already, over what was the top: nothing is missing,
//             but they name another layer below them
//
// The guest stands still.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "vm/device_state.h"
#include "vm/json.h"
#include "vm/qmp.h"

namespace verso::vm {

/// With the keeper and in the store.
inline constexpr const char* before_rewind = ".before";

struct WayForward {
    std::string region;
    std::string keeper;
    StateStore before;
    std::vector<std::string> overlays;  // become the disks' tops,
    std::vector<std::string> tops;      // which were these,
    std::vector<std::string> below;     // and are to stand on those in the end
};

Json json_of(const WayForward& way);
WayForward way_forward_of(const Json& json);

/// Memory and devices.
Result<void> go_forward(Qmp& qmp, const WayForward& way);

/// For a rewind that was cut off at a step that is not known: to its end if nothing but `cont` was
/// left to do, else to where the guest was.
Result<void> finish_or_go_forward(Qmp& qmp, const WayForward& way);

}  // namespace verso::vm
