// Call and Outcome in words, for messages of tests and, later, for programs as text.
#include "mm/call.h"

#include <array>
#include <cstring>

#include <fmt/format.h>

namespace verso::mm {
namespace {

constexpr std::array<std::string_view, op_count> names = {"mmap",
                                                          "munmap",
                                                          "mremap",
                                                          "mprotect",
                                                          "madvise",
                                                          "fork",
                                                          "exit",
                                                          "file_create",
                                                          "ftruncate",
                                                          "punch_hole",
                                                          "load",
                                                          "store",
                                                          "gup_read",
                                                          "gup_write",
                                                          "gup_unshare",
                                                          "gup_pin",
                                                          "gup_unpin",
                                                          "retry",
                                                          "uffd_open",
                                                          "uffd_api",
                                                          "uffd_register",
                                                          "uffd_unregister",
                                                          "uffd_wake",
                                                          "uffd_copy",
                                                          "uffd_zeropage",
                                                          "uffd_continue",
                                                          "uffd_writeprotect",
                                                          "uffd_poison",
                                                          "uffd_move",
                                                          "uffd_read",
                                                          "uffd_close",
                                                          "clear_refs",
                                                          "pagemap",
                                                          "pagemap_scan",
                                                          "reclaim",
                                                          "swapoff",
                                                          "swap_slot_fails",
                                                          "migrate_begin",
                                                          "migrate_end",
                                                          "migrate_fail",
                                                          "numa_scan",
                                                          "ksm_merge",
                                                          "ksm_unmerge",
                                                          "thp_collapse",
                                                          "thp_split",
                                                          "writeback_begin",
                                                          "writeback_end",
                                                          "device_collect",
                                                          "device_unmap",
                                                          "device_migrate",
                                                          "device_finalize",
                                                          "memory_failure"};
static_assert(!names.back().empty(), "one name for each Op");

constexpr std::array<std::string_view, 7> verdicts = {"done",   "blocked",  "SIGBUS", "SIGSEGV",
                                                      "failed", "disabled", "hangs"};

}  // namespace

std::string to_string(Op op) { return std::string(names[static_cast<std::size_t>(op)]); }

std::string to_string(const Call& call) {
    return fmt::format("{}: {}({:#x}, {:#x}, flags {:#x}, fd {})", call.thread, to_string(call.op),
                       call.address, call.length, call.flags, call.fd);
}

std::string to_string(const Outcome& outcome) {
    const std::string_view verdict = verdicts[static_cast<std::size_t>(outcome.verdict)];
    if (outcome.verdict == Verdict::failed) {
        return fmt::format("{} ({})", verdict, std::strerror(outcome.error));
    }
    return fmt::format("{} = {}", verdict, outcome.value);
}

}  // namespace verso::mm
