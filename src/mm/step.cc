// step(): one Call. What the kernel does on its own account comes this way too, so that a program,
// an explorer and a fuzzer have one alphabet.
#include <cerrno>

#include "mm/model.h"

namespace verso::mm {
namespace {

const Outcome disabled{Verdict::disabled, 0, 0, 0};

AccessKind kind_of_access(Op op) {
    switch (op) {
        case Op::store: return AccessKind::store;
        case Op::gup_read: return AccessKind::gup_read;
        case Op::gup_write: return AccessKind::gup_write;
        case Op::gup_unshare: return AccessKind::gup_unshare;
        case Op::gup_pin: return AccessKind::gup_pin;
        default: return AccessKind::load;
    }
}

Outcome access(Machine& machine, const Call& call) {
    Access wanted;
    wanted.kind = kind_of_access(call.op);
    wanted.kernel = call.op != Op::load && call.op != Op::store;
    wanted.forced = wanted.kernel && call.flags != 0;  // FOLL_FORCE
    wanted.address = call.address;
    wanted.value = call.value;
    return do_access(machine, call.thread, wanted);
}

/// A thread that was woken, or whose page has finished migrating, makes its access again.
Outcome retry(Machine& machine, u8 thread) {
    Thread& self = machine.state.threads[thread];
    if (self.waiting != Waiting::retry && self.waiting != Waiting::migration) {
        return disabled;
    }
    if (self.waiting == Waiting::migration) {
        const Vpn at = static_cast<Vpn>(to_pages(self.access.address));
        if (entry_at(machine.state, self.space, at).kind == EntryKind::migration) {
            return disabled;
        }
    }
    const Access again = self.access;
    self.waiting = Waiting::no;
    self.context = nobody;
    self.access = Access{};
    return do_access(machine, thread, again);
}

Outcome create_file(Machine& machine, const Call& call) {
    File file;
    file.kind = static_cast<FileKind>(call.flags & 3);
    file.page_mkwrite = (call.flags & 4) != 0;
    file.writable = (call.flags & 8) == 0;
    file.size = static_cast<u32>(to_pages(call.length));
    file.cache.resize(file.size);
    machine.state.files.push_back(std::move(file));
    return Outcome::ok(static_cast<i64>(machine.state.files.size()) - 1);
}

bool is_user_call(Op op) { return op < Op::reclaim; }

Outcome user_call(Machine& machine, const Call& call) {
    const u8 space = machine.state.threads[call.thread].space;
    switch (call.op) {
        case Op::mmap: return do_mmap(machine, call);
        case Op::munmap: return do_munmap(machine, call.thread, call.address, call.length);
        case Op::mremap: return do_mremap(machine, call);
        case Op::mprotect: return do_mprotect(machine, call);
        case Op::madvise: return do_madvise(machine, call);
        case Op::fork: return do_fork(machine, call);
        case Op::exit: return do_exit(machine, space);
        case Op::file_create: return create_file(machine, call);
        case Op::ftruncate: return do_truncate(machine, call);
        case Op::punch_hole:
            return do_punch_hole(machine, call.fd, static_cast<u32>(to_pages(call.address)),
                                 static_cast<u32>(to_pages(call.length)));
        case Op::gup_unpin: return do_unpin(machine, call);
        case Op::uffd_open: return uffd_open(machine, call);
        case Op::uffd_read: return uffd_read(machine, call);
        case Op::uffd_close: return uffd_close(machine, call.fd);
        case Op::clear_refs: return clear_refs(machine, space);
        case Op::pagemap: return read_pagemap(machine, space, call.address, call.length);
        case Op::pagemap_scan: return pagemap_scan(machine, call);
        default: return uffd_ioctl(machine, call);
    }
}

/// `thread` names the address space in which the kernel happens to look.
Outcome kernel_step(Machine& machine, const Call& call) {
    const u8 space = machine.state.threads[call.thread].space;
    switch (call.op) {
        case Op::reclaim: return reclaim(machine, space, call.address);
        case Op::swapoff: return swapoff(machine);
        case Op::migrate_begin: return migrate_begin(machine, space, call.address);
        case Op::migrate_end: return migrate_end(machine, space, call.address, false);
        case Op::migrate_fail: return migrate_end(machine, space, call.address, true);
        case Op::numa_scan: return numa_scan(machine, space, call.address);
        case Op::ksm_merge: return ksm_merge(machine, call);
        case Op::ksm_unmerge: return ksm_unmerge(machine, space, call.address);
        case Op::thp_collapse: return collapse(machine, space, call.address);
        case Op::thp_split: {
            const Vpn at = static_cast<Vpn>(to_pages(call.address));
            const Vma* vma = machine.state.find_vma(space, at);
            if (vma == nullptr || is_hugetlb(machine.state, *vma) ||
                pmd_of(machine.state, space, at).kind != PmdKind::leaf) {
                return disabled;
            }
            const Vma copy = *vma;
            split_huge_pmd(machine, space, copy, machine.state.pmd_start(at));
            return Outcome::ok();
        }
        case Op::swap_slot_fails:
        case Op::memory_failure: return memory_fails(machine, call);
        case Op::writeback_begin:
        case Op::writeback_end: return writeback(machine, call);
        default: return device_migrate(machine, call);
    }
}

}  // namespace

Outcome step(Machine& machine, const Call& call) {
    State& state = machine.state;
    if (call.thread >= state.threads.size() || !state.threads[call.thread].alive) {
        return disabled;
    }
    const bool waits = state.threads[call.thread].waiting != Waiting::no;
    if (call.op == Op::retry) {
        return retry(machine, call.thread);
    }
    if (!is_user_call(call.op)) {
        return kernel_step(machine, call);
    }
    if (waits) {
        return disabled;
    }
    const bool touches = call.op >= Op::load && call.op <= Op::gup_pin;
    return touches ? access(machine, call) : user_call(machine, call);
}

}  // namespace verso::mm
