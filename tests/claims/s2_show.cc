// What S2 wants to see shown beyond programs: searches, loads, single paths through a migration.
#include "claims/s2_show.h"

#include <set>

namespace verso::claims {

using mm::MigrationRestore;
using mm::Op;
using mm::Verdict;
using mm::World;

mm::Rules restoring(mm::MigrationRestore how, mm::Rules base) {
    base.migration_restore = how;
    return base;
}

std::string snapshot_reads(const mm::Rules& with) {
    World world(with);
    world.map(MemoryKind::SS, 2);
    world.store(0, 1);
    world.open(mm::Feature::sigbus);
    world.register_(0, 2, mm::Mode::wp);
    world.protect(0, 2);  // the snapshot: page 0 holds 1
    world.migrate(0);
    const bool told = world.store(0, 2).verdict == Verdict::sigbus;
    // Told of, the snapshot copies the page before the store goes through; else it reads what is
    // there.
    const i64 kept = world.load(0).value;
    return fmt::format("{}, the snapshot reads {}", told ? "told" : "not told", kept);
}

namespace {

Found bits_over_all_states(const mm::Rules& with, Holds holds) {
    Found sum;
    for (const MemoryKind kind : mm::sync_kinds) {
        Scope scope = sync_scope(kind);
        const std::vector<Act> more =
            acts_named({"migrate begins", "migrate ends", "migrate fails"});
        scope.acts.insert(scope.acts.end(), more.begin(), more.end());
        scope.holds = holds;
        scope.after_store = [](const State&) { return true; };  // S0-06 looks for lost stores
        const Found found = explore(with, scope);
        if (!found.trouble.empty()) {
            return found;
        }
        sum.states += found.states;
    }
    return sum;
}

}  // namespace

Verdicts bits_under_every_design(Holds holds) {
    u64 states = 0;
    for (const MigrationRestore restore : every_restore) {
        for (const bool two_types : {false, true}) {
            mm::Rules both = restoring(restore);
            both.migration_two_types = two_types;
            const Found found = bits_over_all_states(both, holds);
            if (!found.trouble.empty()) {
                return only(found.program);
            }
            states += found.states;
        }
    }
    return {fmt::format("nothing in {} states", states),
            fmt::format("{} · {} · {}", said(bits_over_all_states(neither(), holds)),
                        said(bits_over_all_states(only_writenotify(), holds)),
                        said(bits_over_all_states(only_clears_w(), holds)))};
}

namespace {

std::string_view name_of(MemoryKind kind) {
    constexpr const char* names[] = {"A", "SS", "SP", "HS", "HP", "FS", "FP"};
    return names[static_cast<unsigned>(kind)];
}

/// How a migration fails: as a whole; a driver's, when it finds the page held; a driver's, when it
/// gives up a page that it had got.
struct Failing {
    const char* name;
    std::vector<mm::Call> calls;
};
const Failing failing[] = {
    {"migration", {{.op = Op::migrate_begin}, {.op = Op::migrate_fail}}},
    {"refused",
     {{.op = Op::device_collect},
      {.op = Op::device_unmap, .flags = 1},
      {.op = Op::device_finalize}}},
    {"given up",
     {{.op = Op::device_collect},
      {.op = Op::device_unmap},
      {.op = Op::device_finalize, .flags = 1}}},
};

mm::World stored_and_armed(const mm::Rules& with, MemoryKind kind, bool armed) {
    const bool file = kind == MemoryKind::FS || kind == MemoryKind::FP;
    World world(with);
    world.map(kind, 2);
    world.store(0, 1);
    world.open(file ? mm::async : mm::Feature::sigbus);
    world.register_(0, 2, mm::Mode::wp);
    armed ? (void)world.protect(0, 2) : (void)world.load(0);
    return world;
}

/// Empty: the entry is as it was, to the bit, and maps the page that it did.
std::string after_failing(World world, const Failing& how, unsigned& runs) {
    const mm::Entry before = world.entry(0);
    for (const mm::Call& call : how.calls) {
        if (world.step(call).verdict != Verdict::done) {
            return "is refused";
        }
        if (&call == &how.calls.front() && world.entry(0).kind != mm::EntryKind::migration) {
            return "nothing is replaced";
        }
    }
    ++runs;
    const mm::Entry after = world.entry(0);
    return after == before ? ""
                           : fmt::format("w {} → {}, u {} → {}", int{before.write},
                                         int{after.write}, int{before.uffd_wp}, int{after.uffd_wp});
}

}  // namespace

std::string failing_restores_everything(std::initializer_list<mm::Rules> designs) {
    unsigned runs = 0;
    unsigned refused = 0;
    for (const mm::Rules& with : designs) {
        for (const MemoryKind kind : mm::every_kind) {
            const bool hugetlb = kind == MemoryKind::HS || kind == MemoryKind::HP;
            for (const bool armed : {false, true}) {
                for (const Failing& how : failing) {
                    const std::string wrong =
                        after_failing(stored_and_armed(with, kind, armed), how, runs);
                    if (hugetlb && &how != &failing[0] && wrong == "is refused") {
                        ++refused;
                    } else if (!wrong.empty()) {
                        return fmt::format("{}, {}, {}: {}", name_of(kind),
                                           armed ? "armed" : "not armed", how.name, wrong);
                    }
                }
            }
        }
    }
    return fmt::format("the entry as before in {} runs; hugetlb refused in {}", runs, refused);
}

std::string writeback_in_between(const mm::Rules& with) {
    const std::vector<Act> acts =
        acts_named({"store", "WRITEPROTECT", "migrate begins", "migrate ends", "migrate fails",
                    "device collects", "device unmaps", "device is refused", "device ends",
                    "device fails", "writeback begins", "writeback ends"});
    Scope shmem{.kind = MemoryKind::SS, .acts_max = programs_max, .acts = acts};
    Scope file{
        .kind = MemoryKind::FS, .features = mm::async, .acts_max = programs_max, .acts = acts};
    // Neither the tracker nor, later, writeback may miss it.
    file.after_store = [](const State& after) {
        const mm::Entry entry = mm::entry_at(after, 0, 0);
        return !entry.uffd_wp && (entry.dirty || after.pages[entry.target].dirty);
    };
    u64 states = 0;
    std::set<u64> windows;
    for (Scope scope : {shmem, file}) {
        scope.holds = [&](const State& state, const mm::Rules& rules) {
            const mm::Entry entry = mm::entry_at(state, 0, 0);
            const bool waits = entry.kind == mm::EntryKind::migration;
            if (waits && state.pages[entry.target].writeback) {
                windows.insert(mm::hash_of(state));
            }
            return with.prot_wp_writenotify ? invariant(state, rules) : "";  // I6 is (1)
        };
        const Found found = explore(with, scope);
        if (!found.trouble.empty()) {
            return found.program;
        }
        states += found.states;
    }
    return fmt::format("nothing in {} states; in {} a waiting entry's page is being written",
                       states, windows.size());
}

std::string read_entry_comes_back_writable() {
    World world;
    mm::Rules without = mm::mainline();
    without.softdirty_configured = false;  // else that is a reason for write notification
    world = World(without);
    world.map(MemoryKind::SS, 2);
    world.store(0, 1);
    world.kernel(Op::migrate_begin, 0);
    world.mprotect(0, 2, mm::MapFlags::read);
    world.mprotect(0, 2, mm::MapFlags::read | mm::MapFlags::write);
    const bool read = world.entry(0).migration == mm::MigrationKind::read;
    world.kernel(Op::migrate_end, 0);
    return fmt::format("entry {}, then w={}, {}", read ? "READ" : "WRITE",
                       int{world.entry(0).write},
                       world.broken().empty() ? "no invariant broken" : world.broken());
}

std::string merged_soft_dirty() {
    // Two neighbouring mappings of one file; clearing makes both clean; one is unmapped and mapped
    // again, which makes it, and after the merge all of it, soft-dirty.
    World world;
    world.map(MemoryKind::SS, 4);
    world.store(0, 1);
    world.step({.op = Op::clear_refs});
    const bool clean = !world.vma(0).has(mm::VmFlag::soft_dirty);
    mm::Call unmap{.op = Op::munmap};
    unmap.address = to_bytes(2);
    unmap.length = to_bytes(2);
    world.step(unmap);
    mm::Call again{.op = Op::mmap, .fd = world.file};
    again.flags =
        mm::MapFlags::read | mm::MapFlags::write | mm::MapFlags::fixed | mm::MapFlags::shared;
    again.address = to_bytes(2);
    again.length = to_bytes(2);
    again.extra = to_bytes(2);
    world.step(again);
    const bool merged = world.vma(0).end == 4 && world.vma(0).has(mm::VmFlag::soft_dirty);
    world.migrate(0);
    const bool writable = world.entry(0).write;
    world.store(0, 2);
    const bool seen = world.entry(0).soft_dirty || world.vma(0).has(mm::VmFlag::soft_dirty);
    return fmt::format("{}, {}, w={} after migration, the store {}", clean ? "clean" : "not clean",
                       merged ? "merged and soft-dirty" : "not merged", int{writable},
                       seen ? "shows" : "is missed");
}

std::string store_after_hint_and_migration(const mm::Rules& with) {
    World world(with);
    world.map(MemoryKind::A, 2);
    mm::second_thread(world);
    world.store(0, 1);
    world.kernel(Op::numa_scan, 0);
    world.migrate(0);
    const bool fault = !world.entry(0).write;
    return world.store(0, 2).verdict != Verdict::done ? "told"
           : fault                                    ? "one silent fault"
                                                      : "no fault";
}

std::string hint_through_migration() {
    World world;
    world.map(MemoryKind::A, 2);
    mm::second_thread(world);
    world.store(0, 1);
    world.open(mm::Feature::sigbus);
    world.register_(0, 2, mm::Mode::wp);
    world.protect(0, 2);
    world.kernel(Op::numa_scan, 0);
    const mm::Entry hint = world.entry(0);
    world.kernel(Op::migrate_begin, 0);
    const mm::Entry waiting = world.entry(0);
    world.kernel(Op::migrate_end, 0);
    const mm::Entry after = world.entry(0);
    const bool kept = hint.uffd_wp && waiting.uffd_wp && after.uffd_wp && hint.soft_dirty &&
                      waiting.soft_dirty && after.soft_dirty;
    return fmt::format("{} → {} → {}, u and sd {}", hint.protnone ? "PN" : "P",
                       waiting.kind == mm::EntryKind::migration ? "M" : "?",
                       after.protnone ? "PN" : "P", kept ? "kept" : "lost");
}

namespace {

/// Section 2, VP1 to VP8, with every rule of mainline on; nothing here asks the model.
bool table_says(MemoryKind kind, const mm::Vma& vma) {
    using mm::VmFlag;
    const bool hugetlb = kind == MemoryKind::HS || kind == MemoryKind::HP;
    switch (kind) {
        case MemoryKind::A:
        case MemoryKind::SP:
        case MemoryKind::HP:
        case MemoryKind::FP:                // VP1
        case MemoryKind::FS: return false;  // VP7
        case MemoryKind::SS:
        case MemoryKind::HS: break;
    }
    const bool tracked = !hugetlb && !vma.has(VmFlag::soft_dirty);           // VP5
    return vma.has(VmFlag::write) && !tracked && !vma.has(VmFlag::uffd_wp);  // VP2, VP6, VP8
}

}  // namespace

std::string defaults_follow_the_table() {
    u64 states = 0;
    for (const MemoryKind kind : mm::every_kind) {
        const bool file = kind == MemoryKind::FS || kind == MemoryKind::FP;
        Scope scope{.kind = kind, .features = file ? mm::async : mm::Feature::sigbus};
        scope.acts = acts_named({"store", "REGISTER(WP)", "UNREGISTER", "mprotect(READ)",
                                 "mprotect(READ|WRITE)", "clear_refs", "WRITEPROTECT"});
        scope.registered = false;
        scope.after_store = [](const State&) { return true; };  // not what this is about
        scope.holds = [kind](const State& state, const mm::Rules&) -> std::string {
            for (const mm::Vma& vma : state.spaces[0].vmas) {
                if (vma.prot_write != table_says(kind, vma)) {
                    return "vm_page_prot is not what it should be";
                }
            }
            return {};
        };
        const Found found = explore(mm::mainline(), scope);
        if (!found.trouble.empty()) {
            return found.program;
        }
        states += found.states;
    }
    return fmt::format("nothing in {} states", states);
}

std::string changes_without_the_bit(mm::MigrationRestore how) {
    u64 looked = 0;
    u64 differ = 0;
    for (const MemoryKind kind : mm::sync_kinds) {
        Scope scope{
            .kind = kind, .registered = false, .acts_max = programs_max, .acts = plain_acts()};
        scope.holds = [&](const State& state, const mm::Rules&) -> std::string {
            const mm::Entry entry = mm::entry_at(state, 0, 0);
            if (entry.kind != mm::EntryKind::migration || entry.uffd_wp) {
                return {};
            }
            ++looked;
            mm::Entry ends[2];
            const mm::Rules both[2] = {mm::mainline(), restoring(how)};
            for (unsigned i = 0; i < 2; ++i) {
                State copy = state;
                FirstChoice choice;
                mm::Machine machine{copy, both[i], choice};
                mm::migrate_end(machine, 0, 0, true);
                ends[i] = mm::entry_at(copy, 0, 0);
            }
            differ += ends[0] == ends[1] ? 0U : 1U;
            return {};
        };
        explore(mm::mainline(), scope);
    }
    return fmt::format("{} of {} differ", differ, looked);
}

std::string under_load(const mm::Rules& with) {
    constexpr unsigned spaces = 80;
    constexpr u32 pages = 16;
    constexpr u64 stores_max = 200'000;
    constexpr u32 snapshot_every = 64;   // stores
    constexpr u32 migrate_one_in = 200;  // stores
    mm::Shape shape;
    shape.space_pages = pages;
    shape.pages = pages + 8;
    std::vector<World> machines;
    machines.reserve(spaces);
    for (unsigned i = 0; i < spaces; ++i) {
        World& world = machines.emplace_back(with, shape);
        world.map(MemoryKind::SS, pages);
        world.open(mm::Feature::sigbus);
        world.register_(0, pages, mm::Mode::wp);
    }
    RandomChoice random(1);
    std::vector<std::vector<bool>> armed(spaces, std::vector<bool>(pages, false));
    for (u64 stores = 1; stores <= stores_max; ++stores) {
        const u32 which = random.choose(spaces);
        World& world = machines[which];
        const u32 at = random.choose(pages);
        if (random.choose(snapshot_every) == 0) {
            world.protect(0, pages);
            armed[which].assign(pages, true);
        }
        if (random.choose(migrate_one_in) == 0) {
            world.migrate(random.choose(pages));
        }
        mm::Outcome outcome = world.store(at, static_cast<mm::Contents>(stores));
        if (outcome.verdict == Verdict::done && armed[which][at]) {
            return fmt::format("the first mismatch after {} stores", stores);
        }
        if (outcome.verdict == Verdict::sigbus) {  // the snapshot copies the page
            world.clear(at, 1);
            armed[which][at] = false;
            outcome = world.store(at, static_cast<mm::Contents>(stores));
        }
        if (outcome.verdict != Verdict::done) {
            return "a store that does not end";
        }
    }
    return fmt::format("no mismatch in {} stores", stores_max);
}

}  // namespace verso::claims
