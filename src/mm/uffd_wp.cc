// UFFDIO_WRITEPROTECT: the call around uffd_wp_range() (section 5.5 of the specification;
// userfaultfd_writeprotect(), mwriteprotect_range()).
//
// As of 6.18. There since 5.7, of shmem and hugetlb since 5.19, from vm_page_prot since 6.3 (FX-2),
// over several VMAs since 6.4.
#include <algorithm>
#include <cerrno>

#include "abi/abi.h"
#include "mm/model.h"

namespace verso::mm {
namespace {

/// WP-9, WP-10 for one VMA: 0 or an errno. mwriteprotect_range().
int vma_error(const Machine& machine, const Vma& vma, const Call& call) {
    const State& state = machine.state;
    const bool foreign = vma.context != call.fd && machine.rules.ioctls_ask_owner;
    if (!vma.has(VmFlag::uffd_wp) || foreign) {
        return ENOENT;
    }
    const u64 huge = to_bytes(state.shape.huge_pages);
    const bool cut = call.address % huge != 0 || call.length % huge != 0;
    return is_hugetlb(state, vma) && cut ? EINVAL : 0;
}

}  // namespace

/// userfaultfd_writeprotect(), mwriteprotect_range().
Outcome uffd_writeprotect(Machine& machine, const Call& call) {
    using Mode = abi::UffdWpMode;
    State& state = machine.state;
    const Context& context = state.contexts[call.fd];
    if (context.mmap_changing != 0) {  // WP-1; WP-7 is the same question in a model of whole steps
        return Outcome::fail(EAGAIN);
    }
    if (validate_range(state, call.address, call.length) != 0 ||  // WP-3, WP-4, WP-5
        (call.flags & ~(Mode::wp | Mode::dont_wake)) != 0 ||
        call.flags == (Mode::wp | Mode::dont_wake)) {
        return Outcome::fail(EINVAL);
    }
    if (context.space == nobody || !state.spaces[context.space].alive) {  // WP-6
        return Outcome::fail(ESRCH);
    }
    const u8 space = context.space;
    const Vpn start = static_cast<Vpn>(to_pages(call.address));
    const Vpn end = static_cast<Vpn>(to_pages(call.address + call.length));
    const Vmas vmas = vmas_between(state, space, start, end);
    // Until 6.4 the range had to lie in one VMA.
    const bool one = vmas.size() == 1 && vmas[0].start <= start && vmas[0].end >= end;
    if (vmas.empty() || (!machine.rules.has_wp_spans_vmas && !one)) {  // WP-8, WP-13
        return Outcome::fail(ENOENT);
    }
    const bool enable = (call.flags & Mode::wp) != 0;
    for (const Vma& vma : vmas) {  // holes are skipped; what is done stays done
        if (const int error = vma_error(machine, vma, call); error != 0) {
            return Outcome::fail(error);
        }
        uffd_wp_range(machine, space, vma, std::max(start, vma.start), std::min(end, vma.end),
                      enable);
    }
    if (!enable && (call.flags & Mode::dont_wake) == 0) {  // WP-12
        wake_range(machine, call.fd, call.address, call.address + call.length);
    }
    return Outcome::ok();
}

}  // namespace verso::mm
