// The receiving side of a child from another process.
#pragma once

#include "engine/region.h"

namespace verso::engine {

Result<std::shared_ptr<Region>> import_child(Runtime& runtime, int socket,
                                             const ImportOptions& options);

}  // namespace verso::engine
