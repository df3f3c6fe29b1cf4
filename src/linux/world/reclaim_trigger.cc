// Pages leave memory, and come back; dirty ones are written.
#include <cstdio>

#include <fcntl.h>
#include <unistd.h>

#include "linux/world/text_file.h"
#include "linux/world/triggers.h"

namespace verso::host {
using kernel::Advice;
using kernel::Call;
using kernel::Provoked;

namespace {
constexpr const char* compact_path = "/proc/sys/vm/compact_memory";

bool any(const std::vector<u64>& entries, bool (*is)(u64)) {
    for (const u64 entry : entries) {
        if (is(entry)) {
            return true;
        }
    }
    return false;
}
}  // namespace

/// T-1, T-2. A page that was touched a moment ago may still be in another processor's list of
/// pages to be added to those that reclaim looks at; compaction begins by emptying these lists.
Provoked reclaim(const Target& target, Machine& machine) {
    constexpr int tries_max = 20;
    constexpr int tries_before_emptying = 3;
    Result<SwapFile*> swap = machine.swap();
    const u64 before = count_present(entries_of(target));
    if (before == 0) {
        return not_so("no page of the range is in memory");
    }
    kernel::Outcome advised;
    for (int tries = 0; tries < tries_max; ++tries) {
        if (tries == tries_before_emptying) {
            static_cast<void>(write_text(compact_path, "1"));  // not root: the tries go on
        }
        advised =
            target.kernel.perform(Call::advise(target.address, target.length, Advice::pageout));
        if (!advised.ok() || count_present(entries_of(target)) == 0) {
            break;
        }
        ::usleep(1000);
    }
    const u64 after = count_present(entries_of(target));
    if (advised.ok() && after == 0) {
        return acted();
    }
    return not_so(fmt::format("{} of {} pages stayed in memory: {}", after, before,
                              !swap          ? swap.error().message
                              : advised.ok() ? "they are shared, pinned or locked"
                                             : to_string(advised)));
}

/// T-5. The file is switched on again afterwards, empty.
Provoked swap_off(const Target& target, Machine& machine) {
    Result<SwapFile*> swap = machine.swap();
    if (!swap) {
        return not_so(swap.error().message);
    }
    if (!any(entries_of(target), is_in_swap)) {
        return not_so("no page of the range is in swap");
    }
    Result<void> off = (*swap)->off();
    const bool came_back = !any(entries_of(target), is_in_swap);
    const Result<void> on = off ? (*swap)->on() : Result<void>{};
    if (!off || !on) {
        return not_so(!off ? off.error().message : on.error().message);
    }
    return came_back ? acted() : not_so("pages of the range are still in swap");
}

/// The files behind the range are written, whole: through /proc/PID/map_files, because the program
/// may have closed its descriptors.
Provoked write_back(const Target& target) {
    const u64 before = count_frames(entries_of(target), FrameFlag::dirty);
    if (before == 0) {
        return not_so("no page of the range is dirty");
    }
    const std::string maps = read_text(fmt::format("/proc/{}/maps", target.pid));
    for (std::size_t at = 0; at < maps.size();) {
        u64 begin = 0;
        u64 end = 0;
        if (std::sscanf(maps.c_str() + at, "%lx-%lx", &begin, &end) == 2 &&
            begin < target.address + target.length && target.address < end) {
            // Why safe: opens a file that the process has mapped, for reading.
            const Fd file{
                ::open(fmt::format("/proc/{}/map_files/{:x}-{:x}", target.pid, begin, end).c_str(),
                       O_RDONLY | O_CLOEXEC)};
            static_cast<void>(::fsync(file.get()));  // what came of it is seen below
        }
        at = std::min(maps.find('\n', at), maps.size()) + 1;
    }
    const u64 after = count_frames(entries_of(target), FrameFlag::dirty);
    return after == 0 ? acted()
                      : not_so(fmt::format("{} of {} dirty pages stayed so: they are of no file "
                                           "on a disk",
                                           after, before));
}

}  // namespace verso::host
