// The two places where an address of this process stops being a number, and starts.
#pragma once

#include <cstdint>

#include "base/types.h"

namespace verso::host {

// NOLINTBEGIN(cppcoreguidelines-pro-type-reinterpret-cast,performance-no-int-to-ptr): its purpose
inline void* pointer_to(u64 address) {
    return reinterpret_cast<void*>(static_cast<std::uintptr_t>(address));
}
inline u64 address_of(const void* pointer) {
    return static_cast<u64>(reinterpret_cast<std::uintptr_t>(pointer));
}
// NOLINTEND(cppcoreguidelines-pro-type-reinterpret-cast,performance-no-int-to-ptr)

}  // namespace verso::host
