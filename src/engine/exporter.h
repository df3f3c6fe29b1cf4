// The source's side of a child in another process: the handshake, and the service that fills the
// child for as long as both live. See wire.h for the conversation.
#pragma once

#include "engine/region.h"

namespace verso::engine {

/// Returns once the child can run. `socket` is borrowed; the service keeps a duplicate.
Result<void> export_child(const std::shared_ptr<Region>& region, Layer& layer, int socket,
                          int timeout_ms);

}  // namespace verso::engine
