// userfaultfd(2): the numbers and structures of its ioctls and messages, with the release that
// brought each. Own definitions instead of <linux/userfaultfd.h>: see abi.h.
//
//   ioctl number:  direction(2) | size of the structure(14) | 0xAA | command(8)
#pragma once

#include <string_view>

#include "base/types.h"

namespace verso::abi {

/// Bits of the API handshake. A kernel lists those it has; a context uses those it asked for.
struct Feature {
    static constexpr u64 pagefault_flag_wp = u64{1} << 0;    // 5.7
    static constexpr u64 event_fork = u64{1} << 1;           // 4.11
    static constexpr u64 event_remap = u64{1} << 2;          // 4.11
    static constexpr u64 event_remove = u64{1} << 3;         // 4.11
    static constexpr u64 missing_hugetlbfs = u64{1} << 4;    // 4.11
    static constexpr u64 missing_shmem = u64{1} << 5;        // 4.11
    static constexpr u64 event_unmap = u64{1} << 6;          // 4.11
    static constexpr u64 sigbus = u64{1} << 7;               // 4.14
    static constexpr u64 thread_id = u64{1} << 8;            // 4.14
    static constexpr u64 minor_hugetlbfs = u64{1} << 9;      // 5.13
    static constexpr u64 minor_shmem = u64{1} << 10;         // 5.14
    static constexpr u64 exact_address = u64{1} << 11;       // 5.18
    static constexpr u64 wp_hugetlbfs_shmem = u64{1} << 12;  // 5.19
    static constexpr u64 wp_unpopulated = u64{1} << 13;      // 6.4
    static constexpr u64 poison = u64{1} << 14;              // 6.6
    static constexpr u64 wp_async = u64{1} << 15;            // 6.7
    static constexpr u64 move = u64{1} << 16;                // 6.8
    static constexpr u64 layout_events = event_remap | event_remove | event_unmap;
};

/// A feature as people know it, for reports.
struct FeatureName {
    u64 bit;
    std::string_view name;
    std::string_view release;
};
inline constexpr FeatureName feature_names[] = {
    {Feature::pagefault_flag_wp, "PAGEFAULT_FLAG_WP", "5.7"},
    {Feature::event_fork, "EVENT_FORK", "4.11"},
    {Feature::event_remap, "EVENT_REMAP", "4.11"},
    {Feature::event_remove, "EVENT_REMOVE", "4.11"},
    {Feature::missing_hugetlbfs, "MISSING_HUGETLBFS", "4.11"},
    {Feature::missing_shmem, "MISSING_SHMEM", "4.11"},
    {Feature::event_unmap, "EVENT_UNMAP", "4.11"},
    {Feature::sigbus, "SIGBUS", "4.14"},
    {Feature::thread_id, "THREAD_ID", "4.14"},
    {Feature::minor_hugetlbfs, "MINOR_HUGETLBFS", "5.13"},
    {Feature::minor_shmem, "MINOR_SHMEM", "5.14"},
    {Feature::exact_address, "EXACT_ADDRESS", "5.18"},
    {Feature::wp_hugetlbfs_shmem, "WP_HUGETLBFS_SHMEM", "5.19"},
    {Feature::wp_unpopulated, "WP_UNPOPULATED", "6.4"},
    {Feature::poison, "POISON", "6.6"},
    {Feature::wp_async, "WP_ASYNC", "6.7"},
    {Feature::move, "MOVE", "6.8"},
};

inline constexpr u64 uffd_api_version = 0xAA;
inline constexpr int uffd_user_mode_only = 1;  // flag of the system call, 5.11

/// _IOC, spelled out: the layout that x86, arm64 and riscv share.
struct Direction {
    static constexpr unsigned none = 0, read = 2, read_write = 3;
};
constexpr unsigned long ioctl_number(unsigned direction, unsigned type, unsigned command,
                                     std::size_t size) {
    return (static_cast<unsigned long>(direction) << 30) |
           (static_cast<unsigned long>(size) << 16) | (static_cast<unsigned long>(type) << 8) |
           command;
}

struct UffdApi {
    u64 api;
    u64 features;  // in: wanted; out: all that the kernel has
    u64 ioctls;
};
struct UffdRange {
    u64 start;
    u64 length;
};
struct UffdRegister {
    UffdRange range;
    u64 mode;
    u64 ioctls;  // out: the commands this range answers to, one bit each
};
struct UffdCopy {
    u64 target;
    u64 source;
    u64 length;
    u64 mode;
    i64 copied;  // out: bytes, or a negative errno
};
struct UffdZeropage {
    UffdRange range;
    u64 mode;
    i64 zeroed;  // out: bytes, or a negative errno
};
struct UffdWriteProtect {  // 5.7
    UffdRange range;
    u64 mode;
};
struct UffdContinue {  // 5.13
    UffdRange range;
    u64 mode;
    i64 mapped;  // out: bytes, or a negative errno
};
struct UffdPoison {  // 6.6
    UffdRange range;
    u64 mode;
    i64 updated;  // out: bytes, or a negative errno
};
struct UffdMove {  // 6.8
    u64 target;
    u64 source;
    u64 length;
    u64 mode;
    i64 moved;  // out: bytes, or a negative errno
};

/// Bits of UffdRegister::mode.
struct UffdRegisterMode {
    static constexpr u64 missing = 1;  // 4.3
    static constexpr u64 wp = 2;       // 5.7
    static constexpr u64 minor = 4;    // 5.13
};
/// Bits of the fills' mode: copy and continue share them; zeropage and poison know only dont_wake.
struct UffdFillMode {
    static constexpr u64 dont_wake = 1;
    static constexpr u64 wp = 2;  // copy: 5.7, continue: 6.4
};
struct UffdWpMode {
    static constexpr u64 wp = 1;
    static constexpr u64 dont_wake = 2;
};

/// Command numbers: also the bit numbers of UffdRegister::ioctls.
struct UffdCommand {
    static constexpr unsigned register_range = 0x00, unregister = 0x01, wake = 0x02, copy = 0x03,
                              zeropage = 0x04, move = 0x05, write_protect = 0x06,
                              continue_range = 0x07, poison = 0x08, api = 0x3F;
};

inline constexpr unsigned uffd_type = 0xAA;
template <class Argument>
constexpr unsigned long uffd_ioctl(unsigned direction, unsigned command) {
    return ioctl_number(direction, uffd_type, command, sizeof(Argument));
}
struct UffdIoctl {
    static constexpr unsigned long
        api = uffd_ioctl<UffdApi>(Direction::read_write, UffdCommand::api),
        register_range =
            uffd_ioctl<UffdRegister>(Direction::read_write, UffdCommand::register_range),
        unregister = uffd_ioctl<UffdRange>(Direction::read, UffdCommand::unregister),
        wake = uffd_ioctl<UffdRange>(Direction::read, UffdCommand::wake),
        copy = uffd_ioctl<UffdCopy>(Direction::read_write, UffdCommand::copy),
        zeropage = uffd_ioctl<UffdZeropage>(Direction::read_write, UffdCommand::zeropage),
        move = uffd_ioctl<UffdMove>(Direction::read_write, UffdCommand::move),
        write_protect =
            uffd_ioctl<UffdWriteProtect>(Direction::read_write, UffdCommand::write_protect),
        continue_range =
            uffd_ioctl<UffdContinue>(Direction::read_write, UffdCommand::continue_range),
        poison = uffd_ioctl<UffdPoison>(Direction::read_write, UffdCommand::poison);
    /// Of /dev/userfaultfd, 6.1: a new context, flags as the argument.
    static constexpr unsigned long device_new = ioctl_number(Direction::none, uffd_type, 0x00, 0);
};

/// What a userfaultfd's reader gets: 32 bytes. The three words mean different things per event.
struct UffdMessage {
    u8 event;
    u8 reserved1;
    u16 reserved2;
    u32 reserved3;
    u64 first;   // pagefault: flags     remap: from     remove, unmap: start    fork: descriptor
    u64 second;  // pagefault: address   remap: to       remove, unmap: end
    u64 third;   // pagefault: thread    remap: length
};
static_assert(sizeof(UffdMessage) == 32);

struct UffdEvent {
    static constexpr u8 pagefault = 0x12, fork = 0x13, remap = 0x14, remove = 0x15, unmap = 0x16;
};
struct UffdFaultFlag {
    static constexpr u64 write = 1, wp = 2, minor = 4;
};

}  // namespace verso::abi
