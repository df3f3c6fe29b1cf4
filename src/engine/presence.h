// Whether the memory that a userfaultfd serves in another process is still there. A socket that has
// closed does not say so: shutdown(2) by anybody who has a copy of it, or `ss -K`, closes it over
// the heads of two processes that go on. Nor does the memory itself: for a moment a chunk of it is
// registered with nobody while it moves to the frozen layer (move.cc), and where that step is
// refused it stays so.
//
//   the child's process                          the source's
//   Lifeline: a page of nothing, registered      Presence: a UFFDIO_COPY to it, from a page that
//   until the child's memory has ended           cannot be read; it changes nothing
//
//   ESRCH    the address space has gone (exit, exec)
//   ENOENT   nothing there is registered with this userfaultfd: the child's memory has ended
//   EFAULT, EEXIST, EAGAIN …   the memory is there
#pragma once

#include "base/result.h"
#include "engine/filler.h"
#include "engine/mapping.h"

namespace verso::engine {

/// Nobody touches the page. It costs a child one mapping.
class Lifeline {
public:
    Lifeline() = default;
    static Result<Lifeline> tie(kernel::Kernel& kernel, int uffd);
    /// While the userfaultfd is open: a mapping that ends registered is an event that nobody reads.
    void cut(kernel::Kernel& kernel, int uffd);
    u64 address() const { return page_.address(); }

private:
    Mapping page_;
};

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
