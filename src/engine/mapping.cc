// Mapping: see the header.
#include "engine/mapping.h"

namespace verso::engine {

Result<Mapping> Mapping::map(kernel::Kernel& kernel, int fd, u64 offset, u64 length, u64 flags,
                             std::string_view what, u64 address) {
    const kernel::Outcome outcome =
        kernel.perform(kernel::Call::map(fd, offset, length, flags, address));
    if (!outcome.ok()) {
        return refuse(outcome, fmt::format("mapping {} ({} bytes)", what, length));
    }
    Mapping mapping;
    mapping.kernel_ = &kernel;
    mapping.address_ = static_cast<u64>(outcome.value);
    mapping.length_ = length;
    return mapping;
}

void Mapping::reset() {
    if (length_ != 0) {
        const kernel::Outcome outcome = kernel_->perform(kernel::Call::unmap(address_, length_));
        // The range may already be gone: the application may have unmapped it, which munmap
        // forgives.
        (void)outcome;
    }
    address_ = 0;
    length_ = 0;
}

}  // namespace verso::engine
