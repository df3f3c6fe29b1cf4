// The alphabet as a table. To add an act: a row; acts_of() lays it over threads and pages.
#include "check/explore/acts.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "abi/abi.h"
#include "kernel/call.h"
#include "kernel/world.h"
#include "mm/pagemap_scan.h"

namespace verso::check::explore {
namespace {

using kernel::Trigger;
using mm::Advice;
using mm::Call;
using mm::Op;

enum class Where : u8 { page, range, whole, nowhere, there };  // there: all of the second area
/// What a scope must have for the act to make sense. named: it is one of its `calls`.
enum class Needs : u8 { nothing, process, area, fine, coarse, thp, messages, named };

struct Row {
    std::string_view name;
    Where where;
    bool by_kernel;
    Needs needs;
    Op op;
    u32 flags;
    Verb verb;
    u64 mode;
    Op then = Op::load;  // a second call, if it is not this
    bool notation = true;
};

constexpr u32 second_area = 2;  // page where it begins

constexpr Row access(std::string_view name, Op op, Verb verb) {
    return {name, Where::page, false, Needs::nothing, op, 0, verb, 0};
}
constexpr Row call(std::string_view name, Where where, Op op, u32 flags, Verb verb, u64 mode) {
    return {name, where, false, Needs::nothing, op, flags, verb, mode};
}
constexpr Row advice(std::string_view name, Advice model, kernel::Advice seam,
                     Needs needs = Needs::nothing) {
    return {name,         Where::range,          false, needs, Op::madvise, static_cast<u32>(model),
            Verb::advise, static_cast<u64>(seam)};
}
constexpr Row trigger(std::string_view name, Op op, Trigger which, Needs needs = Needs::nothing) {
    return {name, Where::page, true, needs, op, 0, Verb::provoke, static_cast<u64>(which)};
}
constexpr Row twice(std::string_view name, Op op, Op then, Trigger which) {
    return {name, Where::page, true, Needs::coarse, op, 0, Verb::provoke, static_cast<u64>(which),
            then};
}
/// A step that no program can make happen alone.
constexpr Row inside(std::string_view name, Op op, u32 flags = 0, Needs needs = Needs::fine) {
    return {name, Where::page, true, needs, op, flags, Verb::load, 0, Op::load, false};
}
constexpr Row with(Row row, Needs needs) {
    row.needs = needs;
    return row;
}

constexpr u32 read = mm::MapFlags::read;
constexpr u32 write = mm::MapFlags::write;

constexpr auto rows = std::to_array<Row>({
    access("store", Op::store, Verb::store),
    access("load", Op::load, Verb::load),
    call("REGISTER(WP)", Where::whole, Op::uffd_register, 2, Verb::register_, 2),
    call("WRITEPROTECT", Where::range, Op::uffd_writeprotect, 1, Verb::write_protect, 1),
    call("clear", Where::range, Op::uffd_writeprotect, 0, Verb::write_protect, 0),
    twice("migrate", Op::migrate_begin, Op::migrate_end, Trigger::migrate),
    inside("migration begins", Op::migrate_begin),
    inside("migration ends", Op::migrate_end),
    inside("migration fails", Op::migrate_fail),
    trigger("hint", Op::numa_scan, Trigger::numa_hint),
    trigger("reclaim", Op::reclaim, Trigger::reclaim),
    {"swapoff", Where::nowhere, true, Needs::nothing, Op::swapoff, 0, Verb::provoke,
     static_cast<u64>(Trigger::swap_off)},
    call("mprotect(READ)", Where::range, Op::mprotect, read, Verb::protect, read),
    call("mprotect(READ|WRITE)", Where::range, Op::mprotect, read | write, Verb::protect,
         read | write),
    call("UNREGISTER", Where::whole, Op::uffd_unregister, 0, Verb::unregister, 0),
    call("REGISTER(MISSING|WP)", Where::whole, Op::uffd_register, 3, Verb::register_, 3),
    call("COPY(WP)", Where::page, Op::uffd_copy, 2, Verb::copy, kernel::FillFlag::write_protect),
    call("COPY", Where::page, Op::uffd_copy, 0, Verb::copy, 0),
    advice("DONTNEED", Advice::dontneed, kernel::Advice::drop),
    call("clear_refs", Where::nowhere, Op::clear_refs, 0, Verb::clear_refs, 0),
    call("scan", Where::whole, Op::pagemap_scan, 0, Verb::scan, 0),
    call("scan(WRITTEN)", Where::whole, Op::pagemap_scan, 0, Verb::scan, abi::PageIs::written),
    call("arm", Where::range, Op::pagemap_scan, 3, Verb::arm, 0),
    call("close", Where::nowhere, Op::uffd_close, 0, Verb::close, 0),
    access("write", Op::gup_write, Verb::write),
    access("read", Op::gup_read, Verb::read),
    access("pin", Op::gup_pin, Verb::pin),
    access("unpin", Op::gup_unpin, Verb::unpin),
    {"device writes, unpin", Where::page, false, Needs::nothing, Op::gup_unpin, 1, Verb::unpin, 0,
     Op::load, false},
    call("ZEROPAGE", Where::page, Op::uffd_zeropage, 0, Verb::zeropage, 0),
    call("REGISTER(MINOR|WP)", Where::whole, Op::uffd_register, 6, Verb::register_, 6),
    call("CONTINUE", Where::page, Op::uffd_continue, 0, Verb::continue_, 0),
    call("CONTINUE(WP)", Where::page, Op::uffd_continue, 2, Verb::continue_,
         kernel::FillFlag::write_protect),
    call("REGISTER(MISSING)", Where::whole, Op::uffd_register, 1, Verb::register_, 1),
    call("arm(FILE|BLIND)", Where::range, Op::pagemap_scan, 3, Verb::arm,
         abi::PageIs::file | ScanMode::blind),
    with(call("REGISTER(MINOR)", Where::whole, Op::uffd_register, 4, Verb::register_, 4),
         Needs::named),
    with(call("REGISTER(WP) of a page", Where::page, Op::uffd_register, 2, Verb::register_, 2),
         Needs::named),
    with(call("REGISTER(WP) there", Where::there, Op::uffd_register, 2, Verb::register_, 2),
         Needs::named),
    with(call("WRITEPROTECT there", Where::there, Op::uffd_writeprotect, 1, Verb::write_protect, 1),
         Needs::named),
    {"reclaim there", Where::there, true, Needs::named, Op::reclaim, 0, Verb::provoke,
     static_cast<u64>(Trigger::reclaim)},
    with(call("mremap of a page", Where::page, Op::mremap, 3, Verb::remap, 0), Needs::named),
    call("POISON", Where::page, Op::uffd_poison, 0, Verb::poison, 0),
    call("mprotect(NONE)", Where::range, Op::mprotect, 0, Verb::protect, 0),
    advice("FREE", Advice::free, kernel::Advice::free),
    advice("REMOVE", Advice::remove, kernel::Advice::remove),
    advice("GUARD_INSTALL", Advice::guard_install, kernel::Advice::guard_install),
    advice("GUARD_REMOVE", Advice::guard_remove, kernel::Advice::guard_remove),
    advice("POPULATE_READ", Advice::populate_read, kernel::Advice::populate_read),
    advice("POPULATE_WRITE", Advice::populate_write, kernel::Advice::make_writable),
    twice("writeback", Op::writeback_begin, Op::writeback_end, Trigger::write_back),
    inside("writeback begins", Op::writeback_begin),
    inside("writeback ends", Op::writeback_end),
    advice("MERGEABLE", Advice::mergeable, kernel::Advice::mergeable),
    advice("UNMERGEABLE", Advice::unmergeable, kernel::Advice::unmergeable),
    {"merge", Where::whole, true, Needs::nothing, Op::ksm_merge, 0, Verb::provoke,
     static_cast<u64>(Trigger::ksm_merge)},
    trigger("unmerge", Op::ksm_unmerge, Trigger::ksm_unmerge),
    call("punch", Where::range, Op::punch_hole, 0, Verb::punch, 0),
    call("truncate", Where::page, Op::ftruncate, 0, Verb::truncate, 0),
    advice("HUGEPAGE", Advice::hugepage, kernel::Advice::huge_page, Needs::thp),
    advice("COLLAPSE", Advice::collapse, kernel::Advice::collapse, Needs::thp),
    {"split", Where::whole, true, Needs::thp, Op::thp_split, 0, Verb::provoke,
     static_cast<u64>(Trigger::thp_split)},
    {"collapse", Where::whole, true, Needs::thp, Op::thp_collapse, 0, Verb::provoke,
     static_cast<u64>(Trigger::thp_collapse)},
    with(call("map", Where::whole, Op::mmap, read | write | mm::MapFlags::fixed, Verb::map, 0),
         Needs::area),
    call("munmap", Where::range, Op::munmap, 0, Verb::unmap, 0),
    with(call("mremap", Where::whole, Op::mremap, 3, Verb::remap, 0), Needs::area),
    with(call("mremap(DONTUNMAP)", Where::whole, Op::mremap, 7, Verb::remap,
              kernel::RemapFlag::dontunmap),
         Needs::area),
    with(call("MOVE", Where::page, Op::uffd_move, 0, Verb::move, 0), Needs::area),
    with(call("fork", Where::nowhere, Op::fork, 0, Verb::fork, 0), Needs::process),
    with(call("exit", Where::nowhere, Op::exit, 0, Verb::exit, 0), Needs::process),
    with(call("messages", Where::nowhere, Op::uffd_read, 0, Verb::load, 0), Needs::messages),
    with(call("goes on", Where::nowhere, Op::retry, 0, Verb::load, 0), Needs::messages),
    with(call("WAKE", Where::whole, Op::uffd_wake, 0, Verb::wake, 0), Needs::messages),
    inside("memory fails", Op::memory_failure, 0, Needs::fine),
    inside("swap slot fails", Op::swap_slot_fails, 0, Needs::fine),
});

bool is_in(const Scope& scope, const Row& row) {
    const bool messages = std::ranges::find(scope.modes, Mode::messages) != scope.modes.end();
    const auto names = [&](const std::vector<std::string>& words) {
        return std::ranges::any_of(words,
                                   [&](const std::string& one) { return means(one, row.name); });
    };
    bool sensible = true;
    switch (row.needs) {
        case Needs::nothing: break;
        case Needs::process: sensible = scope.processes > 1; break;
        case Needs::area: sensible = scope.areas > 1; break;
        case Needs::fine: sensible = scope.fine; break;
        case Needs::coarse: sensible = !scope.fine; break;
        case Needs::thp: sensible = scope.thp; break;
        case Needs::named:
            sensible = std::ranges::find(scope.calls, row.name) != scope.calls.end();
            break;
        case Needs::messages: sensible = messages || (scope.fine && row.op == Op::retry); break;
    }
    return sensible && (scope.calls.empty() || names(scope.calls)) && !names(scope.without);
}

bool takes_value(Op op) {
    return op == Op::gup_unpin || op == Op::store || op == Op::gup_write || op == Op::uffd_copy;
}

/// Which pages each instance of a row takes.
std::vector<Place> places_of(const Scope& scope, const Row& row) {
    std::vector<Place> places;
    if (row.where == Where::nowhere || row.where == Where::whole || row.where == Where::range) {
        places.push_back({0, takes_one_page(row.verb) ? 1U : 0U, false});
    }
    const bool each = row.where == Where::page || (row.where == Where::range && scope.pages > 1);
    for (u32 page = 0; each && page < scope.pages; ++page) {
        const bool one = takes_one_page(row.verb) || scope.pages > 1;
        places.push_back({page, one ? 1U : 0U, false});
    }
    if (row.where == Where::page && row.verb == Verb::truncate) {  // to the end, always
        for (Place& one : places) {
            one.count = 0;
        }
    }
    if (row.name == "map" || row.where == Where::there) {
        places = {{0, 0, true}};
    }
    if (scope.areas > 1 && row.where == Where::page && !row.by_kernel && row.op <= Op::store) {
        for (u32 page = 0; page < scope.pages; ++page) {
            places.push_back({page, 1, true});
        }
    }
    return places;
}

Call scan_call(const Call& range, u32 flags, u64 mask) {
    mm::ScanArg arg;
    arg.flags = flags;
    arg.start = range.address;
    arg.end = range.address + range.length;
    arg.vec_len = (mask & ScanMode::blind) != 0 ? 0 : 16;
    arg.category_mask = mask & ScanMode::categories;
    arg.category_mask |= flags == 0 ? 0 : abi::PageIs::written;
    arg.return_mask = abi::PageIs::written;
    return mm::to_call(arg, range.thread);
}

Call call_of(const Scope& scope, const Row& row, const Place& place, u8 thread, u32 value) {
    Call made{.op = row.op, .thread = thread, .flags = row.flags};
    const u32 count = place.count != 0 ? place.count : scope.pages - place.first;
    made.address = to_bytes((place.second ? second_area : 0) + place.first);
    made.length = to_bytes(count);
    made.fd = row.op == Op::mmap ? mm::nobody : u8{0};
    made.value = value;
    if (row.op == Op::mremap) {
        made.source = to_bytes(second_area + place.first);
        made.extra = made.length;
    } else if (row.op == Op::uffd_move) {
        made.source = to_bytes(second_area + place.first);
    } else if (row.op == Op::pagemap_scan) {
        made = scan_call(made, row.flags, row.mode);
    } else if (row.op == Op::ksm_merge) {
        made.source = page_size;  // pages 0 and 1
    } else if (row.op == Op::uffd_read) {
        made.length = 0;
    } else if (row.op == Op::ftruncate) {
        made.length = made.address;
    }
    return made;
}

std::string prefix_of(const Scope& scope, u8 thread) {
    if (thread == 0) {
        return {};
    }
    return thread < scope.threads ? fmt::format("t{} ", thread) : std::string("child ");
}

Act act_of(const Scope& scope, const Row& row, const Place& place, u8 thread, u32 value) {
    Act act;
    act.row = static_cast<u16>(&row - rows.data());
    act.value = value;
    act.by_kernel = row.by_kernel;
    act.notation = row.notation && (thread == 0 || thread >= scope.threads);
    act.thread = thread;
    act.page = place.first;
    act.step.verb = row.verb;
    act.step.mode = row.mode;
    act.step.at = place;
    act.step.child = thread >= scope.threads;
    act.step.value = scope.values > 1 && takes_value(row.op) ? value : 0;
    act.calls.push_back(call_of(scope, row, place, thread, value));
    if (row.then != Op::load) {
        act.calls.push_back(act.calls.front());
        act.calls.back().op = row.then;
    }
    const bool said = row.notation && row.needs != Needs::messages;
    act.name = prefix_of(scope, thread);
    if (said) {
        Step plain = act.step;
        plain.child = false;
        act.name += check::to_text(plain);
    } else {
        act.name += row.where == Where::page ? fmt::format("{}@{}", row.name, place.first)
                                             : std::string(row.name);
    }
    act.notation = act.notation && said;
    return act;
}

/// One row for one thread: at every place, with every value, through every descriptor.
void add_acts(const Scope& scope, const Row& row, u8 thread, std::vector<Act>& acts) {
    const bool by_descriptor = row.op == Op::uffd_register || row.op == Op::uffd_unregister ||
                               row.op == Op::uffd_close || row.op == Op::uffd_writeprotect ||
                               row.op == Op::uffd_copy;
    const u32 descriptors = by_descriptor ? scope.descriptors : 1;
    const u32 values = takes_value(row.op) ? scope.values : 1;
    for (const Place& place : places_of(scope, row)) {
        for (u32 value = 1; value <= values; ++value) {
            acts.push_back(act_of(scope, row, place, thread, value));
            for (u32 fd = 1; fd < descriptors; ++fd) {
                acts.push_back(acts.back());
                Act& other = acts.back();
                other.step.other = true;
                other.calls.front().fd = static_cast<u8>(fd);
                other.name = prefix_of(scope, thread) + check::to_text(other.step);
            }
        }
    }
}

}  // namespace

bool means(std::string_view word, std::string_view act_name) {
    return word == act_name ||
           (act_name.starts_with(word) && act_name.substr(word.size()).starts_with("("));
}

std::vector<std::string> words_of_acts() {
    std::vector<std::string> words;
    words.reserve(std::size(rows));
    for (const Row& row : rows) {
        words.emplace_back(row.name);
    }
    return words;
}

std::vector<Act> acts_of(const Scope& scope) {
    const u32 threads = scope.threads + scope.processes - 1;
    std::vector<Act> acts;
    for (const Row& row : rows) {
        if (!is_in(scope, row)) {
            continue;
        }
        for (u8 thread = 0; thread < threads; ++thread) {
            if (row.op == Op::fork && thread >= scope.threads) {
                continue;  // a child of the first process only
            }
            if (row.op == Op::exit && thread < scope.threads) {
                continue;
            }
            add_acts(scope, row, thread, acts);
        }
    }
    return acts;
}

std::string name_of(const Beginning& beginning) {
    return fmt::format("{}, {}", check::name_of(beginning.kind), name_of(beginning.mode));
}

}  // namespace verso::check::explore
