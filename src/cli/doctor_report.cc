// From abilities and facts to a report: no system call here, only conclusions. The rules for
// backends are those by which the engine chooses; where one changes there, it changes here.
#include <fmt/format.h>

#include "abi/abi.h"
#include "cli/doctor.h"

namespace verso::cli {
namespace {
using kernel::Abilities;

constexpr u64 descriptors_wanted = 4096;     // some eight hundred regions, five each
constexpr u64 map_count_wanted = 1'048'576;  // mprotect only: a VMA per island of written pages

const char* const by_mprotect = "mprotect + SIGSEGV";
const char* const mprotect_note =
    "in this process only; read(2) and the like into protected pages fail with EFAULT";
const char* const user_mode_note = "read(2) and the like into protected pages fail with EFAULT";
const char* const full_note = "about 10 us a first write, contents kept";

bool by_userfaultfd(const Abilities& can) { return can.userfaultfd && can.write_protect_shmem; }

std::string reached_how(const Abilities& can) {
    if (!can.userfaultfd) {
        return "not at all";
    }
    if (can.user_mode_only) {
        return "userfaultfd(2) with UFFD_USER_MODE_ONLY";
    }
    return can.through_device ? "/dev/userfaultfd" : "userfaultfd(2)";
}

VerbPlan plan_written(const Abilities& can) {
    if (by_userfaultfd(can) && can.wp_async && can.pagemap_scan) {
        return {"written", "userfaultfd async + PAGEMAP_SCAN", true, "about 1 us a first write"};
    }
    if (by_userfaultfd(can)) {
        return {"written", "userfaultfd", false,
                "with Tracking::contents; Tracking::pages falls back to mprotect + SIGSEGV"};
    }
    return {"written", by_mprotect, false, mprotect_note};
}

/// snapshot and rewind have the same needs.
VerbPlan plan_contents(std::string verb, const Abilities& can) {
    if (!by_userfaultfd(can)) {
        return {std::move(verb), by_mprotect, false, mprotect_note};
    }
    if (can.user_mode_only) {
        return {std::move(verb), "userfaultfd, user mode only", false, user_mode_note};
    }
    return {std::move(verb), "userfaultfd", true, full_note};
}

VerbPlan plan_fork_here(const Abilities& can) {
    const std::string verb = "fork, same process";
    if (!by_userfaultfd(can)) {
        return {verb, by_mprotect, false, "a child is a whole copy, made when it is forked"};
    }
    if (!can.minor_shmem || !can.continue_private) {
        return {verb, "", false, "needs minor faults on shared memory (Linux 5.14)"};
    }
    if (can.user_mode_only) {
        return {verb, "userfaultfd, user mode only", false,
                "what children read is copied once, for all of them together"};
    }
    return {verb, "userfaultfd", true, "untouched pages are shared, physically"};
}

VerbPlan plan_fork_there(const Abilities& can) {
    VerbPlan plan = plan_fork_here(can);
    plan.verb = "fork, other process";
    if (!by_userfaultfd(can)) {
        plan.backend.clear();
        plan.note = "needs userfaultfd in both processes";
    }
    return plan;
}

VerbPlan plan_attach(const Abilities& can) {
    const std::string verb = "attach";
    if (!by_userfaultfd(can)) {
        return {verb, "", false, "needs userfaultfd in the process that lends its memory"};
    }
    if (can.user_mode_only) {
        return {verb, "userfaultfd, user mode only", false,
                "a virtual machine's memory is also written by the kernel (KVM): not served"};
    }
    return {verb, "userfaultfd", true, full_note};
}

void advise_userfaultfd(const Abilities& can, const MachineFacts& facts,
                        std::vector<std::string>& advice) {
    if (!can.userfaultfd) {
        advice.push_back(can.why_no_userfaultfd);
        if (facts.uffd_device && !facts.uffd_device_usable) {
            advice.emplace_back(
                "or open /dev/userfaultfd to this user: setfacl -m u:USER:rw /dev/userfaultfd");
        }
        return;
    }
    if (can.user_mode_only) {
        advice.push_back(fmt::format(
            "to serve system calls that write into protected pages, as root either: sysctl "
            "vm.unprivileged_userfaultfd=1 (now {}), or: setfacl -m u:USER:rw /dev/userfaultfd{}, "
            "or: "
            "grant CAP_SYS_PTRACE",
            facts.unprivileged_uffd ? fmt::format("{}", *facts.unprivileged_uffd) : "unknown",
            facts.uffd_device ? "" : " (missing here; Linux 6.1 and later have it)"));
    }
    if (!can.write_protect_shmem) {
        advice.emplace_back(
            "use a kernel that write-protects shared memory: Linux 5.19 on x86-64, 6.10 on arm64, "
            "with "
            "CONFIG_PTE_MARKER_UFFD_WP=y");
    }
    if (!can.minor_shmem || !can.continue_private) {
        advice.emplace_back(
            "use a kernel with minor faults on shared memory to fork children: Linux 5.14 or "
            "later, "
            "64 bit");
    }
    if (can.write_protect_shmem && (!can.wp_async || !can.pagemap_scan)) {
        advice.emplace_back(
            "use Linux 6.7 or later for written() at a tenth of the cost (async protection and "
            "PAGEMAP_SCAN)");
    }
    if (!can.poison) {
        advice.emplace_back(
            "use Linux 6.6 or later so that lost pages read as SIGBUS in children (UFFDIO_POISON)");
    }
    if (!can.layout_events) {
        advice.emplace_back(
            "do not unmap, move or discard tracked memory: this kernel has no events that tell of "
            "it");
    }
}

void advise_limits(const Abilities& can, const MachineFacts& facts,
                   std::vector<std::string>& advice) {
    if (!facts.overcommit) {
        advice.emplace_back("mount /proc: PAGEMAP_SCAN and the memory report read /proc/self");
    }
    if (facts.page_bytes != 0 && facts.page_bytes != page_size) {
        advice.push_back(fmt::format(
            "use a kernel with pages of {} bytes: this one has {}, and Verso refuses them",
            page_size, facts.page_bytes));
    }
    if (facts.descriptors < descriptors_wanted) {
        advice.push_back(
            fmt::format("for many regions raise RLIMIT_NOFILE (now {}; a region takes about five): "
                        "ulimit -n {}",
                        facts.descriptors, descriptors_wanted));
    }
    const u64 map_count = facts.map_count_max.value_or(map_count_wanted);
    if (!by_userfaultfd(can) && map_count < map_count_wanted) {
        advice.push_back(fmt::format(
            "mprotect takes a VMA per island of written pages: sysctl vm.max_map_count={} (now {})",
            map_count_wanted, map_count));
    }
    if (facts.overcommit.value_or(0) == 2) {
        advice.emplace_back(
            "vm.overcommit_memory=2 counts children in full when they are forked: set it to 0 or "
            "1, or "
            "raise vm.overcommit_ratio");
    }
    if (facts.shmem_huge == "always" || facts.shmem_huge == "force" ||
        facts.shmem_huge == "within_size") {
        advice.push_back(fmt::format(
            "huge pages for shared memory are on ({}): one written byte may then occupy 2 MiB; to "
            "count "
            "memory by the page, echo never > /sys/kernel/mm/transparent_hugepage/shmem_enabled",
            facts.shmem_huge));
    }
}

std::vector<BlindSpot> what_nobody_sees() {
    return {
        {"devices that were given the pages before they were protected: io_uring fixed buffers, "
         "vfio, "
         "RDMA and other pinned DMA write without a fault; and once a page was taken back from a "
         "child, they write a page that is no longer the region's",
         "keep such buffers outside the region, or finish the transfer before the snapshot and "
         "register them anew after a fork"},
        {"a second mapping of the region's memfd, in this process or another",
         "write only through the region's own bytes"},
        {"write(2), fallocate(2) and the like on the memfd itself",
         "write only through the region's own bytes"},
    };
}
}  // namespace

DoctorReport make_report(const Abilities& abilities, const MachineFacts& facts) {
    DoctorReport report;
    report.facts = facts;
    report.abilities = abilities;
    report.reached = reached_how(abilities);
    report.write_protect_hugetlb =
        (abilities.uffd_features & abi::Feature::wp_hugetlbfs_shmem) != 0;
    for (const abi::FeatureName& feature : abi::feature_names) {
        report.features.push_back({std::string(feature.name), std::string(feature.release),
                                   (abilities.uffd_features & feature.bit) != 0});
    }
    report.verbs = {
        plan_written(abilities),    plan_contents("snapshot", abilities), plan_fork_here(abilities),
        plan_fork_there(abilities), plan_contents("rewind", abilities),   plan_attach(abilities)};
    advise_userfaultfd(abilities, facts, report.advice);
    advise_limits(abilities, facts, report.advice);
    report.blind_spots = what_nobody_sees();
    return report;
}

}  // namespace verso::cli
