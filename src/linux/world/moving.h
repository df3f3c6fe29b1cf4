// Has the kernel move the pages of this process' own memory to other frames.
#pragma once

#include "base/types.h"
#include "kernel/outcome.h"

namespace verso::host {

/// mbind(2) with no policy and no nodes: every page is on a node that is not among "none", so
/// do_mbind queues all of them, and the default policy finds each a new frame, on the same node.
/// The mappings keep the policy that they have, which is none.
kernel::Outcome move_pages(u64 address, u64 length);

}  // namespace verso::host
