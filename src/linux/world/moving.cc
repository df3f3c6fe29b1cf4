// One system call, twice.
#include "linux/world/moving.h"

#include <cerrno>

#include <sys/syscall.h>
#include <unistd.h>

#include "linux/calls.h"

namespace verso::host {

kernel::Outcome move_pages(u64 address, u64 length) {
    constexpr int default_policy = 0;
    constexpr unsigned own_pages = 1U << 1;
    constexpr unsigned shared_pages_too = 1U << 2;
    // Why safe: contents stay; addresses are the caller's, no list of nodes is read.
    long result = ::syscall(SYS_mbind, address, length, default_policy, nullptr, 0UL,
                            own_pages | shared_pages_too);
    if (result != 0 && errno == EPERM) {  // shared pages are root's to move
        // Why safe: as above.
        result = ::syscall(SYS_mbind, address, length, default_policy, nullptr, 0UL, own_pages);
    }
    return result_of(result);
}

}  // namespace verso::host
