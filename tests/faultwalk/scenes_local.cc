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

Result<void> snapshot_into(Held& of, Moment& into) {
    Result<std::shared_ptr<engine::Snapshot>> taken = of.region->snapshot();
    if (!taken) {
        return pass(taken);
    }
    into = {std::move(*taken), of.expected};
    return {};
}

Result<void> snapshot_and_write(World& world) {
    const Result<void> taken = snapshot_into(world.region, world.later);
    if (taken) {
        world.region.write_all(4);
    }
    return taken;
}

Result<void> show(World& world) {
    const Result<std::span<const std::byte>> view = world.moment.snapshot->bytes();
    if (!view) {
        return tl::unexpected<Error>(view.error());
    }
    Bytes page(page_size);
    for (u64 at = region_pages; at-- > 0;) {
        (void)read_page(*view, at, page);
    }
    return {};
}

Result<void> fork_and_use(World& world) {
    Result<std::shared_ptr<engine::Region>> made = world.moment.snapshot->fork("child");
    if (!made) {
        return pass(made);
    }
    world.child.region = std::move(*made);
    world.child.expected = world.moment.expected;
    Bytes page(page_size);
    for (u64 at = 0; at < region_pages; at += 5) {
        (void)read_page(world.child.memory(), at, page);
    }
    return {};
}

std::vector<Scene> snapshots() {
    const auto with = [](void (*first)(World&), void (*then)(World&)) {
        return [=](World& world) {
            first(world);
            then(world);
        };
    };
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
        {"bytes", with(with_region, with_past), show},
        {"bytes_mprotect", with(with_mprotect, with_past), show},
        {"bytes_adopted", with(with_adopted, with_past), show},
        {"fork", with(with_region, with_past), fork_and_use},
        {"fork_mprotect", with(with_mprotect, with_past), fork_and_use},
        {"fork_adopted", with(with_adopted, with_past), fork_and_use},
        {"detach", with(with_region, with_past),
         [](World& world) { return world.moment.snapshot->detach(); }},
    };
}

/// The region goes back; what it held before is in `later`.
Result<void> rewind(Held& held, Moment& moment) {
    const Result<RewindReport> done = held.region->rewind(*moment.snapshot);
    if (!done) {
        return tl::unexpected<Error>(done.error());
    }
    held.expected = moment.expected;
    return {};
}

void with_later(World& world) {
    world.take(world.region, world.later);
    world.region.write(20, 6);  // and not those that go back: they must be captured on the way
    world.region.write(60, 6);
}

void with_child_past(World& world) {
    with_child(world);
    world.take(world.child, world.later);
    for (u64 page = 0; page < region_pages; page += 8) {
        world.child.write(page, 6);
    }
}

Result<void> discard(Held& held, PageRange range) {
    Result<void> done = held.region->discard(range);
    if (done) {
        std::fill_n(held.expected.begin() + static_cast<std::ptrdiff_t>(to_bytes(range.first)),
                    to_bytes(range.count), std::byte{});
    }
    return done;
}

/// The pages that one call names must be at least those that were written since the last.
Result<void> ask_written(World& world) {
    Result<Written> answer = world.region.region->written(world.mark);
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

void with_marks(World& world) {
    must(ask_written(world));
    for (const u64 page : {u64{3}, u64{4}, u64{40}}) {
        world.region.write(page, 7);
        world.unreported.insert(page);
    }
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
    const auto child_to_later = [](World& world) { return rewind(world.child, world.later); };
    return {
        {"rewind", with(with_region, with_past, with_later), to_moment},
        {"rewind_mprotect", with(with_mprotect, with_past, with_later), to_moment},
        {"rewind_shared", with(with_region, with_child, with_later), to_moment},
        {"rewind_child", with(with_region, with_child_past, nothing), child_to_later},
        {"discard", with(with_region, with_past, nothing),
         [](World& world) {
             return discard(world.region, {10, 20});
         }},
        {"discard_shared", with(with_region, with_child, nothing),
         [](World& world) {
             return discard(world.region, {10, 20});
         }},
        {"discard_child", with(with_region, with_child_past, nothing),
         [](World& world) {
             return discard(world.child, {10, 20});
         }},
        {"written", with(with_region, with_marks, nothing), ask_written},
        {"written_mprotect", with(with_mprotect, with_marks, nothing), ask_written},
        {"written_pages",
         with([](World& world) { world.create(Backend::automatic, Tracking::pages); }, with_marks,
              nothing),
         ask_written},
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
