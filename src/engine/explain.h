// Turns a kernel's answer into a sentence a user can act on: what was being done, what the kernel
// said, what usually helps.
#pragma once

#include <string_view>

#include "base/result.h"
#include "kernel/outcome.h"

namespace verso::engine {

Error explain(const kernel::Outcome& outcome, std::string_view doing);

inline tl::unexpected<Error> refuse(const kernel::Outcome& outcome, std::string_view doing) {
    return tl::unexpected<Error>(explain(outcome, doing));
}

}  // namespace verso::engine
