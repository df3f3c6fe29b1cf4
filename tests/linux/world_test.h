// What the tests of worlds on the running kernel share.
#pragma once

#include <memory>
#include <string>

#include <unistd.h>

#include "linux/linux_test.h"
#include "linux/world/host_world.h"
#include "linux/world/text_file.h"

namespace verso::host {

using kernel::Trigger;

inline std::unique_ptr<HostWorld> new_world(u64 patience_ms = 10'000) {
    Result<std::unique_ptr<HostWorld>> made = HostWorld::create({.patience_ms = patience_ms});
    EXPECT_TRUE(made.has_value()) << made.error().message;
    return std::move(*made);
}

inline u64 map_pages(kernel::Kernel& process, u64 pages, u64 flags = read_write, int fd = -1) {
    const Outcome mapped = process.perform(Call::map(fd, 0, to_bytes(pages), flags));
    EXPECT_TRUE(mapped.ok()) << to_string(mapped);
    return static_cast<u64>(mapped.value);
}

inline u64 entry_of(kernel::Kernel& process, u64 address) {
    u64 entry = 0;
    const Outcome read = process.perform(Call::pagemap_read(address, page_size),
                                         {.out = std::as_writable_bytes(std::span(&entry, 1))});
    EXPECT_TRUE(read.ok()) << to_string(read);
    return entry;
}

/// Everything on the machine that a trigger may change.
inline std::string machine_state() {
    std::string state = read_text("/proc/swaps");
    state.resize(state.find('\n') == std::string::npos ? 0 : state.size());
    for (const char* path :
         {"/proc/sys/vm/nr_hugepages", "/proc/sys/kernel/numa_balancing", "/sys/kernel/mm/ksm/run",
          "/sys/kernel/mm/ksm/pages_to_scan", "/sys/kernel/mm/ksm/sleep_millisecs",
          "/sys/kernel/mm/ksm/smart_scan"}) {
        state += std::string(path) + " " + read_text(path);
    }
    for (const char* folder : {"/var/tmp", "/tmp", "."}) {
        const std::string file = std::string(folder) + "/verso-swap-" + std::to_string(::getpid());
        state += ::access(file.c_str(), F_OK) == 0 ? file + " is there\n" : "";
    }
    return state;
}

inline bool may_change(const char* path) { return ::access(path, W_OK) == 0; }

}  // namespace verso::host

/// Ends the test where this machine or this user has no such setting.
#define VERSO_NEEDS_SETTING(path) \
    do { \
        if (!::verso::host::may_change(path) || ::geteuid() != 0) { \
            GTEST_SKIP() << path " is not there, or not for this user to change"; \
        } \
    } while (false)
