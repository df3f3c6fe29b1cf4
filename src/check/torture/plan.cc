// The sums.
#include "check/torture/plan.h"

#include <algorithm>

#include <fmt/format.h>

#include "linux/world/machine.h"
#include "linux/world/text_file.h"

namespace verso::check::torture {
namespace {
constexpr u64 mebibyte = u64{1} << 20;
constexpr u64 gibibyte = u64{1} << 30;
constexpr u64 times = 3;
constexpr u64 own_bytes = 24 * mebibyte;
constexpr u64 least_bytes = 8 * mebibyte;  // page tables, stacks, …: cannot go out
constexpr u64 swap_slack_bytes = 64 * mebibyte;

u64 less(u64 from, u64 what) { return from - std::min(from, what); }

u64 need_of(u64 instances, u64 bytes) { return instances * (times * bytes + own_bytes); }

struct Room {
    u64 reserve = 0;
    u64 memory = 0;
    u64 disk = 0;
};

Room room_in(const Means& means) {
    Room room;
    room.reserve = std::max(gibibyte, means.memory_bytes / 8);
    room.memory = less(means.available_bytes, room.reserve);
    room.disk = less(means.disk_bytes, 4 * gibibyte);
    return room;
}
}  // namespace

std::string as_text(u64 bytes) {
    return bytes >= 10 * gibibyte ? fmt::format("{} GiB", bytes / gibibyte)
           : bytes >= gibibyte    ? fmt::format("{:.1f} GiB", static_cast<double>(bytes) /
                                                                  static_cast<double>(gibibyte))
                                  : fmt::format("{} MiB", bytes / mebibyte);
}

Means means_of_this_machine(bool may_swap) {
    Means means;
    const std::string memory = host::read_text("/proc/meminfo");
    means.memory_bytes = host::number_after(memory, "MemTotal") * 1024;
    means.available_bytes = host::number_after(memory, "MemAvailable") * 1024;
    if (may_swap) {
        const host::SwapRoom room = host::room_for_swap();
        means.disk_bytes = room.free_bytes;
        means.disk_folder = room.folder;
    }
    return means;
}

Result<Plan> plan_for(u64 instances, u64 bytes, const Means& means) {
    const Room room = room_in(means);
    Plan plan;
    plan.need_bytes = need_of(instances, bytes);
    plan.memory_bytes = room.memory;
    plan.scarce_bytes = instances * (bytes * 3 / 4 + least_bytes);
    plan.reserve_bytes = room.reserve;
    if (plan.need_bytes > room.memory + room.disk) {
        const u64 fit = (room.memory + room.disk) / need_of(1, bytes);
        return fail(ErrorKind::resource, 0,
                    "{} instances of {} may come to {}, of which {} of memory can be had here and "
                    "{} of swap{}; --instances {} would fit",
                    instances, as_text(bytes), as_text(plan.need_bytes), as_text(room.memory),
                    as_text(room.disk),
                    means.disk_bytes == 0 ? " (a swap file is for root to make)"
                                          : " in " + means.disk_folder,
                    fit);
    }
    if (room.disk > 0) {
        // As much as does not fit, and what is to go out while memory is scarce.
        const u64 wanted = std::max(less(plan.need_bytes, room.memory), instances * bytes);
        plan.swap_bytes = round_up(std::min(wanted + swap_slack_bytes, room.disk), page_size);
    }
    return plan;
}

}  // namespace verso::check::torture
