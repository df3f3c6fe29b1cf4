// What happens behind a verb's back: captures, releases, fills, pages taken back; and endings.
#include "faultwalk/scenes.h"

#include <cerrno>

namespace verso::faultwalk {
namespace {

void with_readers(World& world, Backend backend) {
    world.create(backend);
    world.take(world.region, world.moment);
    world.fork_from(world.moment);
    Bytes page(page_size);
    for (u64 at = 0; at < region_pages; at += 2) {  // half of it is shared, physically
        (void)read_page(world.child.memory(), at, page);
    }
}

Result<void> write_region(World& world) {
    for (u64 page = 0; page < region_pages; page += 3) {
        world.region.write(page, 11);
    }
    return {};
}

Result<void> write_child(World& world) {
    for (u64 page = 0; page < region_pages; page += 3) {
        world.child.write(page, 12);
    }
    return {};
}

Result<void> read_child(World& world) {
    Bytes page(page_size);
    for (u64 at = region_pages; at-- > 0;) {
        (void)read_page(world.child.memory(), at, page);
    }
    return {};
}

/// Half of the snapshot is captured already: its children share the layer's file.
void with_frozen_child(World& world) {
    world.create();
    world.take(world.region, world.moment);
    for (u64 page = 0; page < region_pages; page += 2) {
        world.region.write(page, 2);
    }
    world.fork_from(world.moment);
}

/// The child maps live pages, all of which are captured since: what it reads next moves.
void with_moving_child(World& world) {
    with_readers(world, Backend::automatic);
    world.region.write_all(2);
}

void with_grandchild(World& world) {
    world.create();
    world.take(world.region, world.moment);
    world.fork_from(world.moment);
    world.child.write(7, 3);
    world.take(world.child, world.later);
}

/// A child of a source whose pages are holes, which are read in order.
void with_holes(World& world) {
    world.create();
    must(world.region.region->discard({0, region_pages}));
    std::fill(world.region.expected.begin(), world.region.expected.end(), std::byte{});
    world.take(world.region, world.moment);
    world.fork_from(world.moment);
}
Result<void> read_in_order(World& world) {
    Bytes page(page_size);
    for (u64 at = 0; at < region_pages; ++at) {
        (void)read_page(world.child.memory(), at, page);
    }
    return {};
}

/// Two pages of the snapshot could not be stored when they were overwritten. (The walk takes the
/// loss of a page for right in such a scene; hazards/lost_pages_test.cc says which may be lost.)
void with_lost_pages(World& world) {
    with_readers(world, Backend::automatic);
    kernel::FailurePlan plan;
    plan.outcome = {kernel::Verdict::no_memory, ENOSPC, 0, 0};
    plan.only = kernel::OpSet{kernel::Op::file_write, kernel::Op::uffd_copy};
    plan.times = 2;
    world.kernel.fail(plan);
    world.region.write(7, 2);
    world.kernel.stop_failing();
}

/// A child that has read, so that chunks of it move, and is a source right after.
Result<void> snapshot_moving_child(World& world) {
    (void)read_child(world);
    Result<std::shared_ptr<engine::Snapshot>> taken = world.child.region->snapshot();
    if (!taken) {
        return pass(taken);
    }
    world.later = {std::move(*taken), world.child.expected};
    return write_child(world);
}

std::vector<Scene> faults() {
    const auto readers = [](World& world) { with_readers(world, Backend::automatic); };
    const auto untouched = [](Backend backend) {
        return [backend](World& world) {
            world.create(backend);
            world.take(world.region, world.moment);
            world.fork_from(world.moment);
        };
    };
    return {
        {"write",
         [](World& world) {
             world.create();
             world.take(world.region, world.moment);
         },
         write_region},
        {"write_mprotect",
         [](World& world) {
             world.create(Backend::mprotect_segv);
             world.take(world.region, world.moment);
         },
         write_region},
        {"write_shared", readers, write_region},
        {"write_in_child", untouched(Backend::automatic), write_child},
        {"write_in_child_mprotect", untouched(Backend::mprotect_segv), write_child},
        {"write_in_child_source", with_grandchild, write_child},
        {"read_live", untouched(Backend::automatic), read_child},
        {"read_frozen", with_frozen_child, read_child},
        {"move", with_moving_child,
         [](World& world) -> Result<void> {
             (void)read_child(world);
             return write_child(world);
         }},
        {"move_by_writing", with_moving_child, write_child},
        {"move_and_snapshot", with_moving_child, snapshot_moving_child},
        {"read_mprotect", untouched(Backend::mprotect_segv), read_child},
        {"read_deep", with_grandchild,
         [](World& world) -> Result<void> {
             const Result<std::span<const std::byte>> view = world.later.snapshot->bytes();
             if (!view) {
                 return tl::unexpected<Error>(view.error());
             }
             Bytes page(page_size);
             for (u64 at = 0; at < region_pages; ++at) {
                 (void)read_page(*view, at, page);
             }
             return {};
         }},
        {"read_holes", with_holes, read_in_order},
        {.name = "read_lost", .prepare = with_lost_pages, .act = read_child, .lossy = true},
        {"touch_missing", with_holes,  // never touched pages of a region that has live children
         [](World& world) -> Result<void> {
             (void)read_child(world);
             return write_region(world);
         }},
    };
}

std::vector<Scene> endings() {
    const auto prepare = [](World& world) {
        with_readers(world, Backend::automatic);
        (void)write_region(world);
        world.take(world.region, world.later);
        (void)write_region(world);
    };
    const auto ending = [&](std::string name, auto act) {
        Scene scene{std::move(name), prepare, [act](World& world) -> Result<void> {
                        act(world);
                        return {};
                    }};
        scene.retry = false;
        return scene;
    };
    Scene adopted{"release_adopted",
                  [](World& world) {
                      world.region.region =
                          must(engine::Region::adopt(world.runtime, world.own.options()));
                      world.region.write_all(1);
                      world.take(world.region, world.moment);
                      world.moment = {};
                  },
                  [](World& world) -> Result<void> {
                      world.region.region.reset();
                      write_page(world.own.bytes(), 5, 1);  // nobody is there to hold it up
                      return {};
                  }};
    Scene adopted_mprotect = adopted;
    adopted_mprotect.name = "release_adopted_mprotect";
    adopted_mprotect.prepare = [](World& world) {
        AdoptOptions options = world.own.options();
        options.backend = Backend::mprotect_segv;
        world.region.region = must(engine::Region::adopt(world.runtime, options));
        world.region.write_all(1);
        world.take(world.region, world.moment);
        world.moment = {};
    };
    return {
        ending("release_later", [](World& world) { world.later = {}; }),
        ending("release_child", [](World& world) { world.child = {}; }),
        ending("release_all", [](World& world) { world.release(); }),
        adopted,
        adopted_mprotect,
    };
}

}  // namespace

std::vector<Scene> background_scenes() {
    std::vector<Scene> all = faults();
    for (Scene& each : endings()) {
        all.push_back(std::move(each));
    }
    return all;
}

std::vector<Scene> scenes() {
    std::vector<Scene> all = local_scenes();
    for (std::vector<Scene> more : {background_scenes(), remote_scenes(), chain_scenes()}) {
        all.insert(all.end(), more.begin(), more.end());
    }
    return all;
}

}  // namespace verso::faultwalk
