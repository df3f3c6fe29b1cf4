// The facts that are read: /proc, /sys, limits. Everything may be missing (a container hides most
// of it), so each is asked alone and its absence is an answer.
#include <charconv>
#include <fstream>
#include <string_view>

#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "cli/doctor.h"

namespace verso::cli {
namespace {
constexpr unsigned cap_sys_ptrace = 19;

std::optional<std::string> first_line(const char* path) {
    std::ifstream file(path);
    std::string line;
    if (!std::getline(file, line)) {
        return std::nullopt;
    }
    return line;
}

std::optional<u64> parsed(std::string_view text, int base = 10) {
    text.remove_prefix(std::min(text.size(), text.find_first_not_of(" \t")));
    u64 value = 0;
    const std::from_chars_result result =
        std::from_chars(text.data(), text.data() + text.size(), value, base);
    return result.ec == std::errc{} ? std::optional(value) : std::nullopt;
}

std::optional<u64> number_in(const char* path) {
    const std::optional<std::string> line = first_line(path);
    return line ? parsed(*line) : std::nullopt;
}

/// The number behind "name:" in a file of such lines.
std::optional<u64> field_of(const char* path, std::string_view name, int base = 10) {
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) {
        const std::string_view view = line;
        if (view.starts_with(name) && view.substr(name.size()).starts_with(':')) {
            return parsed(view.substr(name.size() + 1), base);
        }
    }
    return std::nullopt;
}

std::optional<u64> kib_field_of(const char* path, std::string_view name) {
    const std::optional<u64> kib = field_of(path, name);
    return kib ? std::optional(*kib * 1024) : std::nullopt;
}

/// "always advise [never]" → "never"
std::string chosen_in(const char* path) {
    const std::string line = first_line(path).value_or("");
    const std::size_t open = line.find('[');
    const std::size_t close = line.find(']');
    return open == std::string::npos || close < open ? "" : line.substr(open + 1, close - open - 1);
}

u64 soft_limit(int which) {
    rlimit limit{};
    if (::getrlimit(static_cast<__rlimit_resource>(which), &limit) != 0) {
        return 0;
    }
    return limit.rlim_cur == RLIM_INFINITY ? ~u64{0} : static_cast<u64>(limit.rlim_cur);
}
}  // namespace

MachineFacts gather_facts() {
    MachineFacts facts;
    utsname name{};
    if (::uname(&name) == 0) {
        facts.kernel_release = name.release;
        facts.machine = name.machine;
    }
    facts.page_bytes = static_cast<u64>(::sysconf(_SC_PAGESIZE));
    facts.root = ::geteuid() == 0;
    const u64 capabilities = field_of("/proc/self/status", "CapEff", 16).value_or(0);
    facts.can_ptrace = ((capabilities >> cap_sys_ptrace) & 1) != 0;
    facts.seccomp = field_of("/proc/self/status", "Seccomp");
    facts.unprivileged_uffd = number_in("/proc/sys/vm/unprivileged_userfaultfd");
    facts.uffd_device = ::access("/dev/userfaultfd", F_OK) == 0;
    facts.uffd_device_usable = ::access("/dev/userfaultfd", R_OK | W_OK) == 0;
    facts.overcommit = number_in("/proc/sys/vm/overcommit_memory");
    facts.map_count_max = number_in("/proc/sys/vm/max_map_count");
    facts.memlock_bytes = soft_limit(RLIMIT_MEMLOCK);
    facts.descriptors = soft_limit(RLIMIT_NOFILE);
    facts.huge_pages = number_in("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages");
    facts.huge_pages_free = number_in("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages");
    facts.shmem_huge = chosen_in("/sys/kernel/mm/transparent_hugepage/shmem_enabled");
    facts.memory_bytes = kib_field_of("/proc/meminfo", "MemTotal");
    facts.memory_free_bytes = kib_field_of("/proc/meminfo", "MemAvailable");
    return facts;
}

}  // namespace verso::cli
