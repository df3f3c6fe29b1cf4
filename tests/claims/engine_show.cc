// The engine on the model, with a migration between its snapshot and a store: see the header.
#include "claims/engine_show.h"

#include <fmt/core.h>

#include "base/choice.h"
#include "engine/engine.h"
#include "mm/sim/sim_world.h"

namespace verso::claims {
namespace {

mm::Shape room_for_a_region_and_its_child() {
    mm::Shape shape;
    shape.space_pages = 32768;
    shape.huge_pages = 64;
    shape.pages = 400;
    shape.slots = 16;
    shape.spaces_max = 4;
    shape.contexts_max = 16;
    shape.threads_max = 32;
    return shape;
}

u64 base_of(const engine::Region& region) {
    return reinterpret_cast<u64>(region.bytes().data());  // NOLINT
}

std::string read_after_migration(mm::sim::SimWorld& world) {
    using kernel::Call;
    kernel::Kernel& kernel = world.process(0);
    engine::Runtime runtime(kernel);
    const auto region = engine::Region::create(runtime, {.size = page_size});
    if (!region) {
        return region.error().message;
    }
    const u64 at = base_of(**region);
    const bool begun = kernel.perform(Call::store(at, 1)).ok();
    const auto snapshot = (*region)->snapshot();
    if (!snapshot) {
        return snapshot.error().message;
    }
    const bool moved = world.provoke(0, kernel::Trigger::migrate, at, page_size).acted;
    const bool went_on = kernel.perform(Call::store(at, 2)).ok();
    const auto child = (*snapshot)->fork("child");
    if (!child) {
        return child.error().message;
    }
    if (!begun || !moved || !went_on) {
        return "a store failed, or the page did not migrate";
    }
    const kernel::Outcome read = kernel.perform(Call::load(base_of(**child)));
    return read.ok() ? fmt::format("the child reads {}", read.value) : to_string(read);
}

}  // namespace

std::string child_of_the_engine_reads(const mm::Rules& with) {
    RandomChoice schedule(1);
    mm::sim::SimWorld world(with, room_for_a_region_and_its_child(), schedule);
    return read_after_migration(world);
}

}  // namespace verso::claims
