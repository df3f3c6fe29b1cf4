// How long a guest stands still, and what it gets done in the seconds after: ours and QEMU's ways,
// each in guests that were booted and loaded alike, in turn.
#include <optional>

#include <nlohmann/json.hpp>

#include "cli/bench/harness/clock.h"
#include "cli/bench/vm/guests.h"
#include "cli/bench/vm/raw_pass.h"
#include "cli/bench/vm/rows.h"
#include "cli/bench/vm/saves.h"

namespace verso::cli::bench {

namespace {

/// After a load and after a fork, before anything is measured: a fifth of what is measured.
u64 settle_ms(const BenchVmOptions& options) { return options.seconds * u64{200}; }
constexpr u64 between_ms = 300;
constexpr unsigned more_forks = 3;  // besides those with seconds before and after
constexpr unsigned more_saves = 2;
constexpr unsigned raw_passes = 3;  // for each first fork

/// take() between two stretches of the same length; the second begins with it.
template <class Take>
Result<void> around(const Stage& stage, Pulse& pulse, unsigned seconds, Felt& felt, Take take) {
    const u64 from = stamp_ns();
    if (Result<void> rested = stage.rest_ms(seconds * u64{1'000}); !rested) {
        return rested;
    }
    const u64 middle = stamp_ns();
    if (Result<void> taken = take(); !taken) {
        return taken;
    }
    const u64 until = middle + seconds * u64{1'000'000'000};
    const u64 now = stamp_ns();
    if (Result<void> rested = stage.rest_ms(now < until ? (until - now) / 1'000'000 : 0); !rested) {
        return rested;
    }
    const Pulse::Window before = pulse.between(from, middle);
    const Pulse::Window after = pulse.between(middle, stamp_ns());
    felt.before.push_back(before.per_second);
    felt.after.push_back(after.per_second);
    felt.share.push_back(ratio_of(after.per_second, before.per_second));
    felt.gap_before_ns.push_back(before.worst_gap_ns);
    felt.gap_after_ns.push_back(after.worst_gap_ns);
    return {};
}

// ── ours ─────────────────────────────────────────────────────────────────────────────────────────

struct Fork {
    std::string child;
    vm::Pause pause;
};

Result<Fork> fork_once(Stage& stage, const Seat& root, Felt& felt) {
    Fork fork;
    fork.child = stage.fresh("child");
    const u64 begun_ns = stamp_ns();
    Result<vm::Forked> forked =
        vm::fork_machine(stage.dir(), {root.name, "", fork.child, 1, "", {}});
    if (!forked) {
        return pass(forked);
    }
    felt.whole_ns.push_back(static_cast<double>(stamp_ns() - begun_ns));
    felt.pause_ns.push_back(static_cast<double>(forked->pause.whole_ns));
    fork.pause = forked->pause;
    return fork;
}

Result<void> stop_guest(const vm::RuntimeDir& dir, const std::string& name) {
    Result<vm::Qmp> qmp = vm::Qmp::connect(dir.file(name, "qmp.sock"));
    Result<vm::Json> stopped = qmp ? qmp->execute("stop") : pass(qmp);
    return stopped ? Result<void>() : pass(stopped);
}

Result<void> first_fork(Stage& stage, const BenchVmOptions& options, const Seat& root, Pulse& pulse,
                        Pauses& pauses) {
    std::string child;
    Result<void> done = around(stage, pulse, options.seconds, pauses.first, [&]() -> Result<void> {
        Result<Fork> fork = fork_once(stage, root, pauses.first);
        if (!fork) {
            return pass(fork);
        }
        child = fork->child;
        pauses.arm_first_ns.push_back(
            static_cast<double>(fork->pause.ahead_ns + fork->pause.arm_ns));
        return {};
    });
    if (!done) {
        return done;
    }
    for (unsigned i = 0; i < raw_passes; ++i) {
        Result<RawPass> raw = raw_pass_like(root.process.pid, pauses.size_mib);
        if (!raw) {
            return pass(raw);
        }
        pauses.raw_ns.push_back(static_cast<double>(raw->ns));
        pauses.raw_mib.push_back(static_cast<double>(raw->populated_bytes) / (1 << 20));
    }
    return end_ours(stage, child);
}

Result<void> later_fork(Stage& stage, const Seat& root, Pauses& pauses, std::string& child) {
    Result<Fork> fork = fork_once(stage, root, pauses.later);
    if (!fork) {
        return pass(fork);
    }
    child = fork->child;
    pauses.arm_later_ns.push_back(static_cast<double>(fork->pause.ahead_ns + fork->pause.arm_ns));
    pauses.pages_later.push_back(
        static_cast<double>(fork->pause.pages_ahead + fork->pause.pages_protected));
    return stop_guest(stage.dir(), child);
}

Result<void> ours(Stage& stage, const BenchVmOptions& options, Pauses& pauses) {
    Result<Seat> root = boot_ours(stage, pauses.size_mib);
    if (!root) {
        return pass(root);
    }
    Result<void> done = give_load(*root, load_for(pauses.size_mib), true);
    done = done ? stage.rest_ms(settle_ms(options)) : done;
    if (!done) {
        return done;
    }
    Pulse pulse(root->file("console.log"));
    done = first_fork(stage, options, *root, pulse, pauses);
    done = done ? stage.rest_ms(settle_ms(options)) : done;
    if (!done) {
        return done;
    }
    std::string child;
    done = around(stage, pulse, options.seconds, pauses.later,
                  [&] { return later_fork(stage, *root, pauses, child); });
    done = done ? end_ours(stage, child) : done;
    for (unsigned i = 0; i < more_forks && done; ++i) {
        done = stage.rest_ms(between_ms);
        done = done ? later_fork(stage, *root, pauses, child) : done;
        done = done ? end_ours(stage, child) : done;
    }
    return done ? end_ours(stage, root->name) : done;
}

// ── QEMU's ───────────────────────────────────────────────────────────────────────────────────────

/// A way that QEMU refuses is no failure of the run: its sentence is the result.
Result<void> save_once(const Stage& stage, const Seat& seat, Save save, Felt& felt) {
    Result<Saved> saved = save_guest(stage, seat, save);
    if (saved) {
        felt.pause_ns.push_back(static_cast<double>(saved->pause_ns));
        felt.whole_ns.push_back(static_cast<double>(saved->whole_ns));
        return {};
    }
    if (saved.error().kind == ErrorKind::unsupported) {
        felt.why_not = saved.error().message;
        return {};
    }
    return pass(saved);
}

/// A plain guest that is loaded and works.
Result<Seat> boot_plain(Stage& stage, const BenchVmOptions& options, u64 size_mib, Ram ram) {
    Result<Seat> seat = start_plain(stage, {size_mib, ram});
    if (!seat) {
        return seat;
    }
    Result<void> done = await_boot(stage, *seat);
    done = done ? give_load(*seat, load_for(size_mib), true) : done;
    done = done ? stage.rest_ms(settle_ms(options)) : done;
    if (!done) {
        return pass(done);
    }
    return seat;
}

Result<void> rivals(Stage& stage, const BenchVmOptions& options, Pauses& pauses) {
    Result<Seat> seat = boot_plain(stage, options, pauses.size_mib, Ram::own);
    if (!seat) {
        return pass(seat);
    }
    Result<void> done;
    {
        Pulse pulse(seat->file("console.log"));
        for (const Save save : {Save::background, Save::stopped}) {
            Felt& felt = save == Save::background ? pauses.background : pauses.stopped;
            done = done ? around(stage, pulse, options.seconds, felt,
                                 [&] { return save_once(stage, *seat, save, felt); })
                        : done;
        }
    }
    for (unsigned i = 0; i < more_saves && done; ++i) {
        done = stage.rest_ms(between_ms);
        done = done ? save_once(stage, *seat, Save::background, pauses.background) : done;
        done = done ? save_once(stage, *seat, Save::live, pauses.live) : done;
    }
    end_plain(*seat);
    if (!done) {
        return done;
    }
    seat = boot_plain(stage, options, pauses.size_mib, Ram::memfd);
    if (!seat) {
        return pass(seat);
    }
    done = save_once(stage, *seat, Save::background, pauses.background_memfd);
    end_plain(*seat);
    return done;
}

}  // namespace

Result<void> measure_pauses(Stage& stage, const BenchVmOptions& options, Pauses& pauses) {
    return in_turn(
        options.repeats, [&] { return ours(stage, options, pauses); },
        [&] { return rivals(stage, options, pauses); });
}

}  // namespace verso::cli::bench
