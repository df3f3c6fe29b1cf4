// VMAs: mmap, munmap, cutting, joining, and what protection a fresh entry gets (section 2 of the
// specification; mm/mmap.c, mm/vma.c, mm/mprotect.c).
//
//        start          at           end            split_vma(at)
//          ├─────────────┼─────────────┤
//          │      a      │      b      │             entries stay where they are (E-MP8)
//          └──── merge_vmas: flags, context, backing agree ────┘
//
// As of 6.18. Of vm_page_prot: VP5 since 3.18 (softdirty_writenotify), VP6 since 6.2 and 6.1.8
// (prot_wp_writenotify).
#include <algorithm>
#include <cerrno>

#include "mm/model.h"

namespace verso::mm {
namespace {

/// Pages that one entry of a mapping of this file covers: addresses must be multiples of it.
/// vma_kernel_pagesize().
u32 unit_of(const State& state, u8 file) {
    const bool hugetlb = file != nobody && state.files[file].kind == FileKind::hugetlb;
    return hugetlb ? state.shape.huge_pages : 1;
}

/// free_pgtables(): a page table that no VMA lies over any more goes.
void free_pgtables(State& state, u8 space, Vpn start, Vpn end) {
    Space& one = state.spaces[space];
    const u32 size = state.shape.huge_pages;
    for (Vpn at = state.pmd_start(start); at < end; at += size) {
        const bool used = std::ranges::any_of(
            one.vmas, [&](const Vma& vma) { return vma.start < at + size && vma.end > at; });
        Pmd& pmd = one.pmds[state.pmd_index(at)];
        if (!used && pmd.kind == PmdKind::table) {
            const auto first = one.entries.begin() + at;
            const bool empty =
                std::all_of(first, first + size, [](const Entry& entry) { return entry.none(); });
            VERSO_CHECK(empty, "page {}: entries outlive their VMA", at);
            pmd = Pmd{};
        }
    }
}

/// The lowest hole that is long enough; space_pages: there is none. vm_unmapped_area().
Vpn unmapped_area(const State& state, u8 space, u32 pages, u32 unit) {
    Vpn at = 0;
    for (const Vma& vma : state.spaces[space].vmas) {
        if (vma.start >= at + pages) {
            break;
        }
        at = static_cast<Vpn>(round_up(vma.end, unit));
    }
    return at + pages <= state.shape.space_pages ? at : state.shape.space_pages;
}

/// calc_vm_prot_bits(), calc_vm_flag_bits().
u32 vm_flags(const Machine& machine, const Call& call, u8 file) {
    const std::pair<u32, u32> same[] = {
        {MapFlags::read, VmFlag::read},           {MapFlags::write, VmFlag::write},
        {MapFlags::shared, VmFlag::shared},       {MapFlags::locked, VmFlag::locked},
        {MapFlags::droppable, VmFlag::droppable}, {MapFlags::dont_fork, VmFlag::dont_copy},
    };
    u32 flags = 0;
    for (const auto& [asked, given] : same) {
        flags |= (call.flags & asked) != 0 ? given : 0;
    }
    const bool read_only =
        (flags & VmFlag::shared) != 0 && file != nobody && !machine.state.files[file].writable;
    flags |= read_only ? 0 : VmFlag::may_write;
    flags |= machine.rules.softdirty_configured ? VmFlag::soft_dirty : 0;  // E-SD1
    return flags;
}

/// Shared anonymous memory is a shmem file without a name (shmem_zero_setup).
u8 shmem_zero_setup(State& state, u32 pages) {
    File file;
    file.kind = FileKind::shmem;
    file.size = pages;
    file.cache.resize(pages);
    state.files.push_back(std::move(file));
    return static_cast<u8>(state.files.size() - 1);
}

/// 0, or why such a mapping cannot be. do_mmap(), its checks.
int mmap_error(const State& state, const Call& call, u64 pages) {
    const u64 unit = to_bytes(unit_of(state, call.fd));
    if (call.length == 0 || call.extra % unit != 0) {
        return EINVAL;
    }
    const bool fixed = (call.flags & MapFlags::fixed) != 0;
    if (pages > state.shape.space_pages) {
        return ENOMEM;
    }
    if (fixed && call.address % unit != 0) {
        return EINVAL;
    }
    if (fixed && to_pages(call.address) > state.shape.space_pages - pages) {
        return ENOMEM;
    }
    const bool shared = (call.flags & MapFlags::shared) != 0;
    if (shared && call.fd == nobody && state.files.size() >= nobody) {
        return ENFILE;
    }
    if ((call.flags & MapFlags::droppable) != 0 && (shared || call.fd != nobody)) {
        return EINVAL;
    }
    const bool writes = shared && (call.flags & MapFlags::write) != 0;
    return writes && call.fd != nobody && !state.files[call.fd].writable ? EACCES : 0;
}

}  // namespace

/// VP1–VP7 in their order. A fresh entry must not be writable if somebody wants to hear of the
/// first store to it.
bool vma_wants_writenotify(const Machine& machine, const Vma& vma) {
    if (!vma.shared() || !vma.has(VmFlag::write)) {  // VP1, VP2: the bit is not there anyway
        return false;
    }
    const FileKind kind = machine.state.files[vma.file].kind;
    if (machine.state.files[vma.file].page_mkwrite) {  // VP3
        return true;
    }
    if (machine.rules.softdirty_writenotify && kind != FileKind::hugetlb &&
        soft_dirty_enabled(vma, machine.rules)) {  // VP5
        return true;
    }
    if (machine.rules.prot_wp_writenotify && vma.has(VmFlag::uffd_wp)) {  // VP6
        return true;
    }
    return kind == FileKind::ordinary;  // VP7
}

/// VP8, VP9.
void vma_set_page_prot(const Machine& machine, Vma& vma) {
    vma.prot_access = vma.has(VmFlag::read | VmFlag::write);
    vma.prot_write = vma.shared() && vma.has(VmFlag::write) && !vma_wants_writenotify(machine, vma);
}

void split_vma(State& state, u8 space, Vpn at) {
    Vmas& vmas = state.spaces[space].vmas;
    const auto found =
        std::ranges::find_if(vmas, [&](const Vma& vma) { return vma.start < at && at < vma.end; });
    if (found == vmas.end()) {
        return;  // there is a border already, or nothing
    }
    Vma after = *found;
    after.start = at;
    after.offset = after.anonymous() ? 0 : found->index(at);
    found->end = at;
    vmas.insert(found + 1, after);
}

/// vma_adjust_trans_huge(): a huge page cannot lie in two VMAs (E-TH9).
void split_vma(Machine& machine, u8 space, Vpn at) {
    State& state = machine.state;
    if (const Vma* vma = state.find_vma(space, at); vma != nullptr && vma->start < at) {
        const bool inside = at != state.pmd_start(at);
        if (inside && !is_hugetlb(state, *vma) && pmd_of(state, space, at).kind == PmdKind::leaf) {
            const Vma copy = *vma;
            split_huge_pmd(machine, space, copy, state.pmd_start(at));
        }
    }
    split_vma(state, space, at);
}

/// can_vma_merge_before(), can_vma_merge_after().
bool can_merge(const Vma& before, const Vma& after) {
    const bool flags_agree = ((before.flags ^ after.flags) & ~VmFlag::soft_dirty) == 0;
    return before.end == after.start && flags_agree && before.context == after.context &&
           before.file == after.file &&
           (before.anonymous() || before.index(before.end) == after.offset);
}

/// vma_merge_new_range(), vma_modify().
void merge_vmas(Machine& machine, u8 space) {
    Vmas& vmas = machine.state.spaces[space].vmas;
    for (std::size_t i = 0; i + 1 < vmas.size();) {
        if (!can_merge(vmas[i], vmas[i + 1])) {
            ++i;
            continue;
        }
        vmas[i].end = vmas[i + 1].end;
        vmas[i].flags |= vmas[i + 1].flags & VmFlag::soft_dirty;  // E-MP9
        vmas.erase(vmas.begin() + static_cast<std::ptrdiff_t>(i) + 1);
        vma_set_page_prot(machine, vmas[i]);  // VP9
    }
}

Vmas vmas_between(const State& state, u8 space, Vpn start, Vpn end) {
    Vmas found;
    for (const Vma& vma : state.spaces[space].vmas) {
        if (vma.start < end && vma.end > start) {
            found.push_back(vma);
        }
    }
    return found;
}

Outcome do_mmap(Machine& machine, const Call& call) {
    State& state = machine.state;
    const u8 space = state.threads[call.thread].space;
    if (call.fd != nobody && call.fd >= state.files.size()) {
        return Outcome::fail(EBADF);
    }
    const u32 unit = unit_of(state, call.fd);
    const u64 asked = call.length / page_size + (is_page_aligned(call.length) ? 0 : 1);
    if (const int error = mmap_error(state, call, round_up(asked, unit)); error != 0) {
        return Outcome::fail(error);
    }
    const u32 pages = static_cast<u32>(round_up(asked, unit));
    const bool fixed = (call.flags & MapFlags::fixed) != 0;
    Vma vma;
    vma.start =
        fixed ? static_cast<Vpn>(to_pages(call.address)) : unmapped_area(state, space, pages, unit);
    if (vma.start + pages > state.shape.space_pages) {
        return Outcome::fail(ENOMEM);
    }
    if (fixed) {
        const Outcome unmapped =
            do_munmap(machine, call.thread, to_bytes(vma.start), to_bytes(pages));
        if (unmapped.verdict != Verdict::done) {
            return unmapped;
        }
    }
    vma.end = vma.start + pages;
    vma.flags = vm_flags(machine, call, call.fd);
    vma.file = call.fd;
    if (vma.shared() && vma.file == nobody) {
        vma.file = shmem_zero_setup(state, pages);
    } else if (vma.file != nobody) {
        vma.offset = static_cast<u32>(to_pages(call.extra));
    }
    vma_set_page_prot(machine, vma);
    Vmas& vmas = state.spaces[space].vmas;
    vmas.insert(std::ranges::upper_bound(vmas, vma.start, {}, &Vma::start), vma);
    merge_vmas(machine, space);
    return Outcome::ok(static_cast<i64>(to_bytes(vma.start)));
}

/// E-ZP13, E-ZP15. The event goes out once for each context that lost memory, and says the whole
/// range that was asked for (userfaultfd_unmap_prep(), userfaultfd_unmap_complete()).
Outcome do_munmap(Machine& machine, u8 thread, u64 address, u64 length) {
    State& state = machine.state;
    const u8 space = state.threads[thread].space;
    const u64 limit = to_bytes(state.shape.space_pages);
    if (!is_page_aligned(address) || length == 0 || address > limit || length > limit - address) {
        return Outcome::fail(EINVAL);
    }
    const Vpn start = static_cast<Vpn>(to_pages(address));
    const Vpn end = static_cast<Vpn>(to_pages(round_up(address + length, page_size)));
    for (const Vma& vma : vmas_between(state, space, start, end)) {
        const u32 unit = unit_of(state, vma.file);
        if (std::max(start, vma.start) % unit != 0 || std::min(end, vma.end) % unit != 0) {
            return Outcome::fail(EINVAL);  // hugetlb_vm_op_split()
        }
    }
    split_vma(machine, space, start);
    split_vma(machine, space, end);
    InlineVector<u8, 8> losers;
    for (const Vma& vma : vmas_between(state, space, start, end)) {
        if (vma.context != nobody && std::ranges::find(losers, vma.context) == losers.end()) {
            losers.push_back(vma.context);
        }
        zap_range(machine, space, vma, vma.start, vma.end, ZapFlags::drop_markers);
    }
    erase_if(state.spaces[space].vmas,
             [&](const Vma& vma) { return vma.start >= start && vma.end <= end; });
    free_pgtables(state, space, start, end);
    u32 order = 0;
    for (const u8 context : losers) {
        Message event;
        event.kind = MessageKind::unmap;
        event.thread = thread;
        event.address = static_cast<u32>(to_bytes(start));
        event.end = static_cast<u32>(to_bytes(end));
        event.length = order++;
        announce(machine, context, event);
    }
    return Outcome::ok();
}

}  // namespace verso::mm
