// The verbs on regions that others made or lent: children that were imported, children of theirs,
// children of the dead, and memory that was lent.
#include "faultwalk/scenes.h"

namespace verso::faultwalk {
namespace {

Result<void> read_last(World& world) {
    Bytes page(page_size);
    for (u64 at = region_pages; at-- > 0;) {
        (void)read_page(world.last.memory(), at, page);
    }
    return {};
}

/// A snapshot of the child, and pages that it overwrote before and after.
void with_later(World& world) {
    for (u64 page = 1; page < region_pages; page += 8) {
        world.child.write(page, 3);
    }
    world.take(world.child, world.later);
    for (u64 page = 0; page < region_pages; page += 8) {
        world.child.write(page, 6);
    }
}

void with_child(World& world) {
    world.create();
    world.take(world.region, world.moment);
    world.fork_from(world.moment);
    with_later(world);
}
void with_imported_past(World& world) {
    with_imported(world);
    with_later(world);
}
void with_orphans_past(World& world) {
    with_orphan(world);
    with_later(world);
}
void with_grandchild(World& world) {
    with_child(world);
    must(exchange(world, world.later, world.last));
}

/// Half of the snapshot is stored already: its children share the layer's file.
void with_frozen_past(World& world) {
    world.create();
    world.take(world.region, world.moment);
    for (u64 page = 0; page < region_pages; page += 2) {
        world.region.write(page, 2);
    }
}

Result<void> exchange_and_read(World& world) {
    Result<void> done = exchange(world, world.later, world.last);
    return done ? read_last(world) : done;
}

Result<void> use_grandchild(World& world) {
    for (u64 page = 0; page < region_pages; page += 3) {
        world.region.write(page, 8);
        world.child.write(page, 9);
        world.last.write(page, 10);
    }
    return read_last(world);
}

std::vector<Scene> children() {
    const auto child_to_later = [](World& world) { return rewind(world.child, world.later); };
    const auto discard_in_child = [](World& world) { return discard(world.child, {10, 20}); };
    const auto fork_later = [](World& world) { return fork_and_use(world.later, world.last); };
    const auto show_later = [](World& world) { return show(world.later); };
    return {
        {"exchange_frozen", with_frozen_past,
         [](World& world) { return exchange(world, world.moment, world.child); }},
        {"exchange_of_child", with_child, exchange_and_read},
        {"exchange_of_imported", with_imported_past, exchange_and_read},
        {"exchange_of_orphan", with_orphans_past, exchange_and_read},
        {"use_grandchild", with_grandchild, use_grandchild},
        {"rewind_imported", with_imported_past, child_to_later},
        {"rewind_orphan", with_orphans_past, child_to_later},
        {"discard_imported", with_imported_past, discard_in_child},
        {"discard_orphan", with_orphans_past, discard_in_child},
        {"fork_of_imported", with_imported_past, fork_later},
        {"fork_of_orphan", with_orphans_past, fork_later},
        {"bytes_of_imported", with_imported_past, show_later},
        {"detach_of_imported", with_imported_past,
         [](World& world) { return world.later.snapshot->detach(); }},
        {"memory_imported", with_imported_past,
         [](World& world) { return ask_memory(world, world.child); }},
    };
}

void with_loans_past(World& world) {
    with_loan(world);
    must(snapshot_loan(world));
}

/// A store of the lender's.
void lender_writes(World& world, u64 page, u64 version) {
    write_page(world.own.bytes(), page, version);
    note_page(world.region.expected, page, version);
}

void with_loans_marks(World& world) {
    with_loan(world);
    must(ask_written(world, world.region));
    for (const u64 page : {u64{3}, u64{4}, u64{40}}) {
        lender_writes(world, page, 7);
        world.unreported.insert(page);
    }
}

std::vector<Scene> lent() {
    return {
        {"bytes_attached", with_loans_past, [](World& world) { return show(world.moment); }},
        {"fork_attached", with_loans_past,
         [](World& world) { return fork_and_use(world.moment, world.child); }},
        {"exchange_attached", with_loans_past,
         [](World& world) { return exchange(world, world.moment, world.child); }},
        {"detach_attached",
         [](World& world) {
             with_loan(world);
             world.take(world.region, world.moment);
             lender_writes(world, 0, 4);  // too few for the engine to store more by itself
             lender_writes(world, 40, 4);
         },
         [](World& world) { return world.moment.snapshot->detach(); }},
        {"rewind_attached", with_loans_past,
         [](World& world) { return rewind(world.region, world.moment); }},
        {"discard_attached", with_loans_past,
         [](World& world) {
             return discard(world.region, {10, 20});
         }},
        {"written_attached", with_loans_marks,
         [](World& world) { return ask_written(world, world.region); }},
        {"memory_attached", with_loans_past,
         [](World& world) { return ask_memory(world, world.region); }},
    };
}

}  // namespace

std::vector<Scene> chain_scenes() {
    std::vector<Scene> all = children();
    for (Scene& each : lent()) {
        all.push_back(std::move(each));
    }
    for (Scene& each : all) {
        each.calls_max = 8;
    }
    return all;
}

}  // namespace verso::faultwalk
