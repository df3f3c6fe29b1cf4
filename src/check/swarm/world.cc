// World: who there is, in what order a run goes, and what must be left at its end.
#include "check/swarm/world.h"

#include <algorithm>
#include <bit>

namespace verso::check::swarm {
namespace {

/// How much a process can come to have: a ledger is 2,051 pages of address space, one for each
/// memory and each look at a snapshot, and where there are several processes one for each level
/// above a child. Making and clearing tables for more than that took a third of a small run.
u32 space_pages_of(const Plan& plan) {
    const u32 ledger = 2051 + std::max<u32>(64, 12 * plan.knobs.pages);
    // verbs.cc: 5 memories; and 5 snapshots that are looked at, of 5 memories that were left.
    constexpr u32 most = 15;
    if (plan.knobs.processes > 1) {
        return 65536;
    }
    u32 memories = 1;
    for (const Track& track : plan.tracks) {
        for (const Act& act : track.acts) {
            const auto verb = static_cast<Verb>(act.what);
            const bool makes = verb == Verb::create || verb == Verb::fork ||
                               verb == Verb::snapshot || verb == Verb::send;
            memories += track.role == Role::process && makes ? 1 : 0;
        }
    }
    return static_cast<u32>(round_up(u64{std::min(memories, most) + 1} * ledger, 64));
}

mm::Shape shape_of(const Plan& plan) {
    const Knobs& knobs = plan.knobs;
    mm::Shape shape;
    shape.space_pages = space_pages_of(plan);
    shape.huge_pages = 64;
    shape.pages = 2000;
    shape.slots = 400;
    shape.nodes = 2;
    shape.spaces_max = static_cast<u8>(knobs.processes + 1);
    shape.contexts_max = 250;
    shape.threads_max = 250;
    return shape;
}

mm::sim::Options options_of(const Knobs& knobs, u64 decisions_at_most,
                            const World::Complaint& wrong) {
    mm::sim::Options options;
    options.privileged = knobs.unprivileged == 0;
    options.limits.decisions_max = decisions_at_most;
    options.limits.switch_one_in = knobs.switch_one_in;
    options.limits.on_deadlock = [wrong](const std::string& report) {
        wrong(Ending::stuck, report);
        return false;
    };
    return options;
}

/// A process that is nobody's: the kernel's own actors, and fate. It cannot be killed.
constexpr int nobodys = -1;

}  // namespace

Memory::Memory(std::string its_name, int its_process, std::shared_ptr<engine::Region> its_region,
               Book its_book)
    : name(std::move(its_name)),
      process(static_cast<u32>(its_process)),
      region(std::move(its_region)),
      base(reinterpret_cast<u64>(region->bytes().data())),  // NOLINT: a number is what it is here
      book(std::move(its_book)) {}

World::World(const Plan& plan, const mm::Rules& rules, Tape& tape, Complaint wrong,
             Listener* listener, u64 decisions_at_most)
    : plan_(plan),
      tape_(tape),
      wrong_(std::move(wrong)),
      listener_(listener),
      world_(rules, shape_of(plan), tape, options_of(plan.knobs, decisions_at_most, wrong_)) {
    for (u32 process = 0; process < plan.knobs.processes; ++process) {
        auto house = std::make_unique<House>();
        house->id = process == 0 ? 0 : world_.start_process();
        kernel::Kernel& kernel = world_.process(house->id);
        House::Estate& estate = *house->estate;
        estate.kernel = std::make_unique<DisturbedKernel>(kernel, tape_, plan_.knobs, disturbance_);
        if (listener_ != nullptr && listener_->wants_calls()) {
            estate.kernel->tell([this](const kernel::Call& call, const kernel::Outcome& outcome) {
                say("  {} → {}", kernel::to_string(call), kernel::to_string(outcome));
            });
        }
        estate.kernel->dies_by([this, &house = *house] { kill(house); });
        estate.runtime = std::make_unique<engine::Runtime>(*estate.kernel);
        estate.lock = kernel.make_mutex();
        houses_.push_back(std::move(house));
    }
}

World::~World() = default;

std::string World::who() {
    const auto task = static_cast<std::size_t>(world_.scheduler().current());
    return task < names_.size() && !names_[task].empty()
               ? names_[task]
               : world_.scheduler().name_of(world_.scheduler().current());
}

/// Nothing comes any more to a process that has nothing.
bool World::all_through() const {
    return std::ranges::all_of(houses_, [](const auto& house) {
        const bool idle = house->through || house->estate->memories.empty();
        return !house->alive || (idle && house->guests == 0);
    });
}

void World::complain(const std::string& who, const std::string& sentence) {
    say("WRONG: {}", sentence);
    wrong_(Ending::wrong, fmt::format("{}: {}", who, sentence));
}

void World::failed(const std::string& verb, const Error& error) {
    ++tally_.refused;
    say("{}: {}", verb, error.message);
    // Who was killed takes part in nothing any more, and everything else still has to succeed.
    const bool takes_two = verb == "export" || verb == "import";
    const bool killed = takes_two && kills_ > 0;
    if (disturbance_.refused + disturbance_.lost + hang_ups_ + tampers_ == 0 && !killed) {
        complain(who(), fmt::format("{} failed: {}", verb, error.message));
    }
}

void World::run_track(const Track& track) {
    if (track.role == Role::kernel || track.role == Role::fate) {
        for (const Act& act : track.acts) {
            track.role == Role::kernel ? kernel_acts(act) : strike(act);
        }
        end_migration();
        return;
    }
    House& house = this->house(track.process);
    for (const Act& each : track.acts) {
        wait_until([&] { return all_through() || !house.estate->memories.empty(); },
                   "something to work on");
        if (!house.estate->memories.empty()) {
            act(house, each);
        }
    }
}

Tally World::run() {
    mm::sim::Scheduler& scheduler = world_.scheduler();
    create(house(0));
    std::vector<mm::sim::Scheduler::TaskId> tasks;
    const auto spawn = [&](int process, const std::string& name, std::function<void()> body) {
        const auto task = scheduler.spawn(process, name, std::move(body));
        names_.resize(std::max<std::size_t>(names_.size(), static_cast<std::size_t>(task) + 1));
        names_[static_cast<std::size_t>(task)] = name;
        tasks.push_back(task);
    };
    for (std::size_t i = 0; i < plan_.tracks.size(); ++i) {
        const Track& track = plan_.tracks[i];
        const bool own = track.role == Role::process || track.role == Role::writer;
        if (own && track.process >= houses_.size()) {
            continue;  // of a plan that has been shrunk: it has no acts
        }
        spawn(own ? house(track.process).id : nobodys, name_of(track, i), [this, &track] {
            run_track(track);
            if (track.role == Role::process) {
                house(track.process).through = true;
            }
        });
    }
    for (std::size_t i = 0; i < tasks.size(); ++i) {
        scheduler.join(tasks[i]);
    }
    disturbance_.calm = true;
    tasks.clear();
    for (const std::unique_ptr<House>& house : houses_) {
        if (house->alive) {
            spawn(house->id, fmt::format("end of {}", house->id),
                  [this, &house = *house] { close_house(house); });
        }
    }
    for (std::size_t i = 0; i < tasks.size(); ++i) {
        scheduler.join(tasks[i]);
    }
    look_for_leftovers();
    tally_.faults = disturbance_.faults;
    tally_.decisions = scheduler.decisions();
    tally_.hash = world_.trace() ^ std::rotl(tally_.stores * 0x9e3779b97f4a7c15, 23) ^
                  std::rotl(tally_.loads * 0xbf58476d1ce4e5b9, 41);
    return tally_;
}

/// What is given back must take nothing along that others still read.
void World::late_write(House& house) {
    const House::Estate& estate = *house.estate;
    if (!estate.memories.empty()) {
        const auto which = tape_.choose(static_cast<u32>(estate.memories.size()));
        write(house, estate.memories[which], tape_.choose(u32{1} << 20));
    }
    for (const Picture& picture : estate.pictures) {
        look(house, picture, ~u32{0});
    }
    for (const MemoryRef& memory : estate.memories) {
        read_page(house, memory, tape_.choose(plan_.knobs.pages));
    }
}

void World::close_house(House& house) {
    wait_until([&] { return house.guests == 0; }, "a child that is on its way");
    House::Estate& estate = *house.estate;
    for (const Picture& picture : estate.pictures) {
        look(house, picture, ~u32{0});
    }
    for (const MemoryRef& memory : estate.memories) {
        for (u32 page = 0; page < plan_.knobs.pages; ++page) {
            read_page(house, memory, page);
        }
    }
    while (!estate.pictures.empty() || !estate.memories.empty()) {
        const bool picture =
            !estate.pictures.empty() && (estate.memories.empty() || tape_.choose(2) == 0);
        picture ? drop(house, tape_.choose(static_cast<u32>(estate.pictures.size())))
                : leave(house, tape_.choose(static_cast<u32>(estate.memories.size())));
        if (plan_.knobs.late_writes != 0) {
            late_write(house);
        }
    }
    // A runtime that ends while others still have children of its regions gives back what those
    // read; in programs it never ends. A killed process' children must do without it, and do.
    while (estate.runtime->services() > 0) {
        (void)kernel(house).perform(kernel::Call::wait(1));
    }
    estate.runtime.reset();
}

/// Of a process that was killed, nothing was given back by hand; the kernel took all of it.
void World::look_for_leftovers() {
    for (const std::unique_ptr<House>& house : houses_) {
        if (const std::size_t left = world_.open_descriptors(house->id); left != 0) {
            complain("the end",
                     fmt::format("{} descriptors of process {} are open", left, house->id));
        }
    }
    const mm::State& state = world_.state();
    const auto used = std::ranges::count_if(
        state.pages, [](const mm::Page& page) { return page.use != mm::PageUse::free; });
    if (used != 0) {
        complain("the end", fmt::format("{} pages of memory are in use by nobody", used));
    }
    if (const std::string broken = broken_invariant(state, world_.rules()); !broken.empty()) {
        complain("the end", broken);
    }
}

}  // namespace verso::check::swarm
