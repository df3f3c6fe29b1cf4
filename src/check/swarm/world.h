// World: one simulated run. A plan's tracks become fibers over SimKernel; the engine runs as it is;
// books say what must be seen.
//
//   plan ──▶ World::run ──▶ SimWorld ── SimKernel ◀─ DisturbedKernel ◀─ engine::Runtime   (a house
//   tape ──▶ (all choices)                 ▲                                a process)
//                                     writers, looks: as the program would
//
//   1  tracks run: processes, writers, the kernel, fate
//   2  the weather ends, nothing disturbs any more
//   3  every house looks at all it has, gives everything back: that must come to an end
//   4  nothing is left: no descriptor, no page; the model's invariants hold
//
// What a killed process had lies on stacks and heaps that nobody will unwind, as it would on
// Linux; there the kernel takes back the memory. Here it stays until this program's process ends:
// so runs are made in a process of their own (run.h), which is another one every some hundred runs.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "check/swarm/book.h"
#include "check/swarm/disturbed_kernel.h"
#include "check/swarm/plan.h"
#include "check/swarm/tape.h"
#include "engine/engine.h"
#include "mm/sim/sim_world.h"

namespace verso::check::swarm {

/// A region as the world knows it.
struct Memory {
    Memory(std::string its_name, int its_process, std::shared_ptr<engine::Region> its_region,
           Book its_book);
    std::string name;
    u32 process;
    std::shared_ptr<engine::Region> region;
    u64 base;
    Book book;
    u32 users = 0;               // accesses under way
    bool closed = false;         // a rewind wants it for itself
    bool rewound = false;        // at least once
    bool read_by_loads = false;  // the kernel would not be served: see World::read_bytes
    bool snapshots = true;       // false: Tracking::pages
    std::optional<verso::Mark> mark;
    u64 mark_clock = 0;
};
using MemoryRef = std::shared_ptr<Memory>;

struct Picture {
    std::string name;
    MemoryRef of;
    std::shared_ptr<engine::Snapshot> snapshot;
    std::shared_ptr<Moment> moment;
};

/// A process with its engine. What lies in `estate` is left to lie when the process is killed.
struct House {
    struct Estate {
        std::vector<MemoryRef> memories;
        std::vector<Picture> pictures;
        std::unique_ptr<DisturbedKernel> kernel;
        std::unique_ptr<engine::Runtime> runtime;
        std::unique_ptr<kernel::Mutex> lock;  // of the program's own
    };
    int id = 0;
    bool alive = true;
    bool through = false;  // with its acts
    u32 guests = 0;        // imports under way
    u32 sent = 0;          // children to other processes
    std::unique_ptr<Estate> estate = std::make_unique<Estate>();
};

/// Who is told of everything that happens, if anybody wants to know.
class Listener {
public:
    virtual ~Listener() = default;
    virtual void on(const std::string& who, const std::string& what) = 0;
    /// Of the engine's calls as well?
    virtual bool wants_calls() const { return false; }
};

enum class Ending : u8 {
    held,
    wrong,         // an oracle says so
    stuck,         // nobody can go on, or everybody does for ever
    crashed,       // the engine aborted, or a signal came
    hung,          // it took longer than any run does
    unrepeatable,  // the same seed ended in another state
};

/// More is taken for a livelock. The longest runs need 60,000.
inline constexpr u64 decisions_max = 3'000'000;

/// What a run came to, when nothing was wrong.
struct Tally {
    u64 hash = 0;
    u64 decisions = 0;
    u64 stores = 0;
    u64 loads = 0;
    u64 verbs = 0;
    u64 refused = 0;  // verbs that failed, excused
    u64 faults = 0;
};

class World {
public:
    /// `wrong` is called with a sentence as soon as something is; it may return.
    using Complaint = std::function<void(Ending ending, const std::string& sentence)>;
    World(const Plan& plan, const mm::Rules& rules, Tape& tape, Complaint wrong,
          Listener* listener = nullptr, u64 decisions_at_most = decisions_max);
    ~World();
    World(const World&) = delete;
    World& operator=(const World&) = delete;

    Tally run();

    // For whoever listens.
    const mm::State& state() const { return world_.state(); }
    const std::vector<std::weak_ptr<Memory>>& memories() const { return all_; }
    const mm::sim::SimWorld& machine() const { return world_; }
    u64 decisions() { return world_.scheduler().decisions(); }

private:
    // world.cc
    kernel::Kernel& kernel(const House& house) { return world_.process(house.id); }
    House& house(u32 process) { return *houses_[process]; }
    bool all_through() const;
    void run_track(const Track& track);
    void close_house(House& house);
    void late_write(House& house);
    void look_for_leftovers();
    void complain(const std::string& who, const std::string& sentence);
    /// A verb that failed: excused, or wrong.
    void failed(const std::string& verb, const Error& error);
    std::string who();
    template <class... Args>
    void say(fmt::format_string<Args...> format, Args&&... args) {
        if (listener_ != nullptr) {
            listener_->on(who(), fmt::format(format, std::forward<Args>(args)...));
        }
    }
    void wait_until(const std::function<bool()>& ready, const char* what) {
        world_.scheduler().block(ready, {what});
    }

    // verbs.cc: what a house does
    void act(House& house, const Act& act);
    void create(House& house);
    void snapshot(House& house, const MemoryRef& memory);
    void look(House& house, const Picture& picture, u32 how);
    void fork(House& house, const Picture& picture);
    void send(House& house, const Picture& picture, u32 how);
    void receive(House& house, int socket, std::shared_ptr<Moment> moment, std::string name);
    void rewind(const Picture& picture);
    void discard(const MemoryRef& memory, u32 how);
    void tamper(House& house, const MemoryRef& memory, u32 how);
    void written(const MemoryRef& memory);
    void drop(House& house, u32 which);
    void leave(House& house, u32 which);
    void close(const MemoryRef& memory);
    void note_memory(House& house, MemoryRef memory);

    // access.cc: what its program does
    u32 places() const;
    void read(House& house, const MemoryRef& memory, u32 how);
    void read_page(House& house, const MemoryRef& memory, u32 page);
    void look_at_page(House& house, const Picture& picture, u64 base, u32 page);
    void write(House& house, const MemoryRef& memory, u32 how);
    void move(House& house, const MemoryRef& memory, u32 how);
    std::optional<u64> load(House& house, const MemoryRef& memory, u32 place, bool by_kernel);
    bool store(House& house, const MemoryRef& memory, u32 place, u64 value, bool by_kernel);
    kernel::Outcome read_bytes(House& house, u64 at, bool by_loads, std::span<std::byte> out);
    bool excused_signal(const kernel::Outcome& outcome) const;

    // weather.cc
    void kernel_acts(const Act& act);
    void end_migration();
    std::optional<std::pair<int, u64>> some_page(u32 which, u32 how);
    void strike(const Act& act);
    u32 sent() const;
    void kill_somebody(u32 which);
    void kill(House& house);

    const Plan& plan_;
    Tape& tape_;
    Complaint wrong_;
    Listener* listener_;
    mm::sim::SimWorld world_;
    Disturbance disturbance_;
    std::vector<std::unique_ptr<House>> houses_;
    std::vector<std::weak_ptr<Memory>> all_;
    std::vector<std::string> names_;  // of tasks, by their number
    struct Slow {
        u64 address;  // the model's, where it began
        mm::PageId folio;
    };
    std::optional<Slow> slow_;  // a migration under way
    u32 kills_ = 0;
    u32 hang_ups_ = 0;
    u32 tampers_ = 0;
    u64 next_value_ = 0;
    u32 named_ = 0;
    Tally tally_;
};

}  // namespace verso::check::swarm
