// Outcome: what the kernel answered, as a sum type. Callers switch over all of it (-Wswitch-enum);
// an errno that no caller can act on in a special way is `other`, with its number kept.
//
// Why not errno: EAGAIN alone means four things (a fill did part of the range; a layout event is
// unread; nothing to read; try again), and rivals lost data by treating them alike (H1, H2, H31).
#pragma once

#include <string>
#include <string_view>

#include "base/types.h"

namespace verso::kernel {

enum class Verdict : u8 {
    done,             // value: the call's result (descriptor, address, bytes, count)
    partial,          // a fill stopped early; value: bytes done, > 0; go on from there
    exists,           // EEXIST: a page is already there. It says nothing about who was woken (H1)
    layout_changing,  // EAGAIN of a uffd ioctl, nothing done: drain the events, then repeat (H2)
    would_block,      // EAGAIN of a read or receive: nothing there
    no_such_range,    // ENOENT: not mapped, or not registered with this userfaultfd (H9)
    no_page,          // EFAULT: no page to continue from, or an unreadable address
    target_gone,      // ESRCH: the address space has exited
    no_memory,        // ENOMEM, ENOSPC
    no_descriptors,   // EMFILE, ENFILE
    interrupted,      // EINTR
    invalid,          // EINVAL
    denied,           // EPERM, EACCES
    busy,             // EBUSY
    unsupported,      // ENOSYS, ENOTTY, EOPNOTSUPP, ENODEV
    closed,           // EPIPE, ECONNRESET, end of stream
    timed_out,        // the wait ran out
    signal,           // a load or store raised it; value: its number (SIGBUS, SIGSEGV)
    other,            // anything else; see `error`
};
inline constexpr unsigned verdict_count = static_cast<unsigned>(Verdict::other) + 1;

struct [[nodiscard]] Outcome {
    Verdict verdict = Verdict::other;
    int error = 0;     // errno, 0 where none
    i64 value = 0;     // see Verdict
    u64 walk_end = 0;  // pagemap_scan: the address where the walk stopped

    bool ok() const { return verdict == Verdict::done; }
    static Outcome done(i64 value = 0) { return {Verdict::done, 0, value, 0}; }
};

/// The general meaning of an errno. What differs per call (EAGAIN above all) is the call's to say.
Outcome failure(int error);
/// What the ioctls of a userfaultfd say that are not fills: EAGAIN means an unread layout event.
Outcome range_outcome(int error);
/// What a fill says: `error` is 0 if it succeeded, `bytes` its result field, which holds a negative
/// errno at times (H1, H2, H31).
Outcome fill_outcome(int error, i64 bytes, u64 length);

std::string_view name_of(Verdict verdict);
/// "denied (Operation not permitted)"
std::string to_string(const Outcome& outcome);

}  // namespace verso::kernel
