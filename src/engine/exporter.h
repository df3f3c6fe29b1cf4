// The source's side of a child in another process: the handshake, and the service that fills the
// child for as long as both live. See wire.h for the conversation.
#pragma once

#include "engine/child_service.h"
#include "engine/region.h"

namespace verso::engine {

/// Returns once the child can run. `socket` is borrowed; the service keeps a duplicate.
Result<void> export_child(const std::shared_ptr<Region>& region, Layer& layer, int socket,
                          int timeout_ms);

/// The service of a child that another engine exported, from what that one put away: socket,
/// userfaultfd and perhaps pidfd. Does nothing until its decide(), which must come.
Result<ChildService*> resume_child(const std::shared_ptr<Region>& region, Layer& layer,
                                   std::vector<Fd> fds, u64 address, u64 lifeline,
                                   std::string name);

}  // namespace verso::engine
