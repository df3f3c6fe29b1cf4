// REGISTER and UNREGISTER: which memory a userfaultfd serves, and for what (sections 5.2 and 5.3 of
// the specification; fs/userfaultfd.c, mm/userfaultfd.c). Both look at every VMA of the range first
// and change something only if all of them will do.
//
// As of 6.18. WP is of 5.7, of shared and hugetlb memory of 5.19; MINOR of 5.13 and 5.14;
// UNREGISTER takes protection away since 6.0 (FX-6), and asks whose memory it is since 6.17 (UN-7).
#include <algorithm>
#include <cerrno>

#include "abi/abi.h"
#include "mm/model.h"

namespace verso::mm {
namespace {

struct Range {
    Vpn start;
    Vpn end;
};

Range pages_of(const Call& call) {
    return {static_cast<Vpn>(to_pages(call.address)),
            static_cast<Vpn>(to_pages(call.address + call.length))};
}

bool huge_aligned(const State& state, Vpn at) { return at == state.pmd_start(at); }

/// RG-2. `flags` becomes the mode as VMA flags. False: EINVAL. userfaultfd_register().
bool parse_mode(const Machine& machine, const Context& context, u32 mode, u32& flags) {
    using Mode = abi::UffdRegisterMode;
    const u64 known =
        Mode::missing | Mode::wp | (machine.rules.has_minor_hugetlb ? Mode::minor : 0);
    if (mode == 0 || (mode & ~known) != 0) {
        return false;
    }
    flags = (mode & Mode::missing) != 0 ? VmFlag::uffd_missing : 0;
    flags |= (mode & Mode::wp) != 0 ? VmFlag::uffd_wp : 0;
    flags |= (mode & Mode::minor) != 0 ? VmFlag::uffd_minor : 0;
    const bool unallocated = (context.features & abi::Feature::wp_unpopulated) != 0;
    const u32 both = VmFlag::uffd_missing | VmFlag::uffd_wp;
    return !(machine.rules.wp_unallocated_excludes_missing && unallocated &&
             (flags & both) == both);  // S4-11
}

/// vma_can_userfault(): RG-7 with its table of modes and kinds, UN-6. `flags`: the uffd flags.
bool vma_can_userfault(const Machine& machine, const Vma& vma, u32 flags, const Context& context) {
    const MemoryKind kind = kind_of(machine.state, vma);
    const bool ordinary = kind == MemoryKind::FS || kind == MemoryKind::FP;
    if (vma.has(VmFlag::droppable)) {
        return false;
    }
    const bool shmem = kind == MemoryKind::SS || kind == MemoryKind::SP;
    if ((flags & VmFlag::uffd_minor) != 0 &&
        (kind == MemoryKind::A || ordinary || (shmem && !machine.rules.has_minor_shmem))) {
        return false;
    }
    if (flags == VmFlag::uffd_wp && (context.features & abi::Feature::wp_async) != 0) {
        return true;
    }
    if ((flags & VmFlag::uffd_wp) != 0 && kind != MemoryKind::A && !machine.rules.has_wp_shmem) {
        return false;  // before b1f9e876862d (5.19)
    }
    return !ordinary;
}

/// RG-7 to RG-10 for one VMA: 0 or an errno. vma_can_userfault().
int register_error(const Machine& machine, const Vma& vma, u8 context, u32 flags, Vpn end) {
    const State& state = machine.state;
    if (!vma_can_userfault(machine, vma, flags, state.contexts[context])) {
        return EINVAL;
    }
    if (!vma.has(VmFlag::may_write)) {
        return EPERM;
    }
    if (is_hugetlb(state, vma) && end < vma.end && !huge_aligned(state, end)) {
        return EINVAL;
    }
    return vma.context != nobody && vma.context != context ? EBUSY : 0;
}

/// RG-4 to RG-6, UN-3 to UN-5: 0 or an errno. userfaultfd_register(), validate_range().
int range_error(const State& state, u8 space, Range range, const Vmas& vmas) {
    if (space == nobody || !state.spaces[space].alive) {
        return ENOMEM;
    }
    if (vmas.empty()) {
        return EINVAL;
    }
    return is_hugetlb(state, vmas.front()) && !huge_aligned(state, range.start) ? EINVAL : 0;
}

Vmas vmas_in(const State& state, u8 space, Range range) {
    const bool gone = space == nobody || !state.spaces[space].alive;
    return gone ? Vmas{} : vmas_between(state, space, range.start, range.end);
}

/// S3: a VMA that is no longer protected has no marker that says "not protected" either.
void drop_written_markers(Machine& machine, u8 space, Vpn start, Vpn end) {
    const Entry written = make_marker(Marker::written);
    for (Vpn at = start; at < end; ++at) {
        Entry* const entry = pte_of(machine.state, space, at);
        if (entry != nullptr && *entry == written) {
            set_pte(machine, space, at, Entry{});
        } else if (pmd_of(machine.state, space, at).leaf == written) {
            set_leaf(machine, space, machine.state.pmd_start(at), Entry{});
        }
    }
}

/// Protection ends for good (RG-14, UN-9): while VM_UFFD_WP is still there, so that vm_page_prot
/// still lacks W. userfaultfd_clear_vma(), uffd_wp_range().
void reset_protection(Machine& machine, u8 space, Vpn start, Vpn end) {
    const Vma vma = *machine.state.find_vma(space, start);
    uffd_wp_range(machine, space, vma, start, end, false);
    drop_written_markers(machine, space, start, end);
}

/// userfaultfd_set_vm_flags(): RG-15, VP9.
void set_vm_flags(const Machine& machine, Vma& vma, u32 flags, u8 context) {
    vma.flags = (vma.flags & ~VmFlag::uffd) | flags;
    vma.context = context;
    vma_set_page_prot(machine, vma);
}

/// RG-17: what can be done with such a range, one bit per command.
/// userfaultfd_register(), uffdio_register.ioctls.
u64 ioctls_of(const Machine& machine, const Vmas& vmas, u32 flags) {
    using Command = abi::UffdCommand;
    const auto bit = [](unsigned command) { return u64{1} << command; };
    const Rules& rules = machine.rules;
    const bool basic =
        std::ranges::any_of(vmas, [&](const Vma& vma) { return is_hugetlb(machine.state, vma); });
    u64 ioctls = bit(Command::wake) | bit(Command::copy);
    ioctls |= rules.has_poison ? bit(Command::poison) : 0;
    ioctls |= basic ? 0 : bit(Command::zeropage);
    ioctls |= basic || !rules.has_move ? 0 : bit(Command::move);
    ioctls |= (flags & VmFlag::uffd_wp) != 0 ? bit(Command::write_protect) : 0;
    ioctls |= (flags & VmFlag::uffd_minor) != 0 ? bit(Command::continue_range) : 0;
    return ioctls;
}

}  // namespace

void userfaultfd_clear_vma(Machine& machine, u8 space, Vpn start, Vpn end, bool entries) {
    if (entries && machine.state.find_vma(space, start)->has(VmFlag::uffd_wp)) {
        reset_protection(machine, space, start, end);
    }
    split_vma(machine, space, start);
    split_vma(machine, space, end);
    set_vm_flags(machine, *machine.state.find_vma(space, start), 0, nobody);
}

/// userfaultfd_register(), userfaultfd_register_range().
Outcome uffd_register(Machine& machine, const Call& call) {
    State& state = machine.state;
    const u8 space = state.contexts[call.fd].space;
    u32 flags = 0;
    if (!parse_mode(machine, state.contexts[call.fd], call.flags, flags) ||
        validate_range(state, call.address, call.length) != 0) {  // RG-2, RG-3
        return Outcome::fail(EINVAL);
    }
    const Range range = pages_of(call);
    const Vmas vmas = vmas_in(state, space, range);
    if (const int error = range_error(state, space, range, vmas); error != 0) {
        return Outcome::fail(error);
    }
    for (const Vma& vma : vmas) {
        if (const int error = register_error(machine, vma, call.fd, flags, range.end); error != 0) {
            return Outcome::fail(error);
        }
    }
    for (const Vma& vma : vmas) {  // holes are no error: RG-11
        if (vma.context == call.fd && (vma.flags & flags) == flags) {
            continue;  // RG-13
        }
        const Vpn start = std::max(range.start, vma.start);
        const Vpn end = std::min(range.end, vma.end);
        const bool loses_wp = vma.has(VmFlag::uffd_wp) && (flags & VmFlag::uffd_wp) == 0;
        if (loses_wp && machine.rules.reregister_clears_u) {
            reset_protection(machine, space, start, end);  // RG-14; no release does
        }
        split_vma(machine, space, start);
        split_vma(machine, space, end);
        set_vm_flags(machine, *state.find_vma(space, start), flags, call.fd);
    }
    merge_vmas(machine, space);  // RG-12
    return Outcome::ok(static_cast<i64>(ioctls_of(machine, vmas, flags)));
}

/// userfaultfd_unregister().
Outcome uffd_unregister(Machine& machine, const Call& call) {
    State& state = machine.state;
    const u8 space = state.contexts[call.fd].space;
    if (validate_range(state, call.address, call.length) != 0) {  // UN-2
        return Outcome::fail(EINVAL);
    }
    const Range range = pages_of(call);
    const Vmas vmas = vmas_in(state, space, range);
    if (const int error = range_error(state, space, range, vmas); error != 0) {
        return Outcome::fail(error);
    }
    for (const Vma& vma : vmas) {
        const bool foreign = vma.context != nobody && vma.context != call.fd;
        const bool cut =
            is_hugetlb(state, vma) && range.end < vma.end && !huge_aligned(state, range.end);
        if ((foreign && machine.rules.has_register_owner_check) || cut ||
            !vma_can_userfault(machine, vma, vma.flags & VmFlag::uffd, state.contexts[call.fd])) {
            return Outcome::fail(EINVAL);  // UN-7, UN-6; a huge page cannot be cut
        }
    }
    for (const Vma& vma : vmas) {
        if (vma.context == nobody) {
            continue;  // UN-10
        }
        const Vpn start = std::max(range.start, vma.start);
        const Vpn end = std::min(range.end, vma.end);
        userfaultfd_clear_vma(machine, space, start, end, machine.rules.unregister_clears_u);
        // UN-8; 6.18 looks for those in MISSING faults, and finds the others with them.
        if (machine.rules.unregister_wakes_all || vma.has(VmFlag::uffd_missing)) {
            wake_range(machine, vma.context, to_bytes(start), to_bytes(end));
        }
    }
    merge_vmas(machine, space);
    return Outcome::ok();
}

}  // namespace verso::mm
