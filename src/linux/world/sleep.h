// Whether the kernel lets a thread of another process sleep in the call that it is making.
#pragma once

#include <sys/types.h>

#include "base/types.h"

namespace verso::host {

enum class Doing : u8 {
    runs,        // or is about to
    sleeps,      // somewhere: for a moment, or for good
    is_blocked,  // waits for the reader of a userfaultfd
    gone,
};

Doing doing_of(pid_t process, pid_t thread);
/// How often it went to sleep so far.
u64 sleeps_of(pid_t process, pid_t thread);

}  // namespace verso::host
