// api/: the implementation of include/verso/: the public classes as thin handles on engine
// regions, over the running kernel. Nothing is decided here.
// Locks: none. May include: base, abi, kernel, linux, engine.
#pragma once

#include "engine/engine.h"
#include "verso/verso.hpp"

namespace verso {

/// The process' one runtime over the running kernel. Never destroyed: threads may use it to the
/// very end.
engine::Runtime& process_runtime();

struct Region::Impl {
    std::shared_ptr<engine::Region> region;
};
struct Snapshot::Impl {
    std::shared_ptr<engine::Snapshot> snapshot;
};

/// For tests and tools that bring a kernel of their own.
Region wrap(std::shared_ptr<engine::Region> region);

}  // namespace verso
