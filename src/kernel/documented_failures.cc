// Which answers each call is known to have: the table that failure walks run through. From the
// manual pages (section ERRORS) and, for the userfaultfd ioctls, whose pages leave some out, from
// what fs/userfaultfd.c and mm/userfaultfd.c return. Left out: EBADF and EFAULT on our own
// structures, which only a bug of ours produces, and what the call repeats by itself (EINTR of
// pread).
#include <array>
#include <cerrno>

#include "base/check.h"
#include "kernel/failing_kernel.h"

namespace verso::kernel {
namespace {

constexpr Outcome answer(Verdict verdict, int error, i64 value = 0) {
    return {verdict, error, value, 0};
}

constexpr Outcome no_descriptors = answer(Verdict::no_descriptors, EMFILE);
constexpr Outcome table_full = answer(Verdict::no_descriptors, ENFILE);
constexpr Outcome no_memory = answer(Verdict::no_memory, ENOMEM);
constexpr Outcome no_space = answer(Verdict::no_memory, ENOSPC);
constexpr Outcome invalid = answer(Verdict::invalid, EINVAL);
constexpr Outcome forbidden = answer(Verdict::denied, EPERM);
constexpr Outcome no_access = answer(Verdict::denied, EACCES);
constexpr Outcome interrupted = answer(Verdict::interrupted, EINTR);
constexpr Outcome too_big = answer(Verdict::other, EFBIG);
constexpr Outcome broken = answer(Verdict::other, EIO);
constexpr Outcome missing_call = answer(Verdict::unsupported, ENOSYS);
constexpr Outcome missing_ioctl = answer(Verdict::unsupported, ENOTTY);
constexpr Outcome layout_changing = answer(Verdict::layout_changing, EAGAIN);
constexpr Outcome would_block = answer(Verdict::would_block, EAGAIN);
constexpr Outcome exists = answer(Verdict::exists, EEXIST);
constexpr Outcome no_page = answer(Verdict::no_page, EFAULT);
constexpr Outcome no_range = answer(Verdict::no_such_range, ENOENT);
constexpr Outcome target_gone = answer(Verdict::target_gone, ESRCH);
constexpr Outcome one_page_only = answer(Verdict::partial, EAGAIN, static_cast<i64>(page_size));

using Answers = std::vector<Outcome>;

Answers file_failures(Op op) {
    if (op == Op::memfd_create) {
        return {no_descriptors, table_full, no_memory, forbidden};
    }
    if (op == Op::file_resize) {
        return {interrupted, invalid, forbidden, too_big, no_memory};
    }
    if (op == Op::file_punch) {
        return {interrupted, no_space, forbidden, answer(Verdict::unsupported, EOPNOTSUPP)};
    }
    if (op == Op::file_read) {
        return {broken, no_memory};
    }
    if (op == Op::file_write) {
        return {no_space, too_big, broken, forbidden, no_memory};
    }
    return {no_memory, answer(Verdict::other, EOVERFLOW)};  // file_size, file_used
}

Answers mapping_failures(Op op) {
    if (op == Op::map) {
        return {no_memory, no_access, forbidden, invalid, would_block, exists, table_full};
    }
    if (op == Op::unmap) {
        return {invalid, no_memory};  // ENOMEM: a hole in the middle would be one mapping too many
    }
    if (op == Op::protect) {
        return {no_memory, no_access, invalid};
    }
    if (op == Op::check_mapped) {
        return {no_memory};
    }
    return {no_memory, invalid, would_block, broken, forbidden};  // advise
}

Answers uffd_failures(Op op) {
    if (op == Op::uffd_open) {
        return {forbidden,      missing_call, answer(Verdict::unsupported, EINVAL),
                no_descriptors, table_full,   no_memory};
    }
    if (op == Op::uffd_register) {
        return {invalid, answer(Verdict::busy, EBUSY), no_memory, forbidden, missing_ioctl};
    }
    if (op == Op::uffd_write_protect) {
        return {layout_changing, no_range, target_gone, no_memory, no_page, invalid};
    }
    if (op == Op::uffd_copy || op == Op::uffd_zeropage || op == Op::uffd_continue) {
        return {layout_changing, one_page_only, exists,  no_range, target_gone,
                no_memory,       no_page,       invalid, no_space};
    }
    if (op == Op::uffd_poison) {
        return {layout_changing, one_page_only, exists,  no_range,
                target_gone,     no_memory,     invalid, missing_ioctl};
    }
    if (op == Op::uffd_read) {
        return {would_block, interrupted, invalid};
    }
    return {invalid, no_memory};  // uffd_unregister, uffd_wake
}

Answers socket_failures(Op op) {
    const Outcome hung_up = answer(Verdict::closed, EPIPE);
    const Outcome reset = answer(Verdict::closed, ECONNRESET);
    if (op == Op::socket_send) {
        return {hung_up,
                reset,
                would_block,
                no_memory,
                answer(Verdict::other, ENOBUFS),
                answer(Verdict::other, EMSGSIZE),
                answer(Verdict::other, ETOOMANYREFS)};
    }
    return {would_block, reset, answer(Verdict::closed, 0), no_memory,
            answer(Verdict::invalid, EMSGSIZE)};
}

Answers failures_of(Op op) {
    switch (op) {
        case Op::memfd_create:
        case Op::file_resize:
        case Op::file_size:
        case Op::file_next_data:
        case Op::file_punch:
        case Op::file_used:
        case Op::file_read:
        case Op::file_write: return file_failures(op);
        case Op::map:
        case Op::unmap:
        case Op::protect:
        case Op::check_mapped:
        case Op::advise: return mapping_failures(op);
        case Op::uffd_open:
        case Op::uffd_register:
        case Op::uffd_unregister:
        case Op::uffd_wake:
        case Op::uffd_write_protect:
        case Op::uffd_copy:
        case Op::uffd_zeropage:
        case Op::uffd_continue:
        case Op::uffd_poison:
        case Op::uffd_read: return uffd_failures(op);
        case Op::pagemap_scan:
            return {missing_ioctl, forbidden, no_memory, interrupted, no_page, no_descriptors};
        case Op::pagemap_read: return {forbidden, no_memory, no_descriptors, no_access};
        case Op::memory_read:
        case Op::memory_write: return {};  // loads and stores answer with signals, not with errno
        case Op::memory_usage: return {no_access, no_memory, no_descriptors};
        case Op::watch_segv: return {no_space, no_memory};
        case Op::unwatch_segv: return {};
        case Op::wait: return {interrupted, no_memory, answer(Verdict::timed_out, 0)};
        case Op::event_create: return {no_descriptors, table_full, no_memory};
        case Op::event_signal:
        case Op::event_drain: return {};  // a full or empty counter is success here
        case Op::socket_send:
        case Op::socket_receive: return socket_failures(op);
        case Op::duplicate: return {no_descriptors};
        case Op::end_process: return {};
        case Op::process_self: return {missing_call, forbidden, no_descriptors, no_memory};
        case Op::bundle: return {no_descriptors, table_full, no_memory, no_space};
        case Op::close:
        case Op::file_create:
        case Op::remap:
        case Op::load:
        case Op::store:
        case Op::gup_read:
        case Op::gup_write:
        case Op::forced_write:
        case Op::pin:
        case Op::unpin:
        case Op::lock:
        case Op::uffd_create:
        case Op::uffd_api:
        case Op::uffd_move:
        case Op::clear_refs:
        case Op::scan: return {};  // programs that try a kernel out make these, the engine does not
    }
    VERSO_CHECK(false, "no such op: {}", static_cast<unsigned>(op));
    return {};
}
}  // namespace

const std::vector<Outcome>& documented_failures(Op op) {
    static const std::array<Answers, op_count> table = [] {
        std::array<Answers, op_count> filled;
        for (unsigned i = 0; i < op_count; ++i) {
            filled[i] = failures_of(static_cast<Op>(i));
        }
        return filled;
    }();
    return table[static_cast<std::size_t>(op)];
}

}  // namespace verso::kernel
