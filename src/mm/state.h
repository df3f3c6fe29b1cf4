// State: the machine as a plain value. No pointers, no time: two states are the same iff they are
// equal. While nothing outgrows its InlineVector a State is one block of 1016 bytes, and is copied,
// compared and hashed as that: so for everything that Shape{} allows, up to two files, three VMAs
// and one message in a queue. A scope of thousands of pages means the same, more slowly. For this
// no struct here has padding: what would be padding is named `gap` and stays zero.
//
//   Thread ──▶ Space ── Vma ──▶ File ──▶ page cache ─┐
//                └───── Entry / Pmd ────────────────▶ Page ◀── swap cache ── Slot
//                          Vma ──▶ Context (userfaultfd): messages, waiting threads, events
//
// A Page is what Linux calls a struct page; a large folio is `shape.huge_pages` pages in a row of
// which the first says so. Contents are numbers: 0 is a page of zeroes, anything else a version
// that a store chose (SimKernel keeps bytes behind the numbers).
#pragma once

#include <array>

#include "base/inline_vector.h"
#include "mm/entry.h"

namespace verso::mm {

using Contents = u32;
inline constexpr Contents zeroes = 0;
inline constexpr u8 nobody = 0xff;  ///< no file, no context, no thread, …
inline constexpr u16 no_slot = 0xffff;

/// How much of everything there is. Constant during a run.
struct Shape {
    u32 space_pages = 4;  ///< pages of address space
    u32 huge_pages = 2;   ///< pages in a huge page: a power of two (512 on hardware)
    u16 pages = 12;       ///< physical pages
    u16 slots = 6;        ///< swap slots
    u8 nodes = 1;         ///< NUMA nodes
    u8 spaces_max = 3;
    u8 contexts_max = 3;
    u8 threads_max = 3;
    friend bool operator==(const Shape&, const Shape&) = default;
};

enum class PageUse : u8 { free, anonymous, cache, device };

struct Page {
    PageUse use : 2 = PageUse::free;
    bool head : 1 = false;  ///< first of a large folio
    bool tail : 1 = false;  ///< belongs to the large folio that begins before it
    bool hugetlb : 1 = false;
    bool anon_exclusive : 1 = false;  ///< PageAnonExclusive
    bool dirty : 1 = false;
    bool lazyfree : 1 = false;  ///< MADV_FREE, not rewritten as far as anybody knows
    bool ksm : 1 = false;
    bool hwpoison : 1 = false;
    bool locked : 1 = false;  ///< migration or writeback is between two steps
    bool writeback : 1 = false;
    u8 node : 4 = 0;
    u8 pins = 0;         ///< long-term pins (FOLL_LONGTERM)
    u8 file = nobody;    ///< cache: whose page it is …
    u16 maps = 0;        ///< entries that map it, migration entries included
    u16 slot = no_slot;  ///< in the swap cache under this slot
    u32 index = 0;       ///< … and which of it; anonymous: nothing
    Contents contents = zeroes;
    friend bool operator==(const Page&, const Page&) = default;
};

/// A swap slot: how many swap entries name it, and what was written to it.
struct Slot {
    u16 count : 14 = 0;
    u16 in_file_cache : 1 = false;  ///< owned by a shmem file, not by entries
    u16 unreadable : 1 = false;
    PageId cached = no_page;  ///< page in the swap cache
    Contents contents = zeroes;
    friend bool operator==(const Slot&, const Slot&) = default;
};

enum class FileKind : u8 { shmem, hugetlb, ordinary };

/// One page of a file's cache: a page, or (shmem) a swap slot, or nothing. `disk` is what an
/// ordinary file reads when the cache has nothing.
struct Cached {
    PageId page = no_page;
    u16 slot = no_slot;
    Contents disk = zeroes;
    friend bool operator==(const Cached&, const Cached&) = default;
};

struct File {
    FileKind kind = FileKind::shmem;
    bool page_mkwrite = false;  ///< wants to hear of first writes (VP3)
    bool writable = true;       ///< opened for writing: gives shared mappings VM_MAYWRITE
    u8 gap = 0;
    u32 size = 0;                     ///< pages
    InlineVector<Cached, 4> cache{};  ///< as long as the file ever was

    bool flat() const { return cache.flat(); }
    friend bool operator==(const File&, const File&) = default;
};

struct VmFlag {
    static constexpr u32 read = 1 << 0, write = 1 << 1, shared = 1 << 3;
    static constexpr u32 may_write = 1 << 4, soft_dirty = 1 << 5;
    static constexpr u32 uffd_missing = 1 << 6, uffd_wp = 1 << 7, uffd_minor = 1 << 8;
    static constexpr u32 uffd = uffd_missing | uffd_wp | uffd_minor;
    static constexpr u32 locked = 1 << 9, mergeable = 1 << 11;
    static constexpr u32 droppable = 1 << 12, hugepage = 1 << 13, nohugepage = 1 << 14;
    static constexpr u32 dont_copy = 1 << 15;  ///< not for children of fork
};

struct Vma {
    Vpn start = 0;
    Vpn end = 0;
    u32 flags = 0;
    u32 offset = 0;            ///< page of the file at `start`
    u8 file = nobody;          ///< nobody: anonymous
    u8 context = nobody;       ///< vm_userfaultfd_ctx
    bool prot_write = false;   ///< vm_page_prot has W (section 2)
    bool prot_access = false;  ///< vm_page_prot allows access at all

    bool has(u32 flag) const { return (flags & flag) != 0; }
    bool shared() const { return has(VmFlag::shared); }
    bool anonymous() const { return file == nobody; }  ///< vma_is_anonymous(): kind A
    bool contains(Vpn at) const { return at >= start && at < end; }
    u32 index(Vpn at) const { return at - start + offset; }
    friend bool operator==(const Vma&, const Vma&) = default;
};

using Vmas = InlineVector<Vma, 3>;

struct Space {
    bool alive = false;
    std::array<u8, 3> gap{};
    Vmas vmas{};                       ///< ascending, disjoint
    InlineVector<Pmd, 2> pmds{};       ///< one for each huge_pages
    InlineVector<Entry, 4> entries{};  ///< meaningful where the pmd is a table

    bool flat() const { return vmas.flat() && pmds.flat() && entries.flat(); }
    friend bool operator==(const Space&, const Space&) = default;
};

/// A message or event that a userfaultfd delivers (struct uffd_msg).
enum class MessageKind : u8 { pagefault, fork, remap, remove, unmap };
struct FaultFlag {
    static constexpr u8 write = 1, wp = 2, minor = 4;
};
struct Message {
    MessageKind kind = MessageKind::pagefault;
    u8 flags = 0;         ///< pagefault
    u8 thread = nobody;   ///< who waits (for an event: until it is read)
    u8 context = nobody;  ///< fork: the child's context
    // Bytes. An address space ends before 2³² (boot()).
    u32 address = 0;  ///< pagefault; remove, unmap: start; remap: from
    u32 end = 0;      ///< remove, unmap; remap: to
    u32 length = 0;   ///< remap; unmap: userfaultfds that hear before
    friend bool operator==(const Message&, const Message&) = default;
};

using Messages = InlineVector<Message, 1>;

/// struct userfaultfd_ctx.
struct Context {
    bool open : 1 = false;  ///< somebody has the descriptor
    bool api_done : 1 = false;
    bool user_mode_only : 1 = false;
    u8 gap_bits : 5 = 0;
    u8 space = nobody;
    u8 mmap_changing = 0;  ///< announced layout changes whose event is unread
    u8 gap = 0;
    u32 features = 0;    ///< bits of section 1.6
    Messages faults{};   ///< unread
    Messages pending{};  ///< read, their threads still wait
    Messages events{};   ///< unread

    bool flat() const { return faults.flat() && pending.flat() && events.flat(); }
    friend bool operator==(const Context&, const Context&) = default;
};

enum class AccessKind : u8 {
    load,
    store,
    gup_read,
    gup_write,
    gup_unshare,
    gup_pin,
    populate_read,
    populate_write
};

/// One access that a thread makes, or is about to make again once it is woken.
struct Access {
    AccessKind kind = AccessKind::load;
    bool kernel = false;  ///< made by the kernel on the thread's behalf
    bool forced = false;  ///< FOLL_FORCE: ptrace, /proc/self/mem
    u8 gap = 0;
    Contents value = zeroes;
    u64 address = 0;
    friend bool operator==(const Access&, const Access&) = default;
};

/// fault: until a wake; then `retry`: Op::retry repeats the access. migration: until it ends
/// (Op::retry looks). event: until somebody reads it; the call itself is done then, but for a
/// madvise() that has announced what it is to drop: Op::retry goes on with it (Advising). for_ever:
/// in a call that does the same again and again; what would end it is not modelled.
enum class Waiting : u8 { no, fault, migration, event, retry, for_ever };

struct Thread {
    bool alive = false;
    u8 space = nobody;
    u8 node = 0;
    Waiting waiting = Waiting::no;  ///< fault, migration: `access` is repeated after a wake
    u8 context = nobody;            ///< fault, event: whose
    std::array<u8, 3> gap{};
    Access access{};
    friend bool operator==(const Thread&, const Thread&) = default;
};

/// A thread's madvise() whose EVENT_REMOVE nobody has read yet, or not yet gone on with (E-ZP14).
/// What was announced begins at the thread's access.address.
struct Advising {
    u8 thread = nobody;
    u8 advice = 0;          ///< Advice::dontneed, free or remove
    u8 file = nobody;       ///< remove: what is punched, wherever the mapping may be by then
    bool hole = false;      ///< a part of the range met so far is not mapped: ENOMEM in the end
    u32 announced_end = 0;  ///< page
    u32 end = 0;            ///< page: of the whole call's range
    u32 index = 0;          ///< remove: first page of the file
    friend bool operator==(const Advising&, const Advising&) = default;
};

using Pages = InlineVector<Page, 12>;
using Slots = InlineVector<Slot, 6>;

struct State {
    Shape shape;
    Pages pages;
    Slots slots;
    InlineVector<File, 2> files;
    InlineVector<Space, 3> spaces;
    InlineVector<Context, 3> contexts;
    bool swap_on = true;
    bool thp_enabled = false;
    std::array<u8, 6> gap{};
    InlineVector<Advising, 1> advising;  ///< in the order of their threads
    InlineVector<Thread, 3> threads;

    Vma* find_vma(u8 space, Vpn at);
    const Vma* find_vma(u8 space, Vpn at) const;
    u32 pmd_index(Vpn at) const { return at / shape.huge_pages; }
    Vpn pmd_start(Vpn at) const { return at / shape.huge_pages * shape.huge_pages; }
    /// All of it lies within sizeof(State): equal states are equal bytes.
    bool flat() const;
    friend bool operator==(const State& one, const State& two);
};

/// A machine of that shape, switched on: one thread in one empty address space.
State boot(const Shape& shape);
/// Renumbers pages and slots in the order in which they are reached, so that states that differ in
/// nothing but numbers become equal. Everything that a program names keeps its number.
void canonicalise(State& state);
/// Of all of it; equal states hash alike.
u64 hash_of(const State& state);

}  // namespace verso::mm
