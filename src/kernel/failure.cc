// errno to Verdict: the general table, and the two answers that userfaultfd gives in its own way.
// EAGAIN is general nowhere: its meaning belongs to the call.
#include <cerrno>

#include "kernel/outcome.h"

namespace verso::kernel {
namespace {
Verdict verdict_of(int error) {
    switch (error) {
        case EEXIST: return Verdict::exists;
        case EAGAIN: return Verdict::would_block;
        case ENOENT: return Verdict::no_such_range;
        case EFAULT: return Verdict::no_page;
        case ESRCH: return Verdict::target_gone;
        case ENOMEM:
        case ENOSPC: return Verdict::no_memory;
        case EMFILE:
        case ENFILE: return Verdict::no_descriptors;
        case EINTR: return Verdict::interrupted;
        case EINVAL: return Verdict::invalid;
        case EPERM:
        case EACCES: return Verdict::denied;
        case EBUSY: return Verdict::busy;
        case ENOSYS:
        case ENOTTY:
        case EOPNOTSUPP:
        case ENODEV: return Verdict::unsupported;
        case EPIPE:
        case ECONNRESET: return Verdict::closed;
        case ETIMEDOUT: return Verdict::timed_out;
        default: return Verdict::other;
    }
}
}  // namespace

Outcome failure(int error) { return {verdict_of(error), error, 0, 0}; }

Outcome range_outcome(int error) {
    if (error == 0) {
        return Outcome::done();
    }
    Outcome outcome = failure(error);
    if (error == EAGAIN) {
        outcome.verdict = Verdict::layout_changing;
    }
    return outcome;
}

Outcome fill_outcome(int error, i64 bytes, u64 length) {
    if (error == 0) {
        return Outcome::done(static_cast<i64>(length));
    }
    if (bytes > 0) {
        return {Verdict::partial, error, bytes, 0};
    }
    return range_outcome(error);
}

}  // namespace verso::kernel
