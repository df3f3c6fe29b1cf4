// Call: one call that the engine makes of an operating system, as a plain value: comparable,
// hashable, printable. The same value is executed by Linux, by the model, counted, made to fail,
// recorded and replayed. Bulk data travels beside it (Payload), so that the value stays small and
// flat.
//
// The named constructors are the only way calls are made: they say which field means what.
//
// The first part of the list is what the engine needs. The second is what programs need that try a
// kernel out, and it is raw: mode bits and ranges reach the kernel as they are, also where they are
// wrong, because which error comes first is a question that such programs ask.
#pragma once

#include <compare>
#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "base/types.h"

namespace verso::kernel {

enum class Op : u8 {
    memfd_create,    // aux = MemfdFlag                            → descriptor; payload.in = name
    file_resize,     // fd, length
    file_size,       // fd                                         → bytes
    file_next_data,  // fd, offset → offset of the first data from there on
    file_punch,      // fd, offset, length: the pages go, reads give zeroes
    file_used,      // fd                                         → bytes the file really occupies
    file_read,      // fd, offset; payload.out                    → bytes
    file_write,     // fd, offset; payload.in                     → bytes
    map,            // fd (-1 anonymous), address (hint), length, offset, aux = MapFlag → address
    unmap,          // address, length
    protect,        // address, length, aux = MapFlag (read, write): mprotect
    advise,         // address, length, aux = Advice
    check_mapped,   // address, length: no_memory if any part has no mapping at all
    uffd_open,      // aux = UffdFeature                          → descriptor
    uffd_register,  // fd, address, length, aux = RegisterMode    → the range's ioctls, as bits
    uffd_unregister,     // fd, address, length
    uffd_wake,           // fd, address, length
    uffd_write_protect,  // fd, address, length, aux = 1 protect, 0 release and wake, 2 only release
    uffd_copy,      // fd, address, length, aux = FillFlag, source address in `offset` → bytes
    uffd_zeropage,  // fd, address, length, aux = FillFlag        → bytes
    uffd_continue,  // fd, address, length, aux = FillFlag        → bytes
    uffd_poison,    // fd, address, length, aux = FillFlag        → bytes
    uffd_read,     // fd; payload.events                         → number of events, never blocks;
                   // aux = 1: a child's descriptor is not closed, it is the event's `length`
    pagemap_scan,  // address, length, aux = ScanFlag; payload.runs → runs; stopped at `walk_end`
    pagemap_read,  // address, length; payload.out (one u64 a page) → bytes
    memory_read,   // address; payload.out: loads that may fault  → bytes
    memory_write,  // address; payload.in: stores that may fault  → bytes
    memory_usage,  // address, length; payload.usage: the mapping's smaps figures
    watch_segv,    // address, length; payload.sink: access faults of this range go there
    unwatch_segv,  // address, length
    wait,          // payload.waits, aux = timeout in ms (~0 for ever) → number ready
    event_create,  //                                            → descriptor to signal and wait on
    event_signal,    // fd
    event_drain,     // fd
    socket_send,     // fd; payload.in, payload.fds
    socket_receive,  // fd; payload.out, payload.received          → bytes (0: closed)
    duplicate,       // fd                                         → descriptor
    end_process,     // the process of whoever calls is killed: nothing in it runs on
    process_self,    // → descriptor of this process: ready once it has ended, whoever holds it
    bundle,          // payload.fds → descriptor that is ready (not hung up) when any of them is

    // what only programs that try a kernel out need
    close,         // fd
    file_create,   // an unnamed file on disk; payload.in = a folder to hold it → descriptor
    remap,         // address, length; offset = new length, aux = RemapFlag, target → address
    load,          // address                                    → the 8 bytes there, or `signal`
    store,         // address, aux = the 8 bytes; or `signal`
    gup_read,      // address; the kernel reads for us (process_vm_readv)         → the 8 bytes
    gup_write,     // address, aux; the kernel writes for us (process_vm_writev)
    forced_write,  // address, aux; past the mapping's permissions (/proc/self/mem)
    pin,    // address, length: pinned to be written by a device → descriptor; its close unpins
    unpin,  // fd: unpinned when the call returns (a close may leave that for later), then closed
    lock,   // address, length: mlock
    uffd_create,  // aux = 1: user mode only; no handshake yet    → descriptor
    uffd_api,     // fd, address = version, aux = features        → features of the kernel
    uffd_move,    // fd, address, length, target = source address, aux = MoveFlag → bytes
    clear_refs,   // soft-dirty bits of this process (clear_refs 4)
    scan,         // address, length; payload.scan                → regions; stopped at `walk_end`
};
inline constexpr unsigned op_count = static_cast<unsigned>(Op::scan) + 1;

struct MapFlag {
    static constexpr u64 read = 1, write = 2, shared = 4, fixed = 8, no_reserve = 16, no_fork = 32;
    static constexpr u64 huge = 64;  // anonymous memory from the pool of huge pages (MAP_HUGETLB)
    static constexpr u64 droppable = 128;  // anonymous memory that may go at any time (6.11)
};
struct MemfdFlag {  // the kernel's own bits
    static constexpr u64 huge = 4;
};
enum class Advice : u64 {
    drop,
    remove,
    no_huge_page,
    make_writable,  // takes the minor faults of first writes now (5.14); contents stay as they are
    // from here on as MADV_* is called
    free,
    cold,
    pageout,
    collapse,
    huge_page,
    mergeable,
    unmergeable,
    populate_read,
    guard_install,
    guard_remove,
};
struct RemapFlag {  // the kernel's own bits
    static constexpr u64 may_move = 1, fixed = 2, dontunmap = 4;
};
struct MoveFlag {  // the kernel's own bits
    static constexpr u64 no_wake = 1, allow_source_holes = 2;
};
struct RegisterMode {
    static constexpr u64 missing = 1, write_protect = 2, minor = 4;
};
struct FillFlag {
    static constexpr u64 write_protect = 1, no_wake = 2;
};
struct ScanFlag {
    static constexpr u64 written = 1;       // report pages written since they were armed
    static constexpr u64 arm = 2;           // … and arm exactly those, in the same atomic step
    static constexpr u64 private_copy = 4;  // report pages that are not the file's own
};

struct Call {
    Op op{};
    int fd = -1;
    u64 address = 0;
    u64 length = 0;
    u64 offset = 0;
    u64 aux = 0;
    u64 target = 0;
    friend auto operator<=>(const Call&, const Call&) = default;

    static Call memfd_create(u64 flags = 0) { return {Op::memfd_create, -1, 0, 0, 0, flags}; }
    static Call file_resize(int fd, u64 length) { return {Op::file_resize, fd, 0, length, 0, 0}; }
    static Call file_size(int fd) { return {Op::file_size, fd, 0, 0, 0, 0}; }
    static Call file_next_data(int fd, u64 offset) {
        return {Op::file_next_data, fd, 0, 0, offset, 0};
    }
    static Call file_punch(int fd, u64 offset, u64 length) {
        return {Op::file_punch, fd, 0, length, offset, 0};
    }
    static Call file_used(int fd) { return {Op::file_used, fd, 0, 0, 0, 0}; }
    static Call file_read(int fd, u64 offset, u64 length) {
        return {Op::file_read, fd, 0, length, offset, 0};
    }
    static Call file_write(int fd, u64 offset, u64 length) {
        return {Op::file_write, fd, 0, length, offset, 0};
    }
    static Call map(int fd, u64 offset, u64 length, u64 flags, u64 address = 0) {
        return {Op::map, fd, address, length, offset, flags};
    }
    static Call unmap(u64 address, u64 length) { return {Op::unmap, -1, address, length, 0, 0}; }
    static Call protect(u64 address, u64 length, u64 flags) {
        return {Op::protect, -1, address, length, 0, flags};
    }
    static Call advise(u64 address, u64 length, Advice advice) {
        return {Op::advise, -1, address, length, 0, static_cast<u64>(advice)};
    }
    static Call check_mapped(u64 address, u64 length) {
        return {Op::check_mapped, -1, address, length, 0, 0};
    }
    static Call uffd_open(u64 features) { return {Op::uffd_open, -1, 0, 0, 0, features}; }
    static Call uffd_register(int fd, u64 address, u64 length, u64 mode) {
        return {Op::uffd_register, fd, address, length, 0, mode};
    }
    static Call uffd_unregister(int fd, u64 address, u64 length) {
        return {Op::uffd_unregister, fd, address, length, 0, 0};
    }
    static Call uffd_wake(int fd, u64 address, u64 length) {
        return {Op::uffd_wake, fd, address, length, 0, 0};
    }
    static Call uffd_write_protect(int fd, u64 address, u64 length, bool on) {
        return {Op::uffd_write_protect, fd, address, length, 0, on ? u64{1} : u64{0}};
    }
    static Call uffd_copy(int fd, u64 address, u64 length, u64 source, u64 flags) {
        return {Op::uffd_copy, fd, address, length, source, flags};
    }
    static Call uffd_zeropage(int fd, u64 address, u64 length, u64 flags = 0) {
        return {Op::uffd_zeropage, fd, address, length, 0, flags};
    }
    static Call uffd_continue(int fd, u64 address, u64 length, u64 flags) {
        return {Op::uffd_continue, fd, address, length, 0, flags};
    }
    static Call uffd_poison(int fd, u64 address, u64 length, u64 flags = 0) {
        return {Op::uffd_poison, fd, address, length, 0, flags};
    }
    static Call uffd_read(int fd) { return {Op::uffd_read, fd, 0, 0, 0, 0}; }
    static Call pagemap_scan(u64 address, u64 length, u64 flags) {
        return {Op::pagemap_scan, -1, address, length, 0, flags};
    }
    static Call pagemap_read(u64 address, u64 length) {
        return {Op::pagemap_read, -1, address, length, 0, 0};
    }
    static Call memory_read(u64 address, u64 length) {
        return {Op::memory_read, -1, address, length, 0, 0};
    }
    static Call memory_write(u64 address, u64 length) {
        return {Op::memory_write, -1, address, length, 0, 0};
    }
    static Call memory_usage(u64 address, u64 length) {
        return {Op::memory_usage, -1, address, length, 0, 0};
    }
    static Call watch_segv(u64 address, u64 length) {
        return {Op::watch_segv, -1, address, length, 0, 0};
    }
    static Call unwatch_segv(u64 address, u64 length) {
        return {Op::unwatch_segv, -1, address, length, 0, 0};
    }
    /// With no descriptors and a timeout of 0: gives the processor to whoever else wants it.
    static Call wait(u64 timeout_ms) { return {Op::wait, -1, 0, 0, 0, timeout_ms}; }
    static Call event_create() { return {Op::event_create, -1, 0, 0, 0, 0}; }
    static Call event_signal(int fd) { return {Op::event_signal, fd, 0, 0, 0, 0}; }
    static Call event_drain(int fd) { return {Op::event_drain, fd, 0, 0, 0, 0}; }
    static Call socket_send(int fd) { return {Op::socket_send, fd, 0, 0, 0, 0}; }
    static Call socket_receive(int fd) { return {Op::socket_receive, fd, 0, 0, 0, 0}; }
    static Call duplicate(int fd) { return {Op::duplicate, fd, 0, 0, 0, 0}; }
    static Call end_process() { return {Op::end_process, -1, 0, 0, 0, 0}; }
    static Call process_self() { return {Op::process_self, -1, 0, 0, 0, 0}; }
    static Call bundle() { return {Op::bundle, -1, 0, 0, 0, 0}; }

    static Call close(int fd) { return {Op::close, fd, 0, 0, 0, 0}; }
    static Call file_create() { return {Op::file_create, -1, 0, 0, 0, 0}; }
    static Call remap(u64 address, u64 length, u64 new_length, u64 flags, u64 target = 0) {
        return {Op::remap, -1, address, length, new_length, flags, target};
    }
    static Call load(u64 address) { return {Op::load, -1, address, 8, 0, 0}; }
    static Call store(u64 address, u64 value) { return {Op::store, -1, address, 8, 0, value}; }
    static Call gup_read(u64 address) { return {Op::gup_read, -1, address, 8, 0, 0}; }
    static Call gup_write(u64 address, u64 value) {
        return {Op::gup_write, -1, address, 8, 0, value};
    }
    static Call forced_write(u64 address, u64 value) {
        return {Op::forced_write, -1, address, 8, 0, value};
    }
    static Call pin(u64 address, u64 length) { return {Op::pin, -1, address, length, 0, 0}; }
    static Call unpin(int fd) { return {Op::unpin, fd, 0, 0, 0, 0}; }
    static Call lock(u64 address, u64 length) { return {Op::lock, -1, address, length, 0, 0}; }
    static Call uffd_create(bool user_mode_only = false) {
        return {Op::uffd_create, -1, 0, 0, 0, user_mode_only ? u64{1} : u64{0}};
    }
    static Call uffd_api(int fd, u64 version, u64 features) {
        return {Op::uffd_api, fd, version, 0, 0, features};
    }
    static Call uffd_move(int fd, u64 address, u64 length, u64 source, u64 flags) {
        return {Op::uffd_move, fd, address, length, 0, flags, source};
    }
    static Call clear_refs() { return {Op::clear_refs, -1, 0, 0, 0, 0}; }
    static Call scan(u64 address, u64 length) { return {Op::scan, -1, address, length, 0, 0}; }
};

std::string_view name_of(Op op);
/// One line, for people: uffd_write_protect(fd 5, 0x7f0000000000+0x200000, aux 0x1)
std::string to_string(const Call& call);

}  // namespace verso::kernel

template <>
struct std::hash<verso::kernel::Call> {
    std::size_t operator()(const verso::kernel::Call& call) const noexcept;
};
