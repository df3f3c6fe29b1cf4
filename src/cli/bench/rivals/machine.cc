// Reading /proc: names and figures, and nothing that could disturb what is measured.
#include "cli/bench/rivals/machine.h"

#include <fstream>
#include <sstream>
#include <thread>

#include <fmt/core.h>

namespace verso::cli::bench {

namespace {

std::string first_line(const std::string& path) {
    std::ifstream file(path);
    std::string line;
    std::getline(file, line);
    return line;
}

/// "Name:   1234 kB" in a file of such lines.
u64 kib_field_bytes(const std::string& path, const std::string& name) {
    std::ifstream file(path);
    const std::string wanted = name + ":";
    for (std::string line; std::getline(file, line);) {
        std::istringstream words(line);
        std::string label;
        u64 kib = 0;
        if (words >> label >> kib && label == wanted)
            return kib << 10;
    }
    return 0;
}

std::string processor_name() {
    std::ifstream file("/proc/cpuinfo");
    for (std::string line; std::getline(file, line);) {
        const std::size_t colon = line.find(": ");
        if (line.starts_with("model name") && colon != std::string::npos) {
            return line.substr(colon + 2);
        }
    }
    return "unknown";
}

}  // namespace

Machine describe_machine() {
    Machine machine;
    machine.kernel_release = first_line("/proc/sys/kernel/osrelease");
    machine.processor = processor_name();
    machine.cpus = std::thread::hardware_concurrency();
    machine.memory_mib = meminfo_bytes("MemTotal") >> 20;
    machine.shmem_huge_pages = first_line("/sys/kernel/mm/transparent_hugepage/shmem_enabled");
    const std::string order =
        first_line("/sys/module/page_reporting/parameters/page_reporting_order");
    // Blocks of 2^10 pages are the largest there are; an order above says "none".
    machine.gives_memory_back = order.size() == 1 || order == "10";
    machine.load = first_line("/proc/loadavg");
    return machine;
}

u64 meminfo_bytes(const std::string& name) { return kib_field_bytes("/proc/meminfo", name); }

u64 smaps_bytes(pid_t pid, const std::string& name) {
    return kib_field_bytes(fmt::format("/proc/{}/smaps_rollup", pid), name);
}

u64 page_table_bytes(pid_t pid) {
    return kib_field_bytes(fmt::format("/proc/{}/status", pid), "VmPTE");
}

}  // namespace verso::cli::bench
