// Verbs with two ends. Both ends run here, in one process with one kernel that fails, so that a
// failure of either is met by the other; a parent that must die is a process of its own.
#include "faultwalk/scenes.h"

#include <csignal>
#include <thread>

#include <sys/wait.h>
#include <unistd.h>

#include "engine/exporter.h"
#include "engine/importer.h"

namespace verso::faultwalk {
namespace {

constexpr int timeout_ms = 2'000;

/// Plays both ends, each on its own thread; one that fails hangs up, as a program would.
Result<void> both(World& world, const std::function<Result<void>(int socket)>& one,
                  const std::function<Result<void>(int socket)>& other) {
    world.wire.make();
    Result<void> first;
    std::thread thread([&] {
        first = one(world.wire.ours.get());
        world.wire.ours.reset();
    });
    Result<void> second = other(world.wire.theirs.get());
    world.wire.theirs.reset();
    thread.join();
    return !first && first.error().kind != ErrorKind::peer ? first : !second ? second : first;
}

void with_past(World& world) {
    world.create();
    world.take(world.region, world.moment);
    world.region.write(0, 2);
    world.region.write(40, 2);
}

}  // namespace

Result<void> exchange(World& world, Moment& moment, Held& into) {
    std::shared_ptr<engine::Region> made;
    Result<void> done = both(
        world, [&](int socket) { return moment.snapshot->export_fork(socket, timeout_ms); },
        [&](int socket) -> Result<void> {
            ImportOptions options;
            options.timeout_ms = timeout_ms;
            Result<std::shared_ptr<engine::Region>> got =
                engine::import_child(world.other_runtime, socket, options);
            if (!got) {
                return pass(got);
            }
            made = std::move(*got);
            return {};
        });
    if (done) {
        into.region = std::move(made);
        into.expected = moment.expected;
    }
    return done;
}

void with_imported(World& world) {
    with_past(world);
    must(exchange(world, world.moment, world.child));
}

namespace {

/// Source and child both write, and the child is read from end to end.
Result<void> use_imported(World& world) {
    Bytes page(page_size);
    for (u64 at = 0; at < region_pages; at += 2) {
        (void)read_page(world.child.memory(), at, page);
        world.region.write(at, 8);
        world.child.write(region_pages - 1 - at, 9);
    }
    return {};
}

void with_moving(World& world) {
    with_imported(world);
    world.region.write_all(7);
}

Result<void> snapshot_imported(World& world) {
    Result<std::shared_ptr<engine::Snapshot>> taken = world.child.region->snapshot();
    if (!taken) {
        return pass(taken);
    }
    world.later = {std::move(*taken), world.child.expected};
    for (u64 page = 0; page < region_pages; page += 5) {
        world.child.write(page, 10);
        world.region.write(page, 10);
    }
    return {};
}

}  // namespace

/// A child whose parent is another process, killed before the child has read anything.
void with_orphan(World& world) {
    world.wire.make();
    const pid_t parent = ::fork();
    if (parent == 0) {
        world.wire.theirs.reset();
        engine::Runtime runtime(host::linux_kernel());
        RegionOptions options;
        options.size = region_size;
        const std::shared_ptr<engine::Region> region =
            must(engine::Region::create(runtime, options));
        for (u64 page = 0; page < region_pages; ++page) {
            write_page(region->bytes(), page, 1);
        }
        const std::shared_ptr<engine::Snapshot> snapshot = must(region->snapshot());
        for (u64 page = 0; page < region_pages; page += 3) {
            write_page(region->bytes(), page, 2);
        }
        must(snapshot->export_fork(world.wire.ours.get(), timeout_ms));
        while (true) {
            ::pause();
        }
    }
    world.wire.ours.reset();
    ImportOptions options;
    world.child.region =
        must(engine::import_child(world.other_runtime, world.wire.theirs.get(), options));
    for (u64 page = 0; page < region_pages; ++page) {
        note_page(world.child.expected, page, 1);
    }
    ::kill(parent, SIGKILL);
    int status = 0;
    ::waitpid(parent, &status, 0);
}

namespace {

Result<void> use_orphan(World& world) {
    Bytes page(page_size);
    for (u64 at = region_pages; at-- > 0;) {
        (void)read_page(world.child.memory(), at, page);
    }
    return {};
}

Result<void> hand_over(World& world) {
    std::shared_ptr<engine::Region> made;
    std::unique_ptr<engine::Loan> loan;
    Result<void> done = both(
        world,
        [&](int socket) -> Result<void> {
            Result<std::unique_ptr<engine::Loan>> lent = engine::Loan::make(
                world.kernel, socket, world.own.options(), OnEngineDeath::resume);
            if (!lent) {
                return pass(lent);
            }
            loan = std::move(*lent);
            return {};
        },
        [&](int socket) -> Result<void> {
            Result<std::shared_ptr<engine::Region>> got =
                engine::Region::attach(world.other_runtime, socket, "attached", timeout_ms);
            if (!got) {
                return pass(got);
            }
            made = std::move(*got);
            return {};
        });
    if (!done) {
        made.reset();  // before the loan, as an engine that dies
        return done;
    }
    world.region.region = std::move(made);
    world.loan = std::move(loan);
    for (u64 page = 0; page < region_pages; ++page) {
        write_page(world.own.bytes(), page, 1);
        note_page(world.region.expected, page, 1);
    }
    return done;
}

}  // namespace

void with_loan(World& world) { must(hand_over(world)); }

Result<void> snapshot_loan(World& world) {
    Result<std::shared_ptr<engine::Snapshot>> taken = world.region.region->snapshot();
    if (!taken) {
        return pass(taken);
    }
    world.moment = {std::move(*taken), world.region.expected};
    for (u64 page = 0; page < region_pages; page += 3) {
        write_page(world.own.bytes(), page, 4);
        note_page(world.region.expected, page, 4);
    }
    return {};
}

namespace {

Result<void> end_loan(World& world) {
    world.region.region.reset();
    world.loan.reset();
    write_page(world.own.bytes(), 5, 5);  // nobody is there to hold it up
    return {};
}

}  // namespace

std::vector<Scene> remote_scenes() {
    std::vector<Scene> list{
        {"exchange", with_past,
         [](World& world) { return exchange(world, world.moment, world.child); }},
        {"use_imported", with_imported, use_imported},
        {"snapshot_imported", with_imported, snapshot_imported},
        {"move_imported", with_moving, use_imported},
        {"move_imported_and_snapshot", with_moving,
         [](World& world) -> Result<void> {
             (void)use_imported(world);
             return snapshot_imported(world);
         }},
        {"use_orphan", with_orphan, use_orphan},
        {"snapshot_orphan", with_orphan,
         [](World& world) -> Result<void> {
             Result<std::shared_ptr<engine::Snapshot>> taken = world.child.region->snapshot();
             if (!taken) {
                 return pass(taken);
             }
             world.later = {std::move(*taken), world.child.expected};
             for (u64 page = 0; page < region_pages; page += 5) {
                 world.child.write(page, 10);
             }
             return {};
         }},
        {"attach", [](World&) {}, hand_over},
        {"snapshot_attached", with_loan, snapshot_loan},
        {"end_of_loan",
         [](World& world) {
             with_loan(world);
             must(snapshot_loan(world));
             world.moment = {};
         },
         end_loan},
    };
    list.back().retry = false;
    for (Scene& each : list) {
        each.calls_max = 8;
    }
    return list;
}

}  // namespace verso::faultwalk
