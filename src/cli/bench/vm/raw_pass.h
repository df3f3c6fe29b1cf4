// The raw protection pass: one UFFDIO_WRITEPROTECT over a mapping that has pages where the guest
// has them. No snapshot by write-protection can let a guest stand still for less than this.
#pragma once

#include <sys/types.h>

#include "base/result.h"
#include "base/types.h"

namespace verso::cli::bench {

struct RawPass {
    u64 ns = 0;
    u64 populated_bytes = 0;
};
/// `qemu`: a QEMU whose guest memory is a memfd.
Result<RawPass> raw_pass_like(pid_t qemu, u64 size_mib);

}  // namespace verso::cli::bench
