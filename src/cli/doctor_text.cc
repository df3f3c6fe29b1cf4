// The report for people: three aligned columns, and sentences wrapped at 96 columns.
#include <map>

#include <fmt/format.h>

#include "cli/doctor.h"

namespace verso::cli {
namespace {
constexpr std::size_t columns_max = 96;
constexpr u64 no_limit = ~u64{0};
constexpr u64 mib = u64{1} << 20;

const char* yes_or_no(bool value) { return value ? "yes" : "no"; }

std::string count_of(u64 value) {
    return value == no_limit ? "no limit" : fmt::format("{}", value);
}
std::string count_of(const std::optional<u64>& value) {
    return value ? fmt::format("{}", *value) : "unknown";
}
std::string size_of(u64 bytes) {
    return bytes == no_limit ? "no limit"
           : bytes >= mib    ? fmt::format("{} MiB", bytes / mib)
                             : fmt::format("{} KiB", bytes / 1024);
}
std::string size_of(const std::optional<u64>& bytes) { return bytes ? size_of(*bytes) : "unknown"; }

/// `text` word by word, from the column where `lead` ends, further lines indented by `indent`.
std::string wrapped(const std::string& lead, std::string_view text, std::size_t indent) {
    std::string out;
    std::string line = lead;
    bool fresh = true;  // nothing on this line yet but its lead
    while (!text.empty()) {
        const std::size_t length = std::min(text.find(' '), text.size());
        const std::string_view word = text.substr(0, length);
        text.remove_prefix(std::min(length + 1, text.size()));
        if (!fresh && line.size() + 1 + word.size() > columns_max) {
            out += line + "\n";
            line = std::string(indent, ' ');
            fresh = true;
        }
        line += (fresh ? "" : " ") + std::string(word);
        fresh = false;
    }
    return out + line + "\n";
}

std::string row(std::string_view name, std::string_view value) {
    constexpr std::size_t indent = 31;
    return wrapped(fmt::format("  {:<{}}", name, indent - 2), value, indent);
}

std::string privilege_of(const MachineFacts& facts) {
    std::string text = facts.root ? "root" : "not root";
    text += facts.can_ptrace ? ", with CAP_SYS_PTRACE" : ", without CAP_SYS_PTRACE";
    text += facts.seccomp.value_or(0) == 2 ? ", under a seccomp filter" : "";
    return text;
}

std::string machine_part(const DoctorReport& report) {
    const MachineFacts& facts = report.facts;
    std::string text = "machine\n";
    text += row("kernel", fmt::format("Linux {}, {}", facts.kernel_release, facts.machine));
    text += row("memory", fmt::format("{}, {} available", size_of(facts.memory_bytes),
                                      size_of(facts.memory_free_bytes)));
    text += row("privilege", privilege_of(facts));
    text += row("RLIMIT_NOFILE", count_of(facts.descriptors));
    text += row("RLIMIT_MEMLOCK", size_of(facts.memlock_bytes) + " (Verso locks nothing)");
    text += row("vm.max_map_count", count_of(facts.map_count_max));
    text += row("vm.overcommit_memory", count_of(facts.overcommit));
    text += row("huge pages, 2 MiB pool", fmt::format("{}, {} free", count_of(facts.huge_pages),
                                                      count_of(facts.huge_pages_free)));
    text += row("huge pages for shmem",
                facts.shmem_huge.empty() ? "unknown" : facts.shmem_huge.c_str());
    return text;
}

std::string tracking_part(const DoctorReport& report) {
    const kernel::Abilities& can = report.abilities;
    std::string text = "\nwrite tracking\n";
    text += row("userfaultfd", report.reached);
    text += row("vm.unprivileged_userfaultfd", count_of(report.facts.unprivileged_uffd));
    text += row("/dev/userfaultfd", !report.facts.uffd_device         ? "missing"
                                    : report.facts.uffd_device_usable ? "usable"
                                                                      : "not for this user");
    std::string has;
    std::string lacks;
    for (const FeatureLine& feature : report.features) {
        if (feature.present) {
            has += (has.empty() ? "" : " ") + feature.name;
        } else {
            lacks += fmt::format("{}{} (Linux {})", lacks.empty() ? "" : ", ", feature.name,
                                 feature.release);
        }
    }
    if (can.userfaultfd) {
        text += row("features", has);
        text += row("features it lacks", lacks.empty() ? "none" : lacks);
    }
    text += row("protects shared memory", yes_or_no(can.write_protect_shmem));
    text +=
        row("protects hugetlb", report.write_protect_hugetlb ? "yes, by its feature bit" : "no");
    text += row("async protection", yes_or_no(can.wp_async));
    text += row("PAGEMAP_SCAN", yes_or_no(can.pagemap_scan));
    text += row("continue into private", yes_or_no(can.continue_private));
    return text;
}

std::string verbs_part(const DoctorReport& report) {
    std::string text = "\nwhat each verb would use here\n";
    for (const VerbPlan& plan : report.verbs) {
        const std::string backend = plan.backend.empty() ? "does not work here" : plan.backend;
        text +=
            row(plan.verb, fmt::format("{}{}; {}", backend, plan.best ? "" : " (*)", plan.note));
    }
    return text;
}

std::string list_part(const std::string& title, const std::vector<std::string>& sentences) {
    std::string text = "\n" + title + "\n";
    for (const std::string& sentence : sentences) {
        text += wrapped("  - ", sentence, 4);
    }
    return text;
}

/// The verdict is the last line, and one line however long.
std::string safety_part(const DoctorReport& report) {
    if (!report.safety) {
        return {};
    }
    const check::Safety& safety = *report.safety;
    std::string text;
    std::vector<std::string> known;
    known.reserve(safety.avoided.size());
    for (const check::Safety::Shown& one : safety.avoided) {
        known.push_back(fmt::format("{}. Seen: {} ({})", one.what, one.how, one.program));
    }
    if (!known.empty()) {
        text += list_part("what this kernel breaks, and why no region meets it", known);
    }
    std::map<std::string, std::vector<std::string>> by_reason;
    for (const check::Safety::NotTried& one : safety.not_tried) {
        by_reason[one.why].push_back(one.program);
    }
    std::vector<std::string> unknown;
    unknown.reserve(by_reason.size());
    for (const auto& [why, programs] : by_reason) {
        unknown.push_back(fmt::format(
            "{} ({})", why,
            programs.size() == 1 ? programs.front() : fmt::format("{} programs", programs.size())));
    }
    if (!unknown.empty()) {
        text += list_part("not tried, and so not known", unknown);
    }
    return text + fmt::format("\nsnapshots on this kernel: {}\n", safety.line());
}
}  // namespace

std::string to_text(const DoctorReport& report) {
    std::string text = machine_part(report) + tracking_part(report) + verbs_part(report);
    text += list_part("(*) what to change",
                      report.advice.empty() ? std::vector<std::string>{"nothing"} : report.advice);
    std::vector<std::string> blind;
    blind.reserve(report.blind_spots.size() + 1);
    for (const BlindSpot& spot : report.blind_spots) {
        blind.push_back(fmt::format("{}. Instead: {}.", spot.what, spot.instead));
    }
    blind.emplace_back("Can this process detect any of these: no. Do not make them.");
    text += list_part("writes that no snapshot sees, on any machine", blind);
    return text + safety_part(report);
}

}  // namespace verso::cli
