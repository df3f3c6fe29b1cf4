// mm/: the model of Linux memory management with userfaultfd write-protection. This header is its
// table of contents: each mechanism has a file, its functions have the kernel's names where it has
// one.
//
//   step.cc           one Call: dispatch, and the loop around a fault
//   vma.cc            mmap, munmap, split, merge, vm_page_prot   mm/mmap.c, mm/vma.c
//   mprotect.cc       change_protection, uffd_wp_range           mm/mprotect.c, mm/userfaultfd.c
//   fault.cc          handle_mm_fault: anonymous and file pages  mm/memory.c
//   fault_anon.cc     first touch, swap-in, copy on write        mm/memory.c
//   fault_file.cc     page cache                                 mm/shmem.c, mm/filemap.c
//   fault_huge.cc     the same for THP and hugetlb               mm/huge_memory.c, mm/hugetlb.c
//   gup.cc            accesses that the kernel makes, pins       mm/gup.c
//   zap.cc            DONTNEED, truncation, holes, munmap        mm/memory.c, mm/truncate.c
//   swap.cc           reclaim, swap-in, swapoff, MADV_FREE       mm/vmscan.c, mm/swapfile.c
//   folio.cc          who maps a folio, what an entry leaves behind
//   migrate.cc        begin, end, failure                        mm/migrate.c
//   migrate_device.cc collect, unmap, migrate, finalize          mm/migrate_device.c
//   writeback.cc      folio_mkclean                              mm/rmap.c, mm/page-writeback.c
//   numa.cc           hint scan                                  mm/mprotect.c, kernel/sched/fair.c
//   thp.cc            split, collapse                            mm/huge_memory.c, mm/khugepaged.c
//   ksm.cc            merge, unmerge                             mm/ksm.c
//   fork.cc           copy_page_range                            mm/memory.c, kernel/fork.c
//   exit.cc           exit_mmap, messages of the dead            kernel/exit.c, mm/mmap.c
//   mremap.cc         move_page_tables                           mm/mremap.c
//   madvise_walk.cc   the mappings of a range, one by one        mm/madvise.c
//   madvise.cc        what an advice does to one of them         mm/madvise.c
//   guard.cc          guard regions                              mm/madvise.c
//   userfaultfd.cc    API, register, messages, wake, close       fs/userfaultfd.c
//   uffd_fill.cc      COPY, ZEROPAGE, CONTINUE, POISON           mm/userfaultfd.c
//   uffd_move.cc      MOVE                                       mm/userfaultfd.c
//   soft_dirty.cc     clear_refs                                 fs/proc/task_mmu.c
//   pagemap.cc        pagemap words                              fs/proc/task_mmu.c
//   pagemap_scan.cc   PAGEMAP_SCAN                               fs/proc/task_mmu.c
//   sim/              the seam over all this: bytes, processes, fibers   (sim/sim_world.h)
//   invariants.cc     I1–I8, counts                              oracles over one state
//   history.cc        I9, I10, E-SD8, contents                   oracles over what was before
//   history_expect.cc what a call is to bring about              …
//   progress.cc       nobody blocked for ever                    …
//   view.cc           what a program would find at an address    for oracles
//   watched.cc        every step with all oracles
//   random_program.cc machines and calls drawn from a Choice     for tests and fuzzers
//
// Everything takes a Machine: the state that it changes, the rules of this kernel, and where
// choices come from. Nothing else is remembered anywhere. May include: base, abi, kernel.
#pragma once

#include <functional>

#include "base/choice.h"
#include "mm/call.h"
#include "mm/pgtable.h"
#include "mm/rules.h"
#include "mm/state.h"

namespace verso::mm {

/// Who keeps bytes behind the numbers, if anybody does (sim/): numbers are copied wherever Linux
/// copies a page, so nothing but a write has to ask.
class Bytes {
public:
    virtual ~Bytes() = default;
    /// What a page of contents `before` holds once `write` is made.
    virtual Contents written(Contents before, Contents write) = 0;
    /// What the n-th page holds that a COPY of `source` brings.
    virtual Contents filled(Contents source, u32 n) = 0;
};

struct Machine {
    State& state;
    const Rules& rules;
    Choice& choice;
    // What PAGEMAP_SCAN and pagemap found, for callers that want more than a count.
    struct Region {
        u64 start = 0;
        u64 end = 0;
        u64 categories = 0;
        friend bool operator==(const Region&, const Region&) = default;
    };
    std::vector<Region> scanned{};
    std::vector<u64> pagemap{};
    std::vector<Message> delivered{};  ///< by uffd_read
    Bytes* bytes = nullptr;            ///< none: a write's number is what the page then holds

    Contents written(Contents before, Contents write) const {
        return bytes == nullptr ? write : bytes->written(before, write);
    }
    Contents filled(Contents source, u32 n) const {
        return bytes == nullptr ? source : bytes->filled(source, n);
    }
};

/// One step. A call that fails its checks changes nothing; Verdict::disabled changes nothing
/// either.
Outcome step(Machine& machine, const Call& call);
/// The thread is not heard of again.
Outcome never_returns(State& state, u8 thread);

// ── pages (page.cc) ────────────────────────────────────────────────────────────────────────────
/// no_page if memory is full.
PageId alloc_page(Machine& machine, PageUse use, u8 node);
/// `shape.huge_pages` in a row, the first one a head.
PageId alloc_huge(Machine& machine, PageUse use, u8 node, bool hugetlb);
/// Frees it once nothing maps, caches, pins or locks it.
void put_page(Machine& machine, PageId page);
/// The head of the folio that `page` belongs to.
PageId head_of(const State& state, PageId page);
/// Visits every entry that maps `page`, or waits for its migration, or (pmd) maps its folio.
struct Mapping {
    u8 space;
    Vpn at;
    bool pmd;
};
using Mappings = InlineVector<Mapping, 4>;
Mappings rmap_walk(const State& state, PageId page);

// ── page tables (page.cc) ──────────────────────────────────────────────────────────────────────
Pmd& pmd_of(State& state, u8 space, Vpn at);
/// nullptr where there is no page table.
Entry* pte_of(State& state, u8 space, Vpn at);
const Entry* pte_of(const State& state, u8 space, Vpn at);
/// Builds the page table if there is none. The pmd must not be a leaf.
Entry& pte_alloc(State& state, u8 space, Vpn at);
/// What `at` holds, whichever level says so (a leaf's entry with the page of `at`).
Entry entry_at(const State& state, u8 space, Vpn at);
/// Replaces an entry and keeps the counts of the page or slot that came and went. Frees what nobody
/// has any more. The only way in which entries change what they refer to.
void set_pte(Machine& machine, u8 space, Vpn at, Entry entry);
void set_leaf(Machine& machine, u8 space, Vpn at, Entry entry);
bool is_hugetlb(const State& state, const Vma& vma);
/// vma_can_userfault() uses kinds by these names: A SS SP HS HP FS FP (section 1.5).
enum class MemoryKind : u8 { A, SS, SP, HS, HP, FS, FP };
MemoryKind kind_of(const State& state, const Vma& vma);
/// K2, userfaultfd_wp_use_markers(): does protecting leave a marker where there is no page?
bool uses_markers(const Machine& machine, const Vma& vma);
bool is_async(const State& state, const Vma& vma);
/// What an empty address of this VMA means now: `unprotected` without VM_UFFD_WP, or where
/// anonymous memory lacks the feature (S3-14). mprotect.cc.
NonePolicy none_policy(const Machine& machine, const Vma& vma);

// ── vma.cc ─────────────────────────────────────────────────────────────────────────────────────
Outcome do_mmap(Machine& machine, const Call& call);
Outcome do_munmap(Machine& machine, u8 thread, u64 address, u64 length);
/// Cuts the VMA that spans `at` in two; with a Machine also the THP that does, which it must.
void split_vma(State& state, u8 space, Vpn at);
void split_vma(Machine& machine, u8 space, Vpn at);
/// Copies of the VMAs that have a page in [start, end).
Vmas vmas_between(const State& state, u8 space, Vpn start, Vpn end);
/// Joins neighbours that agree in all (E-MP8, E-MP9: one soft-dirty part makes the whole so).
void merge_vmas(Machine& machine, u8 space);
/// Would they be one, the first before the second?
bool can_merge(const Vma& before, const Vma& after);
/// Section 2.
void vma_set_page_prot(const Machine& machine, Vma& vma);
bool vma_wants_writenotify(const Machine& machine, const Vma& vma);

// ── mprotect.cc ────────────────────────────────────────────────────────────────────────────────
struct ChangeFlags {
    static constexpr u8 uffd_wp = 1, uffd_wp_resolve = 2, try_writable = 4, prot_numa = 8;
};
Outcome do_mprotect(Machine& machine, const Call& call);
void change_protection(Machine& machine, u8 space, const Vma& vma, Vpn start, Vpn end, u8 flags);
Entry change_pte(const Machine& machine, const Vma& vma, Entry entry, u8 flags);
/// Section 7, for one VMA: what WRITEPROTECT, UNREGISTER and close do to entries.
void uffd_wp_range(Machine& machine, u8 space, const Vma& vma, Vpn start, Vpn end, bool enable);

// ── fault.cc, fault_huge.cc, gup.cc ────────────────────────────────────────────────────────────
enum class Fault : u8 { done, retry, message, migration, sigbus, sigsegv, no_memory, for_ever };
/// One turn of the fault handler for an access that the entry does not allow. `message`: the thread
/// waits now; for_ever: each turn would end as this one did. Fills `loaded` when done.
Fault handle_mm_fault(Machine& machine, u8 thread, const Access& access);
Fault handle_huge_fault(Machine& machine, u8 thread, const Access& access, const Vma& vma);
Fault handle_hugetlb_fault(Machine& machine, u8 thread, const Access& access, const Vma& vma);
/// The access, through as many faults as it takes.
Outcome do_access(Machine& machine, u8 thread, const Access& access);
/// The page behind (file, index), brought into the cache if `create`; no_page: a hole, or no
/// memory.
PageId cache_page(Machine& machine, u8 file, u32 index, bool create);
Outcome do_unpin(Machine& machine, const Call& call);

// ── userfaultfd.cc ─────────────────────────────────────────────────────────────────────────────
Outcome uffd_open(Machine& machine, const Call& call);
Outcome uffd_ioctl(Machine& machine, const Call& call);
Outcome uffd_read(Machine& machine, const Call& call);
Outcome uffd_close(Machine& machine, u8 context);
/// handle_userfault(): section 6.1, FD-1 to FD-7.
Fault handle_userfault(Machine& machine, u8 thread, const Vma& vma, const Access& access, u8 flags);
void wake_range(Machine& machine, u8 context, u64 start, u64 end);
/// Announces a layout event that `thread` waits for until it is read; nothing if nobody asked.
bool announce(Machine& machine, u8 context, const Message& event);
/// read(2) would find one.
bool has_message(const State& state, u8 context);
/// RG-3: a range that can be one at all. 0 or an errno.
int validate_range(const State& state, u64 start, u64 length);

// ── uffd_register.cc, uffd_wp.cc, uffd_fill.cc, uffd_move.cc ───────────────────────────────────
Outcome uffd_register(Machine& machine, const Call& call);
Outcome uffd_unregister(Machine& machine, const Call& call);
/// [start, end) of one VMA leaves its context: entries (if `entries`), flags, vm_page_prot. The
/// caller merges.
void userfaultfd_clear_vma(Machine& machine, u8 space, Vpn start, Vpn end, bool entries);
Outcome uffd_writeprotect(Machine& machine, const Call& call);
/// FL-25: what a call says that did `done` of `length` bytes and then met `error` (0: nothing).
Outcome partly_done(u64 done, u64 length, int error);
Outcome uffd_copy(Machine& machine, const Call& call);
Outcome uffd_zeropage(Machine& machine, const Call& call);
Outcome uffd_continue(Machine& machine, const Call& call);
Outcome uffd_poison(Machine& machine, const Call& call);
Outcome uffd_move(Machine& machine, const Call& call);

// ── zap.cc ─────────────────────────────────────────────────────────────────────────────────────
struct ZapFlags {
    static constexpr u8 drop_markers = 1;  ///< munmap, exit: nothing stays behind
    static constexpr u8 even_cows = 2;     ///< truncation takes private copies along
    static constexpr u8 file_only = 4;     ///< hole punch: only the file's own pages
};
void zap_range(Machine& machine, u8 space, const Vma& vma, Vpn start, Vpn end, u8 flags);
Outcome do_truncate(Machine& machine, const Call& call);
Outcome do_punch_hole(Machine& machine, u8 file, u32 first, u32 count);

// ── swap.cc, migrate.cc, migrate_device.cc, writeback.cc, numa.cc ──────────────────────────────
/// Takes the page at (space, address) out of memory; Verdict::disabled if it cannot be.
Outcome reclaim(Machine& machine, u8 space, u64 address);
/// Brings the slot's page back to memory, into the swap cache: no_page if there is no memory.
PageId swap_in(Machine& machine, u16 slot);
void swap_free(Machine& machine, u16 slot);
Outcome swapoff(Machine& machine);
/// A swap slot that can no longer be read (E-SW12), or a page that hardware lost: H.
Outcome memory_fails(Machine& machine, const Call& call);
Outcome migrate_begin(Machine& machine, u8 space, u64 address);
Outcome migrate_end(Machine& machine, u8 space, u64 address, bool failed);
Entry remove_migration_pte(Machine& machine, const Vma& vma, Entry entry, PageId to);
Outcome device_migrate(Machine& machine, const Call& call);
Outcome writeback(Machine& machine, const Call& call);
void folio_end_writeback(Machine& machine, PageId head);
Outcome numa_scan(Machine& machine, u8 space, u64 address);

// ── thp.cc, ksm.cc ─────────────────────────────────────────────────────────────────────────────
void split_huge_pmd(Machine& machine, u8 space, const Vma& vma, Vpn at);
Outcome collapse(Machine& machine, u8 space, u64 address);
Outcome ksm_merge(Machine& machine, const Call& call);
Outcome ksm_unmerge(Machine& machine, u8 space, u64 address);

// ── fork.cc, mremap.cc, madvise.cc, guard.cc ───────────────────────────────────────────────────
Outcome do_fork(Machine& machine, const Call& call);
Outcome do_exit(Machine& machine, u8 space);
/// Takes everything out of an address space that nobody runs in any more.
void exit_mmap(Machine& machine, u8 space);
Outcome do_mremap(Machine& machine, const Call& call);
Outcome do_madvise(Machine& machine, const Call& call);
/// One page of MADV_POPULATE_*; again once it was woken, when the mapping may be another.
Outcome populate_page(Machine& machine, u8 thread, const Access& access);
/// Its REMOVE event was read (State::advising names the thread). disabled: not now.
Outcome madvise_goes_on(Machine& machine, u8 thread);
Outcome guard_install(Machine& machine, u8 thread, u64 address, u64 length);
Outcome guard_remove(Machine& machine, u8 thread, u64 address, u64 length);

// ── soft_dirty.cc, pagemap.cc, pagemap_scan.cc ─────────────────────────────────────────────────
Outcome clear_refs(Machine& machine, u8 space);
Outcome read_pagemap(Machine& machine, u8 space, u64 address, u64 length);
Outcome pagemap_scan(Machine& machine, const Call& call);

// ── invariants.cc ──────────────────────────────────────────────────────────────────────────────
/// The first invariant that does not hold, as a sentence that begins with its number; empty: all
/// do.
std::string broken_invariant(const State& state, const Rules& rules);

}  // namespace verso::mm
