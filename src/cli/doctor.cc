// verso doctor: asks, reports, and prints the report for a person or for a machine.
#include "cli/doctor.h"

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "check/program/where.h"

namespace verso::cli {
namespace {
using nlohmann::ordered_json;

ordered_json known_or_null(const std::optional<u64>& value) {
    return value ? ordered_json(*value) : ordered_json(nullptr);
}
/// A limit, or null where there is none.
ordered_json limit_or_null(u64 value) {
    return value == ~u64{0} ? ordered_json(nullptr) : ordered_json(value);
}

ordered_json machine_of(const MachineFacts& facts) {
    return {{"kernel", facts.kernel_release},
            {"machine", facts.machine},
            {"page_bytes", facts.page_bytes},
            {"memory_bytes", known_or_null(facts.memory_bytes)},
            {"memory_available_bytes", known_or_null(facts.memory_free_bytes)},
            {"root", facts.root},
            {"cap_sys_ptrace", facts.can_ptrace},
            {"seccomp", known_or_null(facts.seccomp)},
            {"rlimit_nofile", limit_or_null(facts.descriptors)},
            {"rlimit_memlock_bytes", limit_or_null(facts.memlock_bytes)},
            {"vm_max_map_count", known_or_null(facts.map_count_max)},
            {"vm_overcommit_memory", known_or_null(facts.overcommit)},
            {"vm_unprivileged_userfaultfd", known_or_null(facts.unprivileged_uffd)},
            {"hugetlb_2mib_pages", known_or_null(facts.huge_pages)},
            {"hugetlb_2mib_pages_free", known_or_null(facts.huge_pages_free)},
            {"thp_shmem", facts.shmem_huge}};
}

ordered_json tracking_of(const DoctorReport& report) {
    const kernel::Abilities& can = report.abilities;
    ordered_json features = ordered_json::object();
    for (const FeatureLine& feature : report.features) {
        features[feature.name] = feature.present;
    }
    return {{"userfaultfd", can.userfaultfd},
            {"reached", report.reached},
            {"why_not", can.why_no_userfaultfd},
            {"user_mode_only", can.user_mode_only},
            {"device_exists", report.facts.uffd_device},
            {"device_usable", report.facts.uffd_device_usable},
            {"features", features},
            {"write_protect_shmem", can.write_protect_shmem},
            {"write_protect_hugetlb", report.write_protect_hugetlb},
            {"wp_unpopulated", can.wp_unpopulated},
            {"wp_async", can.wp_async},
            {"minor_shmem", can.minor_shmem},
            {"continue_private", can.continue_private},
            {"poison", can.poison},
            {"layout_events", can.layout_events},
            {"pagemap_scan", can.pagemap_scan}};
}

ordered_json safety_of(const std::optional<check::Safety>& safety) {
    if (!safety) {
        return nullptr;
    }
    const auto shown = [](const std::vector<check::Safety::Shown>& list) {
        ordered_json all = ordered_json::array();
        for (const check::Safety::Shown& one : list) {
            all.push_back({{"program", one.program}, {"what", one.what}, {"seen", one.how}});
        }
        return all;
    };
    ordered_json not_tried = ordered_json::array();
    for (const check::Safety::NotTried& one : safety->not_tried) {
        not_tried.push_back({{"program", one.program}, {"why", one.why}});
    }
    return {{"line", safety->line()},
            {"programs_tried", safety->tried},
            {"not_tried", not_tried},
            {"broken", shown(safety->broken)},
            {"exceptions", shown(safety->exceptions)},
            {"avoided", shown(safety->avoided)}};
}

/// A call that never returns costs the patience once.
check::Safety try_this_kernel() {
    constexpr u64 patience_ms = 1'000;
    return check::judge_safety([](const check::Program& program) {
        return check::run_on_running_kernel(program, patience_ms);
    });
}
}  // namespace

std::string to_json(const DoctorReport& report) {
    ordered_json verbs = ordered_json::array();
    for (const VerbPlan& plan : report.verbs) {
        verbs.push_back({{"verb", plan.verb},
                         {"works", !plan.backend.empty()},
                         {"backend", plan.backend},
                         {"best", plan.best},
                         {"note", plan.note}});
    }
    ordered_json blind = ordered_json::array();
    for (const BlindSpot& spot : report.blind_spots) {
        blind.push_back({{"what", spot.what},
                         {"instead", spot.instead},
                         {"detectable", DoctorReport::blind_spots_detectable}});
    }
    const ordered_json all{{"machine", machine_of(report.facts)},
                           {"tracking", tracking_of(report)},
                           {"verbs", verbs},
                           {"advice", report.advice},
                           {"unseen_writes", blind},
                           {"safety", safety_of(report.safety)}};
    // Text from /proc may be anything; what is not UTF-8 is replaced, not thrown.
    return all.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

int doctor(const DoctorOptions& options, kernel::Kernel& kernel) {
    DoctorReport report = make_report(kernel.abilities(), gather_facts());
    if (!options.quick && report.abilities.userfaultfd) {
        report.safety = try_this_kernel();
    }
    fmt::print("{}", options.json ? to_json(report) : to_text(report));
    return 0;
}

}  // namespace verso::cli
