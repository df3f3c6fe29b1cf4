// operator new over malloc, with a count. In a file of its own, so that no caller sees through it
// and finds free() at the end of a new. AddressSanitizer goes on watching malloc.
#include "mm/allocations.h"

#include <cstdlib>
#include <new>

namespace verso::mm {
namespace {
thread_local std::size_t count = 0;
}  // namespace

std::size_t allocations() { return count; }

}  // namespace verso::mm

void* operator new(std::size_t size) {
    ++verso::mm::count;
    if (void* const memory = std::malloc(size == 0 ? 1 : size)) {
        return memory;
    }
    std::abort();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
