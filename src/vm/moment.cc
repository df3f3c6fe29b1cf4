// A moment of a running guest: see the header.
#include "vm/moment.h"

#include <filesystem>

#include <nlohmann/json.hpp>

#include "vm/device_state.h"
#include "vm/disks.h"
#include "vm/guard.h"
#include "vm/guest_clock.h"
#include "vm/keeper.h"
#include "vm/socket.h"

namespace verso::vm {
namespace {

/// With the guest standing still.
Result<void> take_all(const RuntimeDir& dir, const Record& record, Qmp& qmp,
                      const std::string& keeper, const MomentPlan& plan,
                      const std::vector<Disk>& disks, const std::vector<std::string>& overlays,
                      Taken& taken) {
    u64 begun_ns = now_ns();
    if (Result<void> put = put_overlays(qmp, disks, overlays); !put) {
        return pass(put);
    }
    taken.pause.disks_ns = now_ns() - begun_ns;
    begun_ns = now_ns();
    // Kept first: after a migration QEMU has given its disks up, until the guest goes on.
    if (plan.for_rewind) {
        if (Result<void> kept = keep_state(qmp, moments_store(dir, record.name), plan.snapshot);
            !kept) {
            return pass(kept);
        }
    }
    if (Result<void> written = write_state(qmp, taken.moment.state); !written) {
        return pass(written);
    }
    taken.pause.state_ns = now_ns() - begun_ns;
    Result<Json> armed =
        ask(keeper, Json{{"do", "snapshot"}, {"region", record.name}, {"snapshot", plan.snapshot}});
    if (!armed) {
        return pass(armed);
    }
    taken.pause.arm_ns = number_at(*armed, "arm_ns");
    taken.pause.pages_protected = number_at(*armed, "pages_protected");
    taken.pause.granule_bytes = number_at(*armed, "granule_bytes");
    return {};
}

}  // namespace

Result<Taken> take_moment(const RuntimeDir& dir, const FileLock& lock, Record& record, Qmp& qmp,
                          const std::string& keeper, const MomentPlan& plan) {
    Result<std::vector<Disk>> disks = writable_disks(qmp, record);
    if (!disks) {
        return pass(disks);
    }
    Taken taken;
    taken.moment.name = plan.snapshot;
    std::vector<std::string> overlays;
    for (std::size_t i = 0; i < disks->size(); ++i) {
        const std::string top = record.line.drives[i].file;
        Result<std::string> overlay = make_overlay(dir, record, top, (*disks)[i].bytes);
        if (!overlay) {
            return pass(overlay);
        }
        overlays.push_back(*overlay);
        taken.moment.disks.push_back(top);
    }
    ++record.layers;
    taken.moment.state = dir.file(record.name, fmt::format("{}.state", record.layers));
    if (plan.for_rewind) {
        if (Result<void> ready = prepare_store(qmp, moments_store(dir, record.name)); !ready) {
            return pass(ready);
        }
    }
    Result<Guard> guard = Guard::post(dir, record, lock);
    if (!guard) {
        return pass(guard);
    }
    // The guest still runs: what it does not write until it is stopped need not be protected then.
    Result<Json> ahead = ask(keeper, Json{{"do", "ahead"}, {"region", record.name}});
    if (!ahead) {
        return pass(ahead);
    }
    taken.pause.ahead_ns = number_at(*ahead, "arm_ns");
    taken.pause.pages_ahead = number_at(*ahead, "pages_protected");
    plan_tops(record, overlays);
    if (Result<void> saved = save_record(dir, record); !saved) {
        return pass(saved);
    }
    const std::string agent = dir.file(record.name, "agent.sock");
    const Result<ClockReading> before = read_guest_clock(agent);
    Result<Stillness> stillness = Stillness::begin(qmp, &*guard);
    if (!stillness) {
        return pass(stillness);
    }
    taken.pause.stop_ns = stillness->stopping_ns();
    Result<void> all = take_all(dir, record, qmp, keeper, plan, *disks, overlays, taken);
    Result<u64> stood = stillness->end();
    if (!all) {
        return pass(all);
    }
    if (!stood) {
        return pass(stood);
    }
    adopt_tops(record);
    if (Result<void> saved = save_record(dir, record); !saved) {
        return pass(saved);
    }
    taken.pause.whole_ns = *stood;
    if (const Result<ClockReading> after = read_guest_clock(agent); before && after) {
        taken.pause.guest_known = true;
        taken.pause.guest_ns = missed_ns(*before, *after);
    }
    std::error_code ignored;
    taken.pause.state_bytes = std::filesystem::file_size(taken.moment.state, ignored);
    return taken;
}

}  // namespace verso::vm
