// What the kernel offers is asked of a first descriptor: the handshake is possible once on each.
#include "check/program/userfaultfd.h"

#include "abi/abi.h"

namespace verso::check {
namespace {

using kernel::Call;
using kernel::Outcome;

tl::unexpected<Error> not_done(const char* what, const Outcome& outcome) {
    return fail(ErrorKind::system, outcome.error, "{}: {}", what, kernel::to_string(outcome));
}

}  // namespace

Result<int> open_userfaultfd(kernel::Kernel& kernel, const Program& program) {
    using abi::Feature;
    const Outcome probe = kernel.perform(Call::uffd_create());
    if (!probe.ok()) {
        return not_done("userfaultfd", probe);
    }
    const int first = static_cast<int>(probe.value);
    const Outcome offer = kernel.perform(Call::uffd_api(first, abi::uffd_api_version, 0));
    static_cast<void>(kernel.perform(Call::close(first)));
    if (!offer.ok()) {
        return not_done("UFFDIO_API", offer);
    }
    const u64 offered = static_cast<u64>(offer.value);
    if ((program.features & ~offered) != 0) {
        return fail(ErrorKind::unsupported, 0, "this kernel's userfaultfd lacks features {:#x}",
                    program.features & ~offered);
    }
    const Outcome made = kernel.perform(Call::uffd_create());
    if (!made.ok()) {
        return not_done("userfaultfd", made);
    }
    const int fd = static_cast<int>(made.value);
    const u64 wanted = program.features | (program.messages ? u64{0} : Feature::sigbus) |
                       (offered & Feature::wp_hugetlbfs_shmem);
    const Outcome agreed = kernel.perform(Call::uffd_api(fd, abi::uffd_api_version, wanted));
    if (!agreed.ok()) {
        return not_done("UFFDIO_API", agreed);
    }
    return fd;
}

}  // namespace verso::check
