// Presence: whether the memory that a userfaultfd serves in another process is still there. A
// socket that has closed does not say so: shutdown(2) by anybody who has a copy of it, or `ss -K`,
// closes it over the heads of two processes that go on.
//
// Asked by a UFFDIO_COPY from a page that cannot be read. It changes nothing:
//
//   ESRCH    the address space has gone (exit, exec)
//   ENOENT   nothing there is registered with this userfaultfd
//   EFAULT, EEXIST, EAGAIN …   the memory is there
#pragma once

#include "base/result.h"
#include "engine/filler.h"
#include "engine/mapping.h"

namespace verso::engine {

class Presence {
public:
    explicit Presence(kernel::Kernel& kernel) : kernel_(kernel) {}
    /// False: all of it has gone. What cannot be found out counts as there.
    bool still_there(const FillTarget& target);

private:
    kernel::Kernel& kernel_;
    Mapping unreadable_;
};

}  // namespace verso::engine
