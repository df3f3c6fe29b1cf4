// errno to Verdict: the general table. EAGAIN is missing on purpose: its meaning belongs to the
// call.
#include "linux/calls.h"

namespace verso::host {
namespace {
using kernel::Verdict;

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

}  // namespace verso::host
