// Rounds, and what goes on beside them.
#include "check/torture/instance.h"

#include <mutex>
#include <thread>

#include <fmt/format.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check/torture/nursery.h"
#include "check/torture/writers.h"
#include "linux/world/text_file.h"

namespace verso::check::torture {
namespace {
using SnapshotRef = std::shared_ptr<engine::Snapshot>;

constexpr unsigned glance_us = 2'000;
constexpr int export_patience_ms = 300'000;

class Instance {
public:
    Instance(const InstanceOptions& options, Shared& shared)
        : options_(options),
          header_(shared.header()),
          slot_(shared.slot(options.number)),
          layout_(mix(options.seed) ^ mix(options.number + 1), to_pages(options.bytes)),
          dice_(layout_.seed) {}

    void run();

private:
    bool begin();
    void round();
    void live_here(SnapshotRef snapshot, const Birth& birth);
    void live_elsewhere(const SnapshotRef& snapshot, const Birth& birth);
    void rewind(const SnapshotRef& snapshot, const Bounds& bounds);
    void shutter();
    void stirrer();
    void read_through(engine::Snapshot& snapshot, const Bounds& bounds, u64 number);
    SnapshotRef snapshot(Bounds& bounds);
    void report(const std::string& doing, const Error& error);
    void end();

    bool runs() const { return header_.stage.load() == Stage::running; }
    bool braked() const { return header_.brake.load(std::memory_order_relaxed) != 0; }
    /// Sleeps, but not past the end.
    void idle(u64 ms) const {
        for (const u64 until = now_ns() + ms * 1'000'000; runs() && now_ns() < until;) {
            ::usleep(glance_us);
        }
    }

    const InstanceOptions& options_;
    Shared::Header& header_;
    Slot& slot_;
    const Layout layout_;
    Dice dice_;
    std::unique_ptr<Nursery> nursery_;
    std::shared_ptr<engine::Region> region_;
    std::unique_ptr<Writers> writers_;
    std::mutex reading_;  // one reader of old memory at a time: main's children, shutter's views
    std::mutex back_;     // main while it rewinds: nobody else may use the bytes or take pictures
};

void Instance::report(const std::string& doing, const Error& error) {
    slot_.report(fmt::format("round {}, {}", slot_.round.load(), doing), error);
}

/// Processes first, then threads; the memory is written before anybody is told.
bool Instance::begin() {
    Result<std::unique_ptr<Nursery>> nursery = Nursery::open(layout_, header_, slot_);
    if (!nursery) {
        report("beginning", nursery.error());
        return false;
    }
    nursery_ = std::move(*nursery);
    RegionOptions wanted;
    wanted.size = options_.bytes;
    wanted.name = fmt::format("torture-{}", options_.number);
    wanted.backend = Backend::userfaultfd;
    Result<std::shared_ptr<engine::Region>> region = engine::Region::create(runtime(), wanted);
    if (!region) {
        slot_.fail("no region: " + region.error().message);
        return false;
    }
    region_ = std::move(*region);
    write_beginning(region_->bytes(), layout_);
    return true;
}

void Instance::run() {
    const bool begun = begin();
    header_.ready.fetch_add(1);
    while (header_.stage.load() == Stage::waiting) {
        ::usleep(glance_us);
    }
    if (begun) {
        writers_ =
            std::make_unique<Writers>(region_->bytes(), layout_, header_, slot_, options_.rest);
        std::thread shutter([this] { this->shutter(); });
        std::thread stirrer([this] { this->stirrer(); });
        while (runs()) {
            slot_.round.fetch_add(1);
            round();
            idle(dice_.below(100));
        }
        slot_.doing.store("waiting for its threads");
        shutter.join();
        stirrer.join();
        end();
    }
    slot_.finished.store(1);
}

SnapshotRef Instance::snapshot(Bounds& bounds) {
    const Writers::Watch watch(*writers_);
    ::usleep(1000);  // a store that was begun before is not timed: now it is over
    bounds.least = writers_->progress();
    Result<SnapshotRef> taken = region_->snapshot();
    bounds.most = writers_->progress();
    if (!taken) {
        report("a snapshot", taken.error());
        return nullptr;
    }
    slot_.add(Count::snapshots);
    slot_.add(Count::arm_ns, (*taken)->report().arm_ns);
    slot_.add(Count::cut_ns, (*taken)->report().cut_ns);
    ::usleep(5000);  // those who met a protected page meanwhile are timed, too
    return std::move(*taken);
}

void Instance::round() {
    if (braked()) {
        slot_.doing.store("waiting for memory");
        idle(50);
        return;
    }
    slot_.doing.store("waiting for its turn to read");
    const std::lock_guard one_reader(reading_);
    Birth birth;
    birth.round = slot_.round.load();
    birth.seed = dice_.next();
    slot_.doing.store("taking a snapshot");
    SnapshotRef taken = snapshot(birth.bounds);
    if (taken == nullptr) {
        idle(50);
        return;
    }
    idle(dice_.below(3) * 50);  // how much is overwritten before it is forked
    const u64 kind = dice_.below(16);
    if (kind < 7) {
        live_elsewhere(taken, birth);
    } else if (kind < 14) {
        live_here(std::move(taken), birth);
    } else {
        rewind(taken, birth.bounds);
    }
}

/// Half of these children outlive the last handle of the snapshot that they were forked from.
void Instance::live_here(SnapshotRef snapshot, const Birth& birth) {
    slot_.doing.store("with a child in its own process");
    Result<std::shared_ptr<engine::Region>> child = snapshot->fork("child");
    if (!child) {
        report("a child in the same process", child.error());
        return;
    }
    slot_.add(Count::children_here);
    if (dice_.chance(2)) {
        snapshot.reset();
    }
    if (options_.behind_the_back && birth.round > 1) {
        options_.behind_the_back(region_->bytes());
    }
    Life(**child, layout_, header_, slot_, birth).live();
    slot_.hear((*child)->damage(), fmt::format("round {}, a child says", birth.round));
}

void Instance::live_elsewhere(const SnapshotRef& snapshot, const Birth& birth) {
    slot_.doing.store("with a child in another process");
    Birth away = birth;
    away.elsewhere = true;
    Result<Fd> socket = nursery_->order(away);
    if (!socket) {
        report("a child in another process", socket.error());
        return;
    }
    Result<void> exported = snapshot->export_fork(socket->get(), export_patience_ms);
    if (!exported) {
        report("exporting a child", exported.error());
    }
    socket->reset();
    Result<std::string> ending = nursery_->ending();
    const bool ended_well =
        ending && (ending->empty() || (!exported && *ending == Nursery::not_born));
    if (!ended_well) {
        slot_.fail(fmt::format("round {}, a child in another process: {}", birth.round,
                               ending ? *ending : ending.error().message));
    }
}

/// Back to the snapshot, which is then compared to the live memory; the writers do again what is
/// gone.
void Instance::rewind(const SnapshotRef& snapshot, const Bounds& bounds) {
    idle(dice_.below(200));
    slot_.doing.store("rewinding");
    const std::lock_guard alone(back_);
    writers_->pause();
    Result<RewindReport> went = region_->rewind(*snapshot);
    if (!went) {
        report("rewinding", went.error());
    } else {
        Judge judge(layout_);
        const Verdict verdict = judge.find(region_->bytes(), bounds);
        slot_.add(Count::rewinds);
        slot_.add(verdict, fmt::format("round {}, after rewinding", slot_.round.load()));
        if (verdict.holds()) {
            writers_->rewound_to(judge.moment());
        }
    }
    writers_->resume();
}

void Instance::read_through(engine::Snapshot& snapshot, const Bounds& bounds, u64 number) {
    const std::unique_lock one_reader(reading_, std::try_to_lock);
    if (!one_reader.owns_lock()) {
        return;
    }
    Result<std::span<const std::byte>> bytes = snapshot.bytes();
    if (!bytes) {
        report("reading a snapshot", bytes.error());
        return;
    }
    Judge judge(layout_);
    slot_.add(Count::views);
    slot_.add(judge.find(*bytes, bounds), fmt::format("picture {} of the shutter", number));
}

void Instance::shutter() {
    Dice dice(layout_.seed ^ 11);
    for (u64 number = 1; runs(); ++number) {
        idle(dice.below(300));
        if (braked() || !runs()) {
            idle(50);
            continue;
        }
        Bounds bounds;
        SnapshotRef taken;
        {
            const std::lock_guard not_while_rewinding(back_);
            taken = snapshot(bounds);
        }
        if (taken != nullptr) {
            idle(dice.below(400));
            if (dice.chance(4)) {
                read_through(*taken, bounds, number);
            }
        }
    }
}

void Instance::stirrer() {
    Dice dice(layout_.seed ^ 12);
    while (runs()) {
        idle(10 + dice.below(100));
        const std::lock_guard not_while_rewinding(back_);
        stir(region_->bytes(), header_, slot_, dice);
    }
}

void Instance::end() {
    slot_.doing.store("verifying its own memory");
    writers_->stop();
    const Progress done = writers_->progress();
    Judge judge(layout_);
    slot_.add(judge.find(region_->bytes(), {done, done}), "the live memory at the end");
    if (judge.moment() != done) {
        slot_.fail("the live memory at the end is of another moment than its writers say");
    }
    slot_.hear(region_->damage(), "the region says");
    slot_.judge_lost();
    count_in(*region_, slot_);
    slot_.doing.store("ending");
    nursery_.reset();
    region_.reset();
}
}  // namespace

void be_instance(const InstanceOptions& options, Shared& shared) {
    follow_parent();
    constexpr int politeness = 5;  // the driver is to come first, and what else this machine does
    static_cast<void>(::nice(politeness));
    constexpr unsigned first_own = 3;
    // Why safe: this process is new and has one thread; what its parent had open is none of ours,
    // and a lock or a socket that lives on here would hide that its owner has ended.
    ::syscall(SYS_close_range, first_own, ~0U, 0U);
    if (!options.door.empty() && !host::write_text(options.door, "0")) {
        shared.slot(options.number).fail("could not enter its control group " + options.door);
    }
    Instance(options, shared).run();
    ::_exit(0);
}

}  // namespace verso::check::torture
