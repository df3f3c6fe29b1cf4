// step(): one Call. What the kernel does on its own account comes this way too, so that a program,
// an explorer and a fuzzer have one alphabet.
#include <algorithm>
#include <array>

#include "mm/model.h"

namespace verso::mm {
namespace {

const Outcome disabled{Verdict::disabled, 0, 0, 0};

/// The accesses, in the order of Op::load … Op::gup_pin.
constexpr AccessKind access_kinds[] = {AccessKind::load,        AccessKind::store,
                                       AccessKind::gup_read,    AccessKind::gup_write,
                                       AccessKind::gup_unshare, AccessKind::gup_pin};

Outcome access(Machine& machine, const Call& call) {
    Access wanted;
    wanted.kind = access_kinds[static_cast<unsigned>(call.op) - static_cast<unsigned>(Op::load)];
    wanted.kernel = call.op != Op::load && call.op != Op::store;
    wanted.forced = wanted.kernel && call.flags != 0;  // FOLL_FORCE
    wanted.address = call.address;
    wanted.value = call.value;
    return do_access(machine, call.thread, wanted);
}

/// A thread that was woken, or whose page has finished migrating, makes its access again; one whose
/// REMOVE event was read goes on with its madvise().
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
    if (std::ranges::find(machine.state.advising, thread, &Advising::thread) !=
        machine.state.advising.end()) {
        return madvise_goes_on(machine, thread);
    }
    const Access again = self.access;
    self.waiting = Waiting::no;
    self.context = nobody;
    self.access = Access{};
    const bool populates =
        again.kind == AccessKind::populate_read || again.kind == AccessKind::populate_write;
    return populates ? populate_page(machine, thread, again) : do_access(machine, thread, again);
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

Outcome split_thp(Machine& machine, u8 space, u64 address) {
    const Vpn at = static_cast<Vpn>(to_pages(address));
    const Vma* vma = machine.state.find_vma(space, at);
    if (vma == nullptr || is_hugetlb(machine.state, *vma) ||
        pmd_of(machine.state, space, at).kind != PmdKind::leaf) {
        return disabled;
    }
    const Vma copy = *vma;
    split_huge_pmd(machine, space, copy, machine.state.pmd_start(at));
    return Outcome::ok();
}

/// One handler for each Op. `space` is the thread's; for the kernel's own steps, where it looks.
using Handler = Outcome (*)(Machine&, const Call&, u8 space);
struct Handlers {
    std::array<Handler, op_count> of{};
    constexpr Handler& operator[](Op op) { return of[static_cast<std::size_t>(op)]; }
};

constexpr Handlers user_calls(Handlers to) {
    to[Op::mmap] = [](Machine& m, const Call& c, u8) { return do_mmap(m, c); };
    to[Op::munmap] = [](Machine& m, const Call& c, u8) {
        return do_munmap(m, c.thread, c.address, c.length);
    };
    to[Op::mremap] = [](Machine& m, const Call& c, u8) { return do_mremap(m, c); };
    to[Op::mprotect] = [](Machine& m, const Call& c, u8) { return do_mprotect(m, c); };
    to[Op::madvise] = [](Machine& m, const Call& c, u8) { return do_madvise(m, c); };
    to[Op::fork] = [](Machine& m, const Call& c, u8) { return do_fork(m, c); };
    to[Op::exit] = [](Machine& m, const Call&, u8 space) { return do_exit(m, space); };
    to[Op::file_create] = [](Machine& m, const Call& c, u8) { return create_file(m, c); };
    to[Op::ftruncate] = [](Machine& m, const Call& c, u8) { return do_truncate(m, c); };
    to[Op::punch_hole] = [](Machine& m, const Call& c, u8) {
        return do_punch_hole(m, c.fd, static_cast<u32>(to_pages(c.address)),
                             static_cast<u32>(to_pages(c.length)));
    };
    for (const Op op :
         {Op::load, Op::store, Op::gup_read, Op::gup_write, Op::gup_unshare, Op::gup_pin}) {
        to[op] = [](Machine& m, const Call& c, u8) { return access(m, c); };
    }
    to[Op::gup_unpin] = [](Machine& m, const Call& c, u8) { return do_unpin(m, c); };
    return to;
}

constexpr Handlers uffd_and_procfs_calls(Handlers to) {
    for (const Op op : {Op::uffd_api, Op::uffd_register, Op::uffd_unregister, Op::uffd_wake,
                        Op::uffd_copy, Op::uffd_zeropage, Op::uffd_continue, Op::uffd_writeprotect,
                        Op::uffd_poison, Op::uffd_move}) {
        to[op] = [](Machine& m, const Call& c, u8) { return uffd_ioctl(m, c); };
    }
    to[Op::uffd_open] = [](Machine& m, const Call& c, u8) { return uffd_open(m, c); };
    to[Op::uffd_read] = [](Machine& m, const Call& c, u8) { return uffd_read(m, c); };
    to[Op::uffd_close] = [](Machine& m, const Call& c, u8) { return uffd_close(m, c.fd); };
    to[Op::clear_refs] = [](Machine& m, const Call&, u8 space) { return clear_refs(m, space); };
    to[Op::pagemap] = [](Machine& m, const Call& c, u8 space) {
        return read_pagemap(m, space, c.address, c.length);
    };
    to[Op::pagemap_scan] = [](Machine& m, const Call& c, u8) { return pagemap_scan(m, c); };
    return to;
}

constexpr Handlers kernel_steps(Handlers to) {
    to[Op::reclaim] = [](Machine& m, const Call& c, u8 s) { return reclaim(m, s, c.address); };
    to[Op::swapoff] = [](Machine& m, const Call&, u8) { return swapoff(m); };
    to[Op::migrate_begin] = [](Machine& m, const Call& c, u8 s) {
        return migrate_begin(m, s, c.address);
    };
    to[Op::migrate_end] = [](Machine& m, const Call& c, u8 s) {
        return migrate_end(m, s, c.address, false);
    };
    to[Op::migrate_fail] = [](Machine& m, const Call& c, u8 s) {
        return migrate_end(m, s, c.address, true);
    };
    to[Op::numa_scan] = [](Machine& m, const Call& c, u8 s) { return numa_scan(m, s, c.address); };
    to[Op::ksm_merge] = [](Machine& m, const Call& c, u8) { return ksm_merge(m, c); };
    to[Op::ksm_unmerge] = [](Machine& m, const Call& c, u8 s) {
        return ksm_unmerge(m, s, c.address);
    };
    to[Op::thp_collapse] = [](Machine& m, const Call& c, u8 s) {
        return collapse(m, s, c.address);
    };
    to[Op::thp_split] = [](Machine& m, const Call& c, u8 s) { return split_thp(m, s, c.address); };
    for (const Op op : {Op::swap_slot_fails, Op::memory_failure}) {
        to[op] = [](Machine& m, const Call& c, u8) { return memory_fails(m, c); };
    }
    for (const Op op : {Op::writeback_begin, Op::writeback_end}) {
        to[op] = [](Machine& m, const Call& c, u8) { return writeback(m, c); };
    }
    for (const Op op :
         {Op::device_collect, Op::device_unmap, Op::device_migrate, Op::device_finalize}) {
        to[op] = [](Machine& m, const Call& c, u8) { return device_migrate(m, c); };
    }
    return to;
}

constexpr Handlers handlers = kernel_steps(uffd_and_procfs_calls(user_calls({})));

}  // namespace

Outcome never_returns(State& state, u8 thread) {
    state.threads[thread].waiting = Waiting::for_ever;
    return {Verdict::hangs, 0, 0, 0};
}

Outcome step(Machine& machine, const Call& call) {
    State& state = machine.state;
    if (call.thread >= state.threads.size() || !state.threads[call.thread].alive) {
        return disabled;
    }
    const Thread& self = state.threads[call.thread];
    if (call.op == Op::retry) {
        return retry(machine, call.thread);
    }
    const bool killed = call.op == Op::exit && self.waiting == Waiting::for_ever;
    if (is_user_call(call.op) && self.waiting != Waiting::no && !killed) {
        return disabled;
    }
    const Handler handler = handlers.of[static_cast<std::size_t>(call.op)];
    VERSO_CHECK(handler != nullptr, "no handler for step {}", static_cast<unsigned>(call.op));
    return handler(machine, call, self.space);
}

}  // namespace verso::mm
