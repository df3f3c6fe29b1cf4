// The verbs of one process.
#include "faultwalk/scenes.h"

namespace verso::faultwalk {
namespace {

/// Verbs that make a region: what they make is checked by writing to it.
Scene making(std::string name,
             std::function<Result<std::shared_ptr<engine::Region>>(World&)> make) {
    return {std::move(name), [](World&) {},
            [make = std::move(make)](World& world) -> Result<void> {
                Result<std::shared_ptr<engine::Region>> made = make(world);
                if (!made) {
                    return pass(made);
                }
                world.region.region = std::move(*made);
                world.region.write_all(1);
                return {};
            }};
}

RegionOptions options(Backend backend, Tracking tracking) {
    RegionOptions options;
    options.size = region_size;
    options.name = "walked";
    options.backend = backend;
    options.tracking = tracking;
    return options;
}

std::vector<Scene> beginnings() {
    std::vector<Scene> list;
    for (const auto& [name, backend, tracking] :
         {std::tuple{"create", Backend::automatic, Tracking::contents},
          std::tuple{"create_pages", Backend::automatic, Tracking::pages},
          std::tuple{"create_mprotect", Backend::mprotect_segv, Tracking::contents}}) {
        list.push_back(making(name, [backend = backend, tracking = tracking](World& world) {
            return engine::Region::create(world.runtime, options(backend, tracking));
        }));
    }
    for (const auto& [name, backend] : {std::pair{"adopt", Backend::automatic},
                                        std::pair{"adopt_mprotect", Backend::mprotect_segv}}) {
        list.push_back(making(name, [backend = backend](World& world) {
            AdoptOptions adopt = world.own.options();
            adopt.backend = backend;
            return engine::Region::adopt(world.runtime, adopt);
        }));
    }
    return list;
}

void with_region(World& world) { world.create(); }
void with_mprotect(World& world) { world.create(Backend::mprotect_segv); }
void with_adopted(World& world) {
    world.region.region = must(engine::Region::adopt(world.runtime, world.own.options()));
    world.region.write_all(1);
}

/// A snapshot, and two pages overwritten since: too few for the engine to finish their word.
void with_past(World& world) {
    world.take(world.region, world.moment);
    world.region.write(0, 2);
    world.region.write(40, 2);
}
void with_child(World& world) {
    with_past(world);
    world.fork_from(world.moment);
    for (u64 page = 1; page < region_pages; page += 8) {
        world.child.write(page, 3);
    }
}

void with_child_past(World& world) {
    with_child(world);
    world.take(world.child, world.later);
    for (u64 page = 0; page < region_pages; page += 8) {
        world.child.write(page, 6);
    }
}

}  // namespace

Result<void> snapshot_into(Held& of, Moment& into) {
    Result<std::shared_ptr<engine::Snapshot>> taken = of.region->snapshot();
    if (!taken) {
        return pass(taken);
    }
    into = {std::move(*taken), of.expected};
    return {};
}

namespace {

Result<void> snapshot_and_write(World& world) {
    const Result<void> taken = snapshot_into(world.region, world.later);
    if (taken) {
        world.region.write_all(4);
    }
    return taken;
}

}  // namespace

Result<void> show(const Moment& moment) {
    const Result<std::span<const std::byte>> view = moment.snapshot->bytes();
    if (!view) {
        return tl::unexpected<Error>(view.error());
    }
    Bytes page(page_size);
    for (u64 at = region_pages; at-- > 0;) {
        (void)read_page(*view, at, page);
    }
    return {};
}

Result<void> fork_and_use(Moment& moment, Held& into) {
    Result<std::shared_ptr<engine::Region>> made = moment.snapshot->fork("child");
    if (!made) {
        return pass(made);
    }
    into.region = std::move(*made);
    into.expected = moment.expected;
    Bytes page(page_size);
    for (u64 at = 0; at < region_pages; at += 5) {
        (void)read_page(into.memory(), at, page);
    }
    return {};
}

namespace {

std::vector<Scene> snapshots() {
    const auto with = [](void (*first)(World&), void (*then)(World&)) {
        return [=](World& world) {
            first(world);
            then(world);
        };
    };
    const auto show_moment = [](World& world) { return show(world.moment); };
    const auto fork_moment = [](World& world) { return fork_and_use(world.moment, world.child); };
    const auto detach_moment = [](World& world) { return world.moment.snapshot->detach(); };
    return {
        {"snapshot", with_region, snapshot_and_write},
        {"snapshot_mprotect", with_mprotect, snapshot_and_write},
        {"snapshot_adopted", with_adopted, snapshot_and_write},
        {"snapshot_again", with(with_region, with_past), snapshot_and_write},
        {"snapshot_of_child", with(with_region, with_child),
         [](World& world) {
             const Result<void> taken = snapshot_into(world.child, world.later);
             if (taken) {
                 for (u64 page = 0; page < region_pages; page += 4) {
                     world.child.write(page, 5);
                 }
             }
             return taken;
         }},
        {"bytes", with(with_region, with_past), show_moment},
        {"bytes_mprotect", with(with_mprotect, with_past), show_moment},
        {"bytes_adopted", with(with_adopted, with_past), show_moment},
        {"fork", with(with_region, with_past), fork_moment},
        {"fork_mprotect", with(with_mprotect, with_past), fork_moment},
        {"fork_adopted", with(with_adopted, with_past), fork_moment},
        {"fork_of_child", with(with_region, with_child_past),
         [](World& world) { return fork_and_use(world.later, world.last); }},
        {"detach", with(with_region, with_past), detach_moment},
        // There is no detach_mprotect: nothing that it does can be refused.
        {"detach_adopted", with(with_adopted, with_past), detach_moment},
        {"detach_of_child", with(with_region, with_child_past),
         [](World& world) { return world.later.snapshot->detach(); }},
    };
}

}  // namespace

/// The region goes back; what it held before is in `later`.
Result<void> rewind(Held& held, Moment& moment) {
    const Result<RewindReport> done = held.region->rewind(*moment.snapshot);
    if (!done) {
        return tl::unexpected<Error>(done.error());
    }
    held.expected = moment.expected;
    return {};
}

namespace {

void with_later(World& world) {
    world.take(world.region, world.later);
    world.region.write(20, 6);  // and not those that go back: they must be captured on the way
    world.region.write(60, 6);
}

}  // namespace

Result<void> discard(Held& held, PageRange range) {
    Result<void> done = held.region->discard(range);
    if (done) {
        std::fill_n(held.expected.begin() + static_cast<std::ptrdiff_t>(to_bytes(range.first)),
                    to_bytes(range.count), std::byte{});
    }
    return done;
}

/// The pages that one call names must be at least those that were written since the last.
Result<void> ask_written(World& world, Held& held) {
    Result<Written> answer = held.region->written(world.mark);
    if (!answer) {
        return pass(answer);
    }
    world.mark = answer->mark;
    std::set<u64> named;
    for (const PageRange& range : answer->ranges) {
        for (u64 page = range.first; page < range.first + range.count; ++page) {
            named.insert(page);
        }
    }
    for (const u64 page : world.unreported) {
        if (!named.contains(page)) {
            world.note = fmt::format("written() does not name page {}", page);
        }
    }
    world.unreported.clear();
    return {};
}

/// What the kernel is asked to count may not be less than what was just written.
Result<void> ask_memory(World& world, Held& held) {
    const Result<MemoryReport> report = held.region->memory();
    if (!report) {
        return tl::unexpected<Error>(report.error());
    }
    if (report->live_bytes + report->private_bytes + report->shared_bytes == 0) {
        world.note = "memory() finds no memory at all";
    }
    return {};
}

namespace {

void mark(World& world, Held& held) {
    must(ask_written(world, held));
    for (const u64 page : {u64{3}, u64{4}, u64{40}}) {
        held.write(page, 7);
        world.unreported.insert(page);
    }
}
void with_marks(World& world) { mark(world, world.region); }
void with_child_marks(World& world) {
    world.take(world.child, world.later);
    mark(world, world.child);
}

std::vector<Scene> changes() {
    const auto with = [](void (*first)(World&), void (*then)(World&), void (*last)(World&)) {
        return [=](World& world) {
            first(world);
            then(world);
            last(world);
        };
    };
    const auto nothing = [](World&) {};
    const auto to_moment = [](World& world) { return rewind(world.region, world.moment); };
    const auto discard_some = [](World& world) { return discard(world.region, {10, 20}); };
    const auto ask = [](World& world) { return ask_written(world, world.region); };
    const auto child_to_later = [](World& world) { return rewind(world.child, world.later); };
    return {
        {"rewind", with(with_region, with_past, with_later), to_moment},
        {"rewind_again", with(with_region, with_past, nothing),
         [](World& world) {
             Result<void> done = rewind(world.region, world.moment);
             if (done) {
                 world.region.write(0, 7);
                 world.region.write(20, 7);
                 done = rewind(world.region, world.moment);
             }
             return done;
         }},
        {"rewind_mprotect", with(with_mprotect, with_past, with_later), to_moment},
        {"rewind_shared", with(with_region, with_child, with_later), to_moment},
        {"rewind_child", with(with_region, with_child_past, nothing), child_to_later},
        {"rewind_adopted", with(with_adopted, with_past, with_later), to_moment},
        {"discard", with(with_region, with_past, nothing), discard_some},
        {"discard_mprotect", with(with_mprotect, with_past, nothing), discard_some},
        {"discard_adopted", with(with_adopted, with_past, nothing), discard_some},
        {"discard_shared", with(with_region, with_child, nothing), discard_some},
        {"discard_child_mprotect",
         with(with_mprotect, with_past, [](World& world) { world.fork_from(world.moment); }),
         [](World& world) {
             return discard(world.child, {10, 20});
         }},
        {"discard_child", with(with_region, with_child_past, nothing),
         [](World& world) {
             return discard(world.child, {10, 20});
         }},
        {"written", with(with_region, with_marks, nothing), ask},
        {"written_mprotect", with(with_mprotect, with_marks, nothing), ask},
        {"written_pages",
         with([](World& world) { world.create(Backend::automatic, Tracking::pages); }, with_marks,
              nothing),
         ask},
        {"written_child", with(with_region, with_child, with_child_marks),
         [](World& world) { return ask_written(world, world.child); }},
        {"memory", with(with_region, with_child, nothing),
         [](World& world) { return ask_memory(world, world.region); }},
        {"memory_child", with(with_region, with_child, nothing),
         [](World& world) { return ask_memory(world, world.child); }},
        {"memory_mprotect", with(with_mprotect, with_past, nothing),
         [](World& world) { return ask_memory(world, world.region); }},
    };
}

}  // namespace

std::vector<Scene> local_scenes() {
    std::vector<Scene> all = beginnings();
    for (std::vector<Scene> more : {snapshots(), changes()}) {
        all.insert(all.end(), more.begin(), more.end());
    }
    return all;
}

}  // namespace verso::faultwalk
