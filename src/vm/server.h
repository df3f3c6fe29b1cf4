// The page server: one process per user that keeps the memory of all root VMs (keeper.h). It is
// started by the first verb that needs it and ends by itself when it has kept nothing for a while;
// when it is killed, another takes over (safe.h).
// Each request has a thread; each region has the engine's threads besides, so that the faults of
// several machines are served side by side.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "vm/json.h"
#include "vm/runtime_dir.h"

namespace verso::vm {

/// Answers requests at a listening socket until `over` says so, asked when nothing happens.
void serve_requests(int listening,
                    const std::function<Json(const Json&, const std::vector<Fd>&)>& answer,
                    const std::function<bool()>& over);

/// `verso vm-server`, started by the safe (safe.h) with its descriptors: takes over what the
/// server before it has put away, and returns when there is nothing left to keep.
Result<void> page_server();

/// Ends one and its safe, by which it would be started again, whatever it keeps.
void end_server(const RuntimeDir& dir);

/// Sees to it that one answers at dir.server_socket().
Result<void> ensure_server(const RuntimeDir& dir);

}  // namespace verso::vm
