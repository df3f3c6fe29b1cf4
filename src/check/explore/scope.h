// Scope: which programs are searched. Everything that a search depends on is a value here, in Rules
// and in Oracles, and has a text, so that a token or a checkpoint can hold it:
//
//   kinds=A+SS,modes=sync,pages=1,threads=1,processes=1,areas=1,descriptors=1,steps=6,values=1,
//   thp=0,fine=0,calls=store+migrate,without=,events=
//
//   6.18,-prot_wp_writenotify,none_policy=protected          rules: a preset, then what differs
//
// A search begins with one machine for each kind and mode: the memory is mapped, readable and
// writable, nothing was touched yet, and the userfaultfds are open.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "check/program/program.h"
#include "mm/history.h"
#include "mm/rules.h"

namespace verso::check::explore {

/// What the userfaultfd was opened with. sync, async: SIGBUS stands for a message, and protection
/// is of that mode; plain: sync without WP_UNPOPULATED; messages: no SIGBUS, who faults waits.
enum class Mode : u8 { sync, async, plain, messages };

struct Scope {
    std::vector<Kind> kinds = {Kind::A, Kind::SS};
    std::vector<Mode> modes = {Mode::sync};
    u32 pages = 1;        ///< of the area; hugetlb has one huge page of two
    u32 threads = 1;      ///< of the first process
    u32 processes = 1;    ///< 2: it may fork
    u32 areas = 1;        ///< 2: memory can be moved to another place
    u32 descriptors = 1;  ///< userfaultfds that the first process has
    unsigned steps = 6;   ///< of a program, at most
    u32 values = 1;       ///< different ones that a store may write
    bool thp = false;     ///< huge pages, and what makes and splits them
    bool fine = false;    ///< migration and writeback begin and end in steps of their own
    std::vector<std::string> calls{};    ///< by their words; none named: all
    std::vector<std::string> without{};  ///< but not these
    std::vector<std::string> events{};   ///< fork, remap, remove, unmap: the userfaultfd asks for
    friend bool operator==(const Scope&, const Scope&) = default;
};

struct Limits {
    static constexpr u32 pages_max = 4, areas_max = 2, threads_max = 3, processes_max = 2;
    static constexpr u32 values_max = 3, descriptors_max = 2;
    static constexpr unsigned steps_max = 64;
};

Result<Scope> parse_scope(std::string_view text);
std::string to_text(const Scope& scope);

/// "6.18", "6.18,-mkuffd_wp_clears_w,+migration_o9,wp_site_removal=31".
Result<mm::Rules> parse_rules(std::string_view text);

/// "all", or names joined by "+": invariants, I9, I10, E-SD8, SC, contents, progress.
Result<mm::Oracles> parse_oracles(std::string_view text);
std::string to_text(mm::Oracles oracles);

std::string_view name_of(Mode mode);

}  // namespace verso::check::explore
