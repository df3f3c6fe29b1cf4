// What the processes of a simulated run ask of the engine, and the book that each verb keeps.
#include <algorithm>

#include "check/swarm/world.h"
#include "engine/exporter.h"
#include "engine/importer.h"

namespace verso::check::swarm {
namespace {

constexpr std::size_t memories_max = 5;  // of a process: a memory is several files and threads
constexpr std::size_t pictures_max = 5;

}  // namespace

void World::act(House& house, const Act& act) {
    ++tally_.verbs;
    House::Estate& estate = *house.estate;
    // Copies: while a verb waits, what it works on may be dropped by nobody else, but lists move.
    const MemoryRef memory = estate.memories[act.which % estate.memories.size()];
    const auto verb = static_cast<Verb>(act.what);
    switch (verb) {
        case Verb::snapshot:
            if (memory->snapshots) {
                snapshot(house, memory);
            }
            return;
        case Verb::read: read(house, memory, act.how); return;
        case Verb::write: write(house, memory, act.how); return;
        case Verb::move: move(house, memory, act.how); return;
        case Verb::discard: discard(memory, act.how); return;
        case Verb::written: written(memory); return;
        case Verb::create: create(house); return;
        case Verb::tamper: tamper(house, memory, act.how); return;
        case Verb::leave:
            if (estate.memories.size() > 1) {
                leave(house, act.how);
            }
            return;
        case Verb::look:
        case Verb::fork:
        case Verb::send:
        case Verb::rewind:
        case Verb::detach:
        case Verb::drop: break;
    }
    if (estate.pictures.empty() && verb == Verb::send && memory->snapshots) {
        snapshot(house, memory);
    }
    if (estate.pictures.empty()) {
        return;
    }
    const u32 which = act.which % static_cast<u32>(estate.pictures.size());
    const Picture picture = estate.pictures[which];
    switch (verb) {
        case Verb::look: look(house, picture, act.how); return;
        case Verb::fork: fork(house, picture); return;
        case Verb::send: send(house, picture, act.how); return;
        case Verb::rewind: rewind(picture); return;
        case Verb::detach: {
            const auto done = picture.snapshot->detach();
            say("detach {}", picture.name);
            if (!done) {
                failed("detach", done.error());
            }
            return;
        }
        case Verb::drop: drop(house, which); return;
        case Verb::snapshot:
        case Verb::read:
        case Verb::write:
        case Verb::move:
        case Verb::discard:
        case Verb::written:
        case Verb::leave:
        case Verb::create:
        case Verb::tamper: return;
    }
}

void World::note_memory(House& house, MemoryRef memory) {
    const bool by_mprotect = memory->region->backend() == Backend::mprotect_segv;
    memory->read_by_loads = by_mprotect || plan_.knobs.unprivileged != 0;
    memory->snapshots = memory->region->tracking() == Tracking::contents;
    all_.push_back(memory);
    house.estate->memories.push_back(std::move(memory));
}

void World::create(House& house) {
    if (house.estate->memories.size() >= memories_max) {
        return;
    }
    const Knobs& knobs = plan_.knobs;
    RegionOptions options{.size = to_bytes(knobs.pages)};
    if (knobs.by_mprotect != 0 && tape_.choose(8) >= 8 - knobs.by_mprotect) {
        options.backend = Backend::mprotect_segv;
    }
    if (knobs.pages_only != 0 && tape_.choose(8) >= 8 - knobs.pages_only) {
        options.tracking = Tracking::pages;
    }
    auto made = engine::Region::create(*house.estate->runtime, options);
    if (!made) {
        failed("create", made.error());
        return;
    }
    auto memory = std::make_shared<Memory>(fmt::format("M{}", ++named_), house.id, *made,
                                           Book(plan_.knobs.pages));
    say("create {}", memory->name);
    note_memory(house, std::move(memory));
}

void World::snapshot(House& house, const MemoryRef& memory) {
    if (house.estate->pictures.size() >= pictures_max) {
        return;
    }
    say("snapshot of {} …", memory->name);
    const Book::Begun begun = memory->book.begin();
    auto taken = memory->region->snapshot();
    if (!taken) {
        failed("snapshot", taken.error());
        return;
    }
    Picture picture{fmt::format("S{}", ++named_), memory, *taken, memory->book.end(begun)};
    say("snapshot of {}: {}, one of {} moments", memory->name, picture.name,
        picture.moment->candidates());
    house.estate->pictures.push_back(std::move(picture));
}

void World::look(House& house, const Picture& picture, u32 how) {
    const auto bytes = picture.snapshot->bytes();
    if (!bytes) {
        failed("bytes", bytes.error());
        return;
    }
    const u64 base = reinterpret_cast<u64>(bytes->data());  // NOLINT
    const u32 pages = plan_.knobs.pages;
    const u32 count = how == ~u32{0} ? pages : std::min(pages, plan_.knobs.looks_at_most);
    for (u32 i = 0; i < count; ++i) {
        look_at_page(house, picture, base, (how + i) % pages);
    }
}

void World::fork(House& house, const Picture& picture) {
    if (house.estate->memories.size() >= memories_max) {
        return;
    }
    auto made = picture.snapshot->fork("child");
    if (!made) {
        failed("fork", made.error());
        return;
    }
    auto memory = std::make_shared<Memory>(fmt::format("M{}", ++named_), house.id, *made,
                                           Book(plan_.knobs.pages, picture.moment));
    say("fork of {}: {}", picture.name, memory->name);
    note_memory(house, std::move(memory));
}

/// The other process imports on a thread of its own, whatever else it does meanwhile.
void World::send(House& house, const Picture& picture, u32 how) {
    const bool by_mprotect = picture.of->region->backend() == Backend::mprotect_segv;
    if (plan_.knobs.processes == 1 || by_mprotect) {  // that one is for one process
        return;
    }
    const u32 step = 1 + how % (plan_.knobs.processes - 1);
    House& to = *houses_[(static_cast<u32>(house.id) + step) % plan_.knobs.processes];
    if (!to.alive || to.through || to.estate->memories.size() + to.guests >= memories_max) {
        return;
    }
    const auto [ours, theirs] = world_.socket_pair(house.id, to.id);
    const Fd socket(ours);
    ++to.guests;
    const std::string name = fmt::format("M{}", ++named_);
    const auto task = world_.scheduler().spawn(
        to.id, "importer", [this, &to, theirs = theirs, moment = picture.moment, name] {
            receive(to, theirs, moment, name);
            --to.guests;
        });
    names_.resize(std::max<std::size_t>(names_.size(), static_cast<std::size_t>(task) + 1));
    names_[static_cast<std::size_t>(task)] = fmt::format("import {}", name);
    say("send {} to process {} …", picture.name, to.id);
    const auto sent = picture.snapshot->export_fork(socket.get(), 10'000);
    house.sent += sent ? 1 : 0;
    if (!sent) {
        failed("export", sent.error());
    }
}

void World::receive(House& house, int socket, std::shared_ptr<Moment> moment, std::string name) {
    const Fd end(socket);
    auto made = engine::import_child(*house.estate->runtime, socket, {});
    if (!made) {
        failed("import", made.error());
        return;
    }
    auto memory = std::make_shared<Memory>(std::move(name), house.id, *made,
                                           Book(plan_.knobs.pages, std::move(moment)));
    say("import: {}", memory->name);
    note_memory(house, std::move(memory));
}

/// The application promises that nobody uses the bytes meanwhile.
void World::close(const MemoryRef& memory) {
    wait_until([&] { return !memory->closed; }, "another rewind");
    memory->closed = true;
    wait_until([&] { return memory->users == 0; }, "accesses to end");
}

void World::rewind(const Picture& picture) {
    Memory& memory = *picture.of;
    close(picture.of);
    const auto report = memory.region->rewind(*picture.snapshot);
    if (report) {
        memory.book.rewound(picture.moment);
        memory.rewound = true;
        say("rewind {} to {}: {} pages", memory.name, picture.name, report->pages_restored);
    }
    memory.closed = false;
    if (!report) {
        failed("rewind", report.error());
    }
}

void World::discard(const MemoryRef& memory, u32 how) {
    const u32 first = how % plan_.knobs.pages;
    const u32 count = 1 + how / 64 % (plan_.knobs.pages - first);
    close(memory);
    const auto done = memory->region->discard({first, count});
    if (done) {
        for (u32 page = first; page < first + count; ++page) {
            memory->book.discarded(page);
        }
        say("discard {} pages [{}, {})", memory->name, first, first + count);
    }
    memory->closed = false;
    if (!done) {
        failed("discard", done.error());
    }
}

/// What a program must not do, and the engine must survive: madvise() on a part of its memory. Old
/// bytes that snapshots needed may be refused afterwards, never wrong. Where a child's page goes,
/// its source's comes back; after a rewind the books do not know which that was.
void World::tamper(House& house, const MemoryRef& memory, u32 how) {
    const bool child = memory->region->origin() == engine::Origin::child;
    const bool watched = memory->region->backend() == Backend::userfaultfd && memory->snapshots &&
                         kernel(house).abilities().layout_events;
    if (!watched || (child && memory->rewound)) {
        return;
    }
    const u32 first = how % plan_.knobs.pages;
    const u32 count = 1 + how / 64 % (plan_.knobs.pages - first);
    const bool removes = !child && how / 4096 % 2 == 0;
    close(memory);
    ++tampers_;
    say("{} pages [{}, {}) of {} …", removes ? "MADV_REMOVE" : "MADV_DONTNEED", first,
        first + count, memory->name);
    const auto done = kernel(house).perform(
        kernel::Call::advise(memory->base + to_bytes(first), to_bytes(count),
                             removes ? kernel::Advice::remove : kernel::Advice::drop));
    for (u32 page = first; done.ok() && page < first + count; ++page) {
        if (removes) {
            memory->book.discarded(page);
        } else if (child) {
            memory->book.dropped(page);
        }
    }
    memory->closed = false;
    if (!done.ok()) {
        complain(who(), fmt::format("madvise: {}", to_string(done)));
    }
}

/// A page that changed after the last answer was complete and before this question was asked is in
/// this answer. Those in between are in one of the two.
void World::written(const MemoryRef& memory) {
    const u64 asked = memory->book.clock();
    const std::array<u64, pages_max> changes = memory->book.last_changes();
    const auto answer = memory->region->written(memory->mark.value_or(verso::Mark{}));
    if (!answer) {
        failed("written", answer.error());
        return;
    }
    say("written of {}: {} pages", memory->name, answer->pages);
    for (u32 page = 0; page < plan_.knobs.pages; ++page) {
        const bool named = std::ranges::any_of(answer->ranges, [&](const PageRange& range) {
            return page >= range.first && page < range.first + range.count;
        });
        if (!named && changes[page] > memory->mark_clock && changes[page] <= asked) {
            complain(who(),
                     fmt::format("written() of {} does not name page {}", memory->name, page));
        }
    }
    memory->mark = answer->mark;
    memory->mark_clock = memory->book.clock();
}

void World::drop(House& house, u32 which) {
    auto& pictures = house.estate->pictures;
    const auto at = pictures.begin() + which % static_cast<std::ptrdiff_t>(pictures.size());
    Picture picture = std::move(*at);
    pictures.erase(at);
    say("drop {}", picture.name);
}

void World::leave(House& house, u32 which) {
    auto& memories = house.estate->memories;
    const auto at = memories.begin() + which % static_cast<std::ptrdiff_t>(memories.size());
    MemoryRef memory = std::move(*at);
    memories.erase(at);
    say("leave {}", memory->name);
}

}  // namespace verso::check::swarm
