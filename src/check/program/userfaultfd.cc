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
    const u64 features = program.features & ~user_mode_only;
    if ((features & ~offered) != 0) {
        return fail(ErrorKind::unsupported, 0, "this kernel's userfaultfd lacks features {:#x}",
                    features & ~offered);
    }
    const bool user_mode = (program.features & user_mode_only) != 0;
    const Outcome made = kernel.perform(Call::uffd_create(user_mode));
    if (!made.ok()) {
        return not_done("userfaultfd", made);
    }
    const int fd = static_cast<int>(made.value);
    const u64 wanted = features | (program.messages ? u64{0} : Feature::sigbus) |
                       (offered & Feature::wp_hugetlbfs_shmem);
    const Outcome agreed = kernel.perform(Call::uffd_api(fd, abi::uffd_api_version, wanted));
    if (!agreed.ok()) {
        return not_done("UFFDIO_API", agreed);
    }
    return fd;
}

std::optional<Call> range_call(const Step& step, int fd, u64 at, u64 length) {
    using kernel::Op;
    constexpr std::pair<Verb, Op> raw[] = {
        {Verb::register_, Op::uffd_register}, {Verb::unregister, Op::uffd_unregister},
        {Verb::wake, Op::uffd_wake},          {Verb::write_protect, Op::uffd_write_protect},
        {Verb::zeropage, Op::uffd_zeropage},  {Verb::continue_, Op::uffd_continue},
        {Verb::poison, Op::uffd_poison},
    };
    for (const auto& [verb, op] : raw) {
        if (verb == step.verb) {
            return Call{op, fd, at, length, 0, step.mode};
        }
    }
    return std::nullopt;
}

}  // namespace verso::check
