// The work that both sides are given, step by step. What differs between Verso and fork(2) is
// behind Contender; what is done, when, and what must hold is here, once.
#include <cstring>
#include <thread>

#include <fmt/format.h>

#include "base/result.h"
#include "cli/demo/contender.h"
#include "cli/demo/family.h"
#include "cli/demo/snapshots.h"

namespace verso::cli {
namespace {

constexpr auto quiet_before = std::chrono::milliseconds(500);
constexpr auto quiet_between = std::chrono::milliseconds(200);
constexpr auto run_on_for = std::chrono::milliseconds(500);

/// The database, its load, and the claims about both.
class SideRun {
public:
    SideRun(Contender& contender, const Prepared& prepared, const Work& work,
            const Progress& progress)
        : contender_(contender), work_(work), progress_(progress) {
        side_.build_ns = prepared.build_ns;
        side_.database_bytes = prepared.database_bytes;
        side_.name = contender.name();
        side_.memory_kind = contender.memory_kind();
        side_.span_bytes = contender.memory().size();
    }

    Result<Side> run() {
        say(fmt::format("a database of {} MiB {} in {:.1f} s, in {}", side_.database_bytes >> 20,
                        work_.db.empty() ? "built" : "loaded",
                        static_cast<double>(side_.build_ns) / 1e9, side_.memory_kind));
        auto files = SpanFiles::open(contender_.memory());
        if (!files) {
            return pass(files);
        }
        Writer writer(*files, phases_);
        StallProbe probe(*files, phases_);
        if (auto lived = live(writer, probe, *files); !lived) {
            return pass(lived);
        }
        return std::move(side_);
    }

private:
    Result<void> live(Writer& writer, StallProbe& probe, const SpanFiles& files);
    Result<void> raise_children(Family& family, SnapshotRun& snapshots, Writer& writer);
    Result<void> stop_load(Writer& writer, StallProbe& probe);
    Result<void> rewind(SnapshotRun& snapshots, const SpanFiles& files);
    Result<void> run_on(Writer& writer, StallProbe& probe, const SpanFiles& files);
    Result<BankState> look(const std::string& when, const SpanFiles& files);
    void claim(std::string what, bool held, std::string detail = {}) {
        side_.checks.push_back({std::move(what), held, std::move(detail)});
    }
    void say(const std::string& text) { progress_(side_.name + ": " + text); }

    Contender& contender_;
    const Work& work_;
    const Progress& progress_;
    Side side_;
    Phases phases_;
};

Result<void> SideRun::live(Writer& writer, StallProbe& probe, const SpanFiles& files) {
    if (auto started = writer.start(); !started) {
        return started;
    }
    probe.start();
    std::this_thread::sleep_for(quiet_before);
    SnapshotRun snapshots(contender_, side_, phases_, writer);
    if (auto taken = snapshots.run(work_, progress_); !taken) {
        return taken;
    }
    std::this_thread::sleep_for(quiet_between);
    Family family(contender_, side_, progress_);
    if (auto raised = raise_children(family, snapshots, writer); !raised) {
        return raised;
    }
    snapshots.look_at_first();
    if (auto stopped = stop_load(writer, probe); !stopped) {
        return stopped;
    }
    if (auto looked = look("while the children are alive", files); !looked) {
        return pass(looked);
    }
    if (auto rewound = rewind(snapshots, files); !rewound) {
        return rewound;
    }
    if (!family.empty()) {
        if (auto audited = family.audit("after the source was rewound"); !audited) {
            return audited;
        }
    }
    snapshots.release_rest();
    if (auto ran = run_on(writer, probe, files); !ran) {
        return ran;
    }
    if (!family.empty()) {
        family.leave();
    }
    return {};
}

Result<void> SideRun::raise_children(Family& family, SnapshotRun& snapshots, Writer& writer) {
    if (work_.children == 0) {
        return {};
    }
    phases_.children(true);
    if (auto raised = family.raise(work_.children, snapshots.alive(), writer); !raised) {
        return raised;
    }
    if (auto audited = family.audit("while the writer runs"); !audited) {
        return audited;
    }
    const i64 rows = writer.rows_of_children();
    claim("the live database holds no row of any child", rows == 0,
          rows == 0 ? "" : fmt::format("it has {}", rows));
    auto measured = family.measure();
    phases_.children(false);
    return measured;
}

Result<void> SideRun::stop_load(Writer& writer, StallProbe& probe) {
    probe.stop();
    auto stopped = writer.stop();
    claim("the writer never failed", stopped.has_value(),
          stopped ? fmt::format("{} transactions", writer.committed()) : stopped.error().message);
    for (unsigned at = 0; at < phase_count; ++at) {
        const Phase phase = static_cast<Phase>(at);
        side_.phases[at] = {.store = probe.latency(phase), .transaction = writer.latency(phase)};
    }
    return {};
}

Result<BankState> SideRun::look(const std::string& when, const SpanFiles& files) {
    const RegionVfs vfs(files);
    auto connection = Connection::open(vfs);
    if (!connection) {
        return pass(connection);
    }
    auto state = check_bank(*connection);
    auto complaint = integrity(*connection);
    auto rows = connection->number("SELECT count(*) FROM verso_children");
    if (!state || !complaint || !rows) {
        claim("the live database is sound " + when, false,
              !state       ? state.error().message
              : !complaint ? complaint.error().message
                           : rows.error().message);
        return BankState{};
    }
    claim("the live database is sound " + when, state->holds && complaint->empty() && *rows == 0,
          !state->holds ? state->why : *complaint);
    return state;
}

Result<void> SideRun::rewind(SnapshotRun& snapshots, const SpanFiles& files) {
    const auto memory = contender_.memory();
    const Hash first = snapshots.first_hash();
    side_.rewind.hash_high = first.high;
    side_.rewind.hash_low = first.low;
    claim("the database had changed before the rewind", hash_of(memory) != first);
    if (auto rewound = contender_.rewind(side_.rewind); !rewound) {
        return pass(rewound, "rewinding to the first snapshot");
    }
    say(fmt::format("rewound to the first snapshot in {:.2f} ms: {} pages restored",
                    static_cast<double>(side_.rewind.ns) / 1e6, side_.rewind.pages));
    claim("rewound: the bytes have the first snapshot's hash", hash_of(memory) == first,
          fmt::format("{:016x}{:016x}", first.high, first.low));
    auto bytes = contender_.first_bytes();
    if (!bytes) {
        return pass(bytes);
    }
    claim("rewound: byte for byte the first snapshot",
          bytes->size() == memory.size() &&
              std::memcmp(bytes->data(), memory.data(), memory.size()) == 0);
    auto state = look("after the rewind", files);
    if (!state) {
        return pass(state);
    }
    const SnapshotFigures& figures = side_.snapshots.front();
    claim("rewound: it has the transactions of the first snapshot's moment",
          state->sequence >= figures.committed_before &&
              state->sequence <= figures.committed_after + 1,
          fmt::format("{} of {}…{}", state->sequence, figures.committed_before,
                      figures.committed_after + 1));
    return {};
}

Result<void> SideRun::run_on(Writer& writer, StallProbe& probe, const SpanFiles& files) {
    if (auto started = writer.start(); !started) {
        return started;
    }
    const u64 before = writer.committed();
    probe.start();
    std::this_thread::sleep_for(run_on_for);
    probe.stop();
    auto stopped = writer.stop();
    const u64 more = writer.committed() - before;
    claim("it runs on after the rewind", stopped.has_value() && more > 0,
          stopped ? fmt::format("{} more transactions", more) : stopped.error().message);
    auto looked = look("after running on", files);
    if (!looked) {
        return pass(looked);
    }
    return {};
}

}  // namespace

Result<Side> run_side(Contender& contender, const Prepared& prepared, const Work& work,
                      const Progress& progress) {
    return SideRun(contender, prepared, work, progress).run();
}

}  // namespace verso::cli
