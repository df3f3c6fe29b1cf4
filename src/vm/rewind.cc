// verso vm snapshot and verso vm rewind: a moment that is kept, and the way back to it within the
// same QEMU. Nothing is restarted: the engine puts back the pages written since, QEMU takes its
// device state back into itself, and the disks' tops become empty layers over those of the moment.
//
//   what may be refused while the guest runs    the moment's disks are opened, a store is made
//   with the guest standing still
//     keep what is there                        .before: memory (engine), devices (that store)
//     memory ─▶ devices ─▶ disks                each may be refused
//     if one was: memory ─▶ devices             of .before, and the guest goes on from there
//
// Memory goes before devices, because QEMU reads rings in it while it loads them. Devices go before
// disks, because what is refused at disks leaves them as they were.
#include <filesystem>

#include <nlohmann/json.hpp>

#include "vm/device_state.h"
#include "vm/disks.h"
#include "vm/guard.h"
#include "vm/keeper.h"
#include "vm/machine.h"
#include "vm/moment.h"
#include "vm/socket.h"
#include "vm/verbs.h"

namespace verso::vm {
namespace {

constexpr int lock_timeout_ms = 60'000;

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
    StateStore moments;
    StateStore before;
    std::vector<Disk> disks;
    std::vector<std::string> overlays;

    WayForward forward(const Record& record) const {
        std::vector<std::string> tops;
        for (const Drive& drive : record.line.drives) {
            tops.push_back(drive.file);
        }
        return {record.name, keeper, before, overlays, tops, moment.disks};
    }
};

/// With the guest standing still. On an error they are as they were.
Result<void> take_disks_back(const Record& record, Qmp& qmp, const Way& way) {
    if (Result<void> put = put_overlays(qmp, way.disks, way.overlays); !put) {
        return put;
    }
    return put_on_below(qmp, way.overlays, way.forward(record).tops);
}

/// With the guest standing still.
Result<Rewound> go_back(const Record& record, Qmp& qmp, const Way& way, Guard& guard,
                        Stillness& stillness) {
    const u64 begun_ns = now_ns();
    Result<Json> before = ask(way.keeper, request_for("snapshot", record.name, before_rewind));
    if (!before) {
        return pass(before);
    }
    if (Result<void> kept = keep_state(qmp, way.before, before_rewind); !kept) {
        return pass(kept, "nothing was rewound");
    }
    guard.say_way(way.forward(record));
    Rewound rewound;
    rewound.before_ns = now_ns() - begun_ns;
    Result<Json> memory = ask(way.keeper, request_for("rewind", record.name, way.moment.name));
    if (!memory && memory.error().kind != ErrorKind::peer) {
        return pass(memory);  // an answer: it goes back as a whole or not at all
    }
    Result<void> rest = memory ? Result<void>() : pass(memory);
    if (rest) {
        rewound.pages = number_at(*memory, "pages");
        rewound.memory_ns = number_at(*memory, "ns");
        const u64 loading_ns = now_ns();
        rest = take_state_back(qmp, way.moments, way.moment.name);
        rewound.state_ns = now_ns() - loading_ns;
    }
    if (rest) {
        rest = take_disks_back(record, qmp, way);
    }
    if (rest) {
        return rewound;
    }
    if (Result<void> forward = go_forward(qmp, way.forward(record)); !forward) {
        stillness.leave_stopped();
        return fail(ErrorKind::system, 0,
                    "'{}' could be brought neither back ({}) nor to where it was ({}); it stays "
                    "stopped",
                    record.name, rest.error().message, forward.error().message);
    }
    return fail(rest.error().kind, rest.error().os_error,
                "nothing was rewound, '{}' goes on from where it was: {}", record.name,
                rest.error().message);
}

/// What can be refused while the guest runs: layers, what they are to stand on, and a store.
Result<void> prepare_way(const RuntimeDir& dir, Record& record, Qmp& qmp, Way& way) {
    for (std::size_t i = 0; i < way.disks.size(); ++i) {
        Result<std::string> overlay =
            make_overlay(dir, record, way.moment.disks[i], way.disks[i].bytes);
        if (!overlay) {
            return pass(overlay);
        }
        way.overlays.push_back(*overlay);
    }
    // The names of these layers are taken from now on, whatever comes of it.
    plan_tops(record, way.overlays);
    if (Result<void> saved = save_record(dir, record); !saved) {
        return saved;
    }
    drop_store(qmp, way.before);  // if a verb was killed
    if (Result<void> made = prepare_store(qmp, way.before); !made) {
        return made;
    }
    Result<void> below = open_below(qmp, way.overlays, way.moment.disks);
    if (!below) {
        drop_store(qmp, way.before);
    }
    return below;
}

Result<Rewound> with_guest_stopped(const RuntimeDir& dir, const FileLock& lock, Record& record,
                                   Qmp& qmp, const Way& way) {
    Result<Guard> guard = Guard::post(dir, record, lock);
    if (!guard) {
        return pass(guard);
    }
    Result<Stillness> stillness = Stillness::begin(qmp, &*guard);
    if (!stillness) {
        return pass(stillness);
    }
    Result<Rewound> rewound = go_back(record, qmp, way, *guard, *stillness);
    if (rewound) {
        Result<u64> stood = stillness->end();
        if (!stood) {
            return pass(stood);
        }
        rewound->pause_ns = *stood;
        adopt_tops(record);
        if (Result<void> saved = save_record(dir, record); !saved) {
            return pass(saved);
        }
    }
    return rewound;
}

/// A machine that runs, for a verb that has it to itself.
struct Held {
    FileLock lock;
    Record record;
    Qmp qmp;
    std::string keeper;
};

Result<Held> hold_running(const RuntimeDir& dir, const std::string& name) {
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
    return Held{std::move(*lock), std::move(*record), std::move(*qmp), std::move(*keeper)};
}

}  // namespace

Result<Pause> keep_moment(const RuntimeDir& dir, const std::string& name,
                          const std::string& moment) {
    if (Result<void> right = check_name(moment); !right) {
        return pass(right);
    }
    Result<Held> held = hold_running(dir, name);
    if (!held) {
        return pass(held);
    }
    auto& [lock, record, qmp, keeper] = *held;
    if (record.moment(moment) != nullptr) {
        return fail(ErrorKind::invalid_argument, 0,
                    "'{}' has a snapshot '{}' already; choose another name", name, moment);
    }
    Result<Taken> taken = take_moment(dir, lock, record, qmp, keeper, {moment, true});
    if (!taken) {
        (void)ask(keeper, request_for("release", name, moment));
        return pass(taken);
    }
    record.moments.push_back(taken->moment);
    if (Result<void> saved = save_record(dir, record); !saved) {
        return pass(saved);
    }
    return taken->pause;
}

Result<Rewound> rewind_machine(const RuntimeDir& dir, const std::string& name,
                               const std::string& moment) {
    Result<Held> held = hold_running(dir, name);
    if (!held) {
        return pass(held);
    }
    auto& [lock, record, qmp, keeper] = *held;
    const StateStore moments = moments_store(dir, name);
    const Moment* const kept = record.moment(moment);
    Result<bool> has_state =
        kept == nullptr ? Result<bool>(false) : is_state_kept(qmp, moments, moment);
    if (!has_state) {
        return pass(has_state);
    }
    if (!*has_state) {
        return fail(ErrorKind::invalid_argument, 0, "'{}' has no snapshot '{}'", name, moment);
    }
    Result<std::vector<Disk>> disks = writable_disks(qmp, record);
    if (!disks) {
        return pass(disks);
    }
    const Moment goal = *kept;
    Way way{keeper, goal, moments, before_store(dir, name), std::move(*disks), {}};
    if (Result<void> ready = prepare_way(dir, record, qmp, way); !ready) {
        return pass(ready);
    }
    Result<Rewound> rewound = with_guest_stopped(dir, lock, record, qmp, way);
    if (!rewound) {
        close_below(qmp, way.overlays);  // QEMU refuses where they are in use after all
    }
    drop_store(qmp, way.before);
    (void)ask(keeper, request_for("release", name, before_rewind));
    return rewound;
}

}  // namespace verso::vm
