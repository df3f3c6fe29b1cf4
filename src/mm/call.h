// Call and Outcome of the model: one step as a value. User calls, accesses, and what the kernel
// does on its own account are alike: a step is made by a thread (or, for the kernel's own, by
// nobody).
#pragma once

#include <string>

#include "mm/state.h"

namespace verso::mm {

enum class Op : u8 {
    // address space
    mmap,
    munmap,
    mremap,
    mprotect,
    madvise,
    fork,
    exit,
    // files
    file_create,
    ftruncate,
    punch_hole,
    // accesses
    load,
    store,
    gup_read,
    gup_write,
    gup_unshare,
    gup_pin,
    gup_unpin,
    retry,  ///< a thread that was woken repeats its access
    // userfaultfd
    uffd_open,
    uffd_api,
    uffd_register,
    uffd_unregister,
    uffd_wake,
    uffd_copy,
    uffd_zeropage,
    uffd_continue,
    uffd_writeprotect,
    uffd_poison,
    uffd_move,
    uffd_read,
    uffd_close,
    // procfs
    clear_refs,
    pagemap,
    pagemap_scan,
    // the kernel on its own
    reclaim,
    swapoff,
    swap_slot_fails,
    migrate_begin,
    migrate_end,
    migrate_fail,
    numa_scan,
    ksm_merge,
    ksm_unmerge,
    thp_collapse,
    thp_split,
    writeback_begin,
    writeback_end,
    device_collect,
    device_unmap,
    device_migrate,
    device_finalize,
    memory_failure,
};
inline constexpr unsigned op_count = static_cast<unsigned>(Op::memory_failure) + 1;

enum class Advice : u8 {
    dontneed,
    free,
    remove,
    cold,
    pageout,
    collapse,
    hugepage,
    nohugepage,
    mergeable,
    unmergeable,
    populate_read,
    populate_write,
    guard_install,
    guard_remove
};

struct MapFlags {
    static constexpr u32 read = 1, write = 2, shared = 4, fixed = 8, locked = 16, droppable = 32;
    static constexpr u32 dont_fork = 64;  ///< and madvise(MADV_DONTFORK)
};
struct RemapFlags {
    static constexpr u32 may_move = 1, fixed = 2, dontunmap = 4;
};
/// Bits of UFFDIO_REGISTER's mode, of the filling calls' modes, of PAGEMAP_SCAN: the kernel's own
/// numbers (abi/).
struct Call {
    Op op = Op::load;
    u8 thread = 0;   ///< who; for the kernel's own steps: not looked at
    u8 fd = nobody;  ///< uffd_*: the context; mmap, ftruncate, punch_hole: the file
    u32 flags = 0;  ///< mode, advice, protection, …: as the op says; uffd_open: 1 user mode only;
                    ///< uffd_api: 1 the caller lacks CAP_SYS_PTRACE
    u64 address = 0;  ///< bytes; uffd_api: the version
    u64 length = 0;   ///< bytes; mremap: the old length; uffd_read: the room, 0 for one message
    u64 source = 0;   ///< uffd_copy, uffd_move: from; mremap: the new address
    u64 extra = 0;    ///< mremap: the new length; mmap: offset in the file; uffd_api: features
    Contents value = zeroes;  ///< store; uffd_copy: what the source page holds
    friend bool operator==(const Call&, const Call&) = default;
};

enum class Verdict : u8 {
    done,
    blocked,  ///< the thread waits; Op::retry goes on once it was woken
    sigbus,
    sigsegv,
    failed,    ///< `error` is an errno
    disabled,  ///< not a step of this state: nothing happened
    hangs,     ///< the thread is in it for ever
};

struct Outcome {
    Verdict verdict = Verdict::done;
    int error = 0;
    i64 value = 0;     ///< contents loaded, descriptor, count, …
    u64 progress = 0;  ///< bytes done (copy, zeropage, …), walk_end (pagemap_scan)
    static Outcome ok(i64 value = 0) { return {Verdict::done, 0, value, 0}; }
    static Outcome fail(int error, u64 progress = 0) {
        return {Verdict::failed, error, 0, progress};
    }
    friend bool operator==(const Outcome&, const Outcome&) = default;
};

std::string to_string(Op op);
std::string to_string(const Call& call);
std::string to_string(const Outcome& outcome);

}  // namespace verso::mm
