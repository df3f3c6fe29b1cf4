// The commit: given by the build (CMakeLists.txt), for this file alone.
#include "cli/commit.h"

namespace verso::cli {

const char* commit() { return VERSO_COMMIT; }

}  // namespace verso::cli
