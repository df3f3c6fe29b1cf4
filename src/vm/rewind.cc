// verso vm snapshot and verso vm rewind: a moment that is kept, and the way back to it within the
// same QEMU. Nothing is restarted: the engine puts back the pages written since, the disks' tops
// become empty layers over those of the moment, and QEMU takes its device state back into itself.
#include <filesystem>

#include <nlohmann/json.hpp>

#include "vm/device_state.h"
#include "vm/disks.h"
#include "vm/keeper.h"
#include "vm/machine.h"
#include "vm/moment.h"
#include "vm/socket.h"
#include "vm/verbs.h"

namespace verso::vm {
namespace {

constexpr int lock_timeout_ms = 60'000;
constexpr const char* before_rewind = ".before";

Json request_for(const char* verb, const std::string& region, const std::string& snapshot) {
    return {{"do", verb}, {"region", region}, {"snapshot", snapshot}};
}

/// A machine whose memory is with a new page server has lost what the old one kept.
Result<std::string> keeper_with_moments(const RuntimeDir& dir, Record& record) {
    bool lent_anew = false;
    Result<std::string> keeper = keeper_of(dir, record, lent_anew);
    if (keeper && lent_anew && !record.moments.empty()) {
        record.moments.clear();
        if (Result<void> saved = save_record(dir, record); !saved) {
            return pass(saved);
        }
    }
    return keeper;
}

struct Way {
    std::string keeper;
    const Moment& moment;
    std::vector<Disk> disks;
    std::vector<std::string> overlays;
};

/// With the guest standing still. Memory goes first: it goes back as a whole or not at all, and can
/// be put forward again if the disks refuse.
Result<Rewound> go_back(const RuntimeDir& dir, Record& record, Qmp& qmp, const Way& way,
                        Stillness& stillness) {
    Result<Json> before = ask(way.keeper, request_for("snapshot", record.name, before_rewind));
    if (!before) {
        return pass(before);
    }
    Result<Json> memory = ask(way.keeper, request_for("rewind", record.name, way.moment.name));
    if (!memory) {
        return pass(memory);
    }
    Rewound rewound;
    rewound.pages = number_at(*memory, "pages");
    rewound.memory_ns = number_at(*memory, "ns");
    Result<void> disks = put_overlays(qmp, way.disks, way.overlays);
    if (disks) {
        for (std::size_t i = 0; i < way.overlays.size(); ++i) {
            record.line.drives[i].file = way.overlays[i];
        }
        disks = save_record(dir, record);
    }
    if (disks) {
        disks = put_on(qmp, way.overlays, way.moment.disks);
    }
    if (!disks) {
        if (!ask(way.keeper, request_for("rewind", record.name, before_rewind))) {
            stillness.leave_stopped();
        }
        return pass(disks);
    }
    const u64 begun_ns = now_ns();
    if (Result<void> state = take_state_back(qmp, way.moment.name); !state) {
        stillness.leave_stopped();
        return pass(state, "memory and disks are back, devices are not, and the guest is stopped");
    }
    rewound.state_ns = now_ns() - begun_ns;
    return rewound;
}

}  // namespace

Result<Pause> keep_moment(const RuntimeDir& dir, const std::string& name,
                          const std::string& moment) {
    if (Result<void> right = check_name(moment); !right) {
        return pass(right);
    }
    Result<FileLock> lock = FileLock::take(dir, name, lock_timeout_ms);
    if (!lock) {
        return pass(lock);
    }
    Result<Record> record = load_record(dir, name);
    if (!record) {
        return pass(record);
    }
    Result<Qmp> qmp = monitor_of(dir, *record);
    if (!qmp) {
        return pass(qmp);
    }
    Result<std::string> keeper = keeper_with_moments(dir, *record);
    if (!keeper) {
        return pass(keeper);
    }
    if (record->moment(moment) != nullptr) {
        return fail(ErrorKind::invalid_argument, 0,
                    "'{}' has a snapshot '{}' already; choose another name", name, moment);
    }
    Result<Taken> taken = take_moment(dir, *record, *qmp, *keeper, {moment, true});
    if (!taken) {
        (void)ask(*keeper, request_for("release", name, moment));
        return pass(taken);
    }
    record->moments.push_back(taken->moment);
    if (Result<void> saved = save_record(dir, *record); !saved) {
        return pass(saved);
    }
    return taken->pause;
}

Result<Rewound> rewind_machine(const RuntimeDir& dir, const std::string& name,
                               const std::string& moment) {
    Result<FileLock> lock = FileLock::take(dir, name, lock_timeout_ms);
    if (!lock) {
        return pass(lock);
    }
    Result<Record> record = load_record(dir, name);
    if (!record) {
        return pass(record);
    }
    Result<Qmp> qmp = monitor_of(dir, *record);
    if (!qmp) {
        return pass(qmp);
    }
    Result<std::string> keeper = keeper_with_moments(dir, *record);
    if (!keeper) {
        return pass(keeper);
    }
    const Moment* const kept = record->moment(moment);
    Result<bool> has_state = kept == nullptr ? Result<bool>(false) : is_state_kept(*qmp, moment);
    if (!has_state) {
        return pass(has_state);
    }
    if (!*has_state) {
        return fail(ErrorKind::invalid_argument, 0, "'{}' has no snapshot '{}'", name, moment);
    }
    Result<std::vector<Disk>> disks = writable_disks(*qmp, *record);
    if (!disks) {
        return pass(disks);
    }
    const Moment goal = *kept;
    Way way{*keeper, goal, std::move(*disks), {}};
    for (std::size_t i = 0; i < way.disks.size(); ++i) {
        Result<std::string> overlay = make_overlay(dir, *record, goal.disks[i], way.disks[i].bytes);
        if (!overlay) {
            return pass(overlay);
        }
        way.overlays.push_back(*overlay);
    }
    Result<Stillness> stillness = Stillness::begin(*qmp);
    if (!stillness) {
        return pass(stillness);
    }
    Result<Rewound> rewound = go_back(dir, *record, *qmp, way, *stillness);
    if (rewound) {
        Result<u64> stood = stillness->end();
        if (!stood) {
            return pass(stood);
        }
        rewound->pause_ns = *stood;
    }
    (void)ask(*keeper, request_for("release", name, before_rewind));
    return rewound;
}

}  // namespace verso::vm
