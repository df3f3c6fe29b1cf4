// verso doctor: what this machine offers, which backend each verb would therefore use, what to
// change to get the better one, and what no snapshot can see on any machine.
//
//   Abilities (tried, kernel/) ─┐
//                               ├─ make_report ─▶ DoctorReport ─▶ text or JSON
//   MachineFacts (read, /proc) ─┘   a pure function: tests ask it about machines they lack
//   Safety (tried, check/)     ── does this kernel keep its promise? some seconds, --quick leaves
//                                 it out
//
// It needs no privilege, and its exit code is 0 whenever the report was printed: a machine without
// userfaultfd is an answer, not a failure. As root the trials swap and move pages of processes of
// their own; a swap file and settings that this takes are put back.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "check/safety/safety.h"
#include "kernel/kernel.h"
#include "linux/linux_kernel.h"  // the kernel that a command line asks about

namespace verso::cli {

struct DoctorOptions {
    bool json = false;
    bool quick = false;  // do not try whether this kernel keeps its promise
};
int doctor(const DoctorOptions& options, kernel::Kernel& kernel);

/// What is read, not tried. Empty or nullopt: this machine does not say.
struct MachineFacts {
    std::string kernel_release;
    std::string machine;  // x86_64, aarch64, …
    u64 page_bytes = 0;
    bool root = false;
    bool can_ptrace = false;               // CAP_SYS_PTRACE, what userfaultfd(2) asks for
    std::optional<u64> seccomp;            // 0 none, 2 a filter is active
    std::optional<u64> unprivileged_uffd;  // sysctl vm.unprivileged_userfaultfd
    bool uffd_device = false;              // /dev/userfaultfd exists
    bool uffd_device_usable = false;       // … and this process may open it
    std::optional<u64> overcommit;         // sysctl vm.overcommit_memory
    std::optional<u64> map_count_max;      // sysctl vm.max_map_count
    u64 memlock_bytes = 0;                 // soft RLIMIT_MEMLOCK; ~0: no limit
    u64 descriptors = 0;                   // soft RLIMIT_NOFILE; ~0: no limit
    std::optional<u64> huge_pages;         // of 2 MiB, in the pool
    std::optional<u64> huge_pages_free;
    std::string shmem_huge;                // THP for shared memory: never, advise, always, …
    std::optional<u64> memory_bytes;       // MemTotal
    std::optional<u64> memory_free_bytes;  // MemAvailable
};
MachineFacts gather_facts();

/// One verb of the library on this machine.
struct VerbPlan {
    std::string verb;
    std::string backend;  // empty: it does not work here
    bool best = false;    // nothing would make it better
    std::string note;     // what it costs or cannot do
};
struct FeatureLine {
    std::string name;
    std::string release;  // that brought it
    bool present = false;
};
/// What a snapshot cannot see, and what to do instead.
struct BlindSpot {
    std::string what;
    std::string instead;
};

struct DoctorReport {
    MachineFacts facts;
    kernel::Abilities abilities;
    std::string
        reached;  // how a userfaultfd is had: system call, device, user mode only, not at all
    bool write_protect_hugetlb = false;  // by feature bit: Verso's own regions have small pages
    std::vector<FeatureLine> features;
    std::vector<VerbPlan> verbs;
    std::vector<std::string> advice;  // what to change, most useful first; empty: nothing
    std::vector<BlindSpot> blind_spots;
    static constexpr bool blind_spots_detectable = false;
    std::optional<check::Safety> safety;  // nullopt: not tried
};
DoctorReport make_report(const kernel::Abilities& abilities, const MachineFacts& facts);

std::string to_text(const DoctorReport& report);
std::string to_json(const DoctorReport& report);

}  // namespace verso::cli
