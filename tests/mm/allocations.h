// How often a piece of code allocates: operator new counts, in the whole test binary.
#pragma once

#include <cstddef>

namespace verso::mm {

/// Calls of operator new so far, by this thread.
std::size_t allocations();

template <class Act>
std::size_t allocations_of(Act&& act) {
    const std::size_t before = allocations();
    act();
    return allocations() - before;
}

}  // namespace verso::mm
