// History: what came of a step, held against what was to be expected (history_expect.cc).
//
//   before ──▶ step ──▶ expect: places take what the call says ──▶ look: the state agrees?
//
// A difference is looked at twice: may_become() knows the calls that are allowed to drop contents
// but need not.
#include "mm/history.h"

#include <algorithm>
#include <bit>

#include <fmt/core.h>

#include "abi/abi.h"
#include "mm/pagemap_scan.h"

namespace verso::mm {
namespace {

std::string where(u8 space, Vpn at) {
    return fmt::format("page {} of address space {}", at, space);
}

bool wants_async(const State& state, const Vma& vma) {
    return vma.context != nobody && vma.context < state.contexts.size() &&
           (state.contexts[vma.context].features & abi::Feature::wp_async) != 0;
}

/// Calls after which other pages may be mapped than before.
bool changes_layout(Op op) {
    return op == Op::mmap || op == Op::munmap || op == Op::mremap || op == Op::fork ||
           op == Op::exit;
}

/// … and those after which a VMA may have left a context.
bool changes_registration(Op op) {
    return changes_layout(op) || op == Op::uffd_register || op == Op::uffd_unregister ||
           op == Op::uffd_close || op == Op::uffd_read;
}

/// Where the thread waits, its context still serves.
bool registered(const State& state, const Thread& thread) {
    for (const Vma& vma : state.spaces[thread.space].vmas) {
        if (thread.access.address >= to_bytes(vma.start) &&
            thread.access.address < to_bytes(vma.end)) {
            return vma.context == thread.context;
        }
    }
    return false;
}

}  // namespace

/// Calls that arm some of their pages, which only the pages themselves can tell: those that a scan
/// selected, and those before the VMA at which WRITEPROTECT stopped (WP-13).
bool History::arms_some(const Step& step, u8 space, Vpn at) {
    const Call& call = step.call;
    if (call.op == Op::pagemap_scan) {
        return step.covers(space, at) && to_bytes(at) < step.outcome.progress &&
               (call.flags & abi::PagemapScanFlag::wp_matching) != 0;
    }
    return call.op == Op::uffd_writeprotect && !step.done() &&
           (call.flags & abi::UffdWpMode::wp) != 0 && to_bytes(at) >= call.address &&
           to_bytes(at) < call.address + call.length;
}

bool History::Step::covers(u8 space_of, Vpn at) const {
    const u64 first = to_pages(call.address);
    const u64 last = to_pages(round_up(call.address + call.length, page_size));
    return space_of == space && at >= first && at < last;
}

History::History(const State& state, const Rules& rules, Oracles watched)
    : space_pages_(state.shape.space_pages), watched_(watched) {
    fit(state);
    const Call none{.op = Op::mmap};
    const Outcome outcome{};
    look({state, rules, none, outcome, nobody});
    for (std::size_t file = 0; file < state.files.size(); ++file) {
        for (u32 index = 0; index < state.files[file].size; ++index) {
            const Held held = look_at(state, static_cast<u8>(file), index);
            past_.files[file * past_.file_pages + index] = {held.value, held.pinned};
        }
    }
}

/// Room for address spaces and files that are new.
void History::fit(const State& state) {
    if (past_.places.size() < state.spaces.size() * space_pages_) {
        past_.places.resize(state.spaces.size() * space_pages_);
    }
    u32 longest = past_.file_pages;
    for (const File& file : state.files) {
        longest = std::max(longest, static_cast<u32>(file.cache.size()));
    }
    if (longest != past_.file_pages) {
        decltype(past_.files) wider(state.files.size() * longest);
        for (std::size_t i = 0; i < past_.files.size(); ++i) {
            wider[i / past_.file_pages * longest + i % past_.file_pages] = past_.files[i];
        }
        past_.files = std::move(wider);
        past_.file_pages = longest;
    } else if (past_.files.size() < state.files.size() * past_.file_pages) {
        past_.files.resize(state.files.size() * past_.file_pages);
    }
}

void History::before(const State& state, const Call& call) {
    pending_ = call.op == Op::retry && call.thread < state.threads.size()
                   ? state.threads[call.thread].access
                   : Access{};
    const auto half = std::ranges::find(state.advising, call.thread, &Advising::thread);
    half_ = {};
    if (call.op == Op::retry && half != state.advising.end()) {
        half_ = *half;
        half_start_ = static_cast<Vpn>(to_pages(pending_.address));
    }
    note_mappings(state, call);
}

std::string History::after(const Machine& machine, const Call& call, const Outcome& outcome) {
    const State& state = machine.state;
    const u8 space = call.thread < state.threads.size() ? state.threads[call.thread].space : nobody;
    const Call acting = what_goes_on(state, call, outcome);
    const Step step{state, machine.rules, acting, outcome, space, &machine};
    std::string broken = check_scan(machine, step);
    if (broken.empty()) {
        fit(state);
        const bool happened = outcome.verdict != Verdict::disabled;
        broken = happened ? expect(step) : std::string();
    }
    if (broken.empty()) {
        broken = look(step);
    }
    if (broken.empty()) {
        broken = look_at_files(step);
    }
    if (broken.empty()) {
        note_waiters(step);
        if (watches(Oracle::progress)) {
            broken = nobody_blocked(state, past_.waiters_moved, past_.given_up);
        }
    }
    pending_ = Access{};
    half_ = {};
    return broken;
}

/// PR-1: whose range went while they waited; and whether a device migration still has a page that
/// it let go of.
void History::note_waiters(const Step& step) {
    const Op op = step.call.op;
    const bool moves = op == Op::mmap || op == Op::munmap || op == Op::mremap;
    for (u8 id = 0; id < step.state.threads.size(); ++id) {
        const Thread& thread = step.state.threads[id];
        if (thread.waiting != Waiting::fault) {
            past_.waiters_moved &= ~(u32{1} << id);
        } else if (moves && !registered(step.state, thread)) {
            meet(Exception::moved_waiter, (past_.waiters_moved >> id & 1) == 0);
            past_.waiters_moved |= u32{1} << id;
        }
    }
    past_.given_up = past_.given_up && !nobody_blocked(step.state, ~u32{0}, false).empty();
}

/// Every page, against what it was to be. Pages that lie in no VMA any more are forgotten.
std::string History::look(const Step& step) {
    const State& state = step.state;
    for (u8 space = 0; space < state.spaces.size(); ++space) {
        Vpn reached = 0;
        for (const Vma& vma : state.spaces[space].vmas) {
            forget(space, reached, vma.start);
            for (Vpn at = vma.start; at < vma.end; ++at) {
                if (std::string broken = look_at_place(step, space, vma, at); !broken.empty()) {
                    return broken;
                }
            }
            reached = vma.end;
        }
        forget(space, reached, space_pages_);
    }
    return {};
}

void History::forget(u8 space, Vpn first, Vpn last) {
    for (Vpn at = first; at < last; ++at) {
        if (Place& one = place(space, at); one.mapped) {
            one = Place{};
        }
    }
}

/// Calls after which a load may find nothing any more: SIGBUS, SIGSEGV.
bool History::may_vanish(const Step& step) const {
    const Op op = step.call.op;
    return op == Op::madvise || op == Op::uffd_poison ||  // a guard, a poisoned page
           op == Op::ftruncate || op == Op::memory_failure || op == Op::swap_slot_fails ||
           op == Op::swapoff;
}

bool History::may_become(const Step& step, u8 space, Vpn at, const Place& was,
                         const Seen& now) const {
    const Call& call = step.call;
    if (was.lazy && !now.held && now.value == zeroes) {  // E-SW6
        return true;
    }
    if (call.op == Op::gup_unpin) {  // FG-6: the page that the device had, wherever it is seen
        return (call.flags & 1) != 0 && was.pinned && now.value == call.value;
    }
    // A hole in a hugetlb file takes private copies along (seen on 6.18).
    const bool hugetlb = was.file != nobody && step.state.files[was.file].kind == FileKind::hugetlb;
    if (call.op == Op::punch_hole) {
        return hugetlb && was.own && now.value == zeroes;
    }
    if (call.op != Op::madvise) {
        return false;
    }
    const auto advice = static_cast<Advice>(call.flags);
    const bool drops = advice == Advice::dontneed || advice == Advice::free;
    if (drops && step.covers(space, at) && !was.shared) {  // E-ZP1, E-ZP5, E-SW5
        return !now.held && (was.file != nobody || now.value == zeroes);
    }
    return advice == Advice::remove && (!was.own || hugetlb) && now.value == zeroes;  // E-ZP10
}

/// What a load would bring now, against what it would have brought and what the call did.
std::string History::compare(const Step& step, u8 space, const Vma& vma, Vpn at, const Seen& seen) {
    Place& one = place(space, at);
    const Op op = step.call.op;
    if (!one.mapped) {  // new
        if (!changes_layout(op) && watches(Oracle::contents)) {
            return fmt::format("contents: {} is mapped by {}", where(space, at), to_string(op));
        }
        one = Place{};
        one.changed = !empty_is_protected(step.rules, vma);
        one.armed = !one.changed && !wants_async(step.state, vma);
    } else if (one.readable && !seen.readable) {
        if (!may_vanish(step) && watches(Oracle::contents)) {
            return fmt::format("contents: {} cannot be read after {}; it held {}", where(space, at),
                               to_string(op), one.value);
        }
    } else if (one.readable && one.value != seen.value) {
        if (!may_become(step, space, at, one, seen) && watches(Oracle::contents)) {
            return fmt::format("contents: {} reads {} after {}; it held {}", where(space, at),
                               seen.value, to_string(op), one.value);
        }
        meet(Exception::through_pin, op == Op::gup_unpin && (one.armed || !one.changed));
        const bool hole = step.call.flags == static_cast<u32>(Advice::remove);  // E-ZP12
        const bool other_route = op == Op::gup_unpin || !step.covers(space, at) || hole;
        one.changed = one.changed || !other_route;
    }
    return {};
}

/// I9 and I10.
std::string History::check_protection(const Step& step, u8 space, const Vma& vma, Vpn at,
                                      const Seen& seen) {
    Place& one = place(space, at);
    const Op op = step.call.op;
    const bool dropped = one.lazy && one.held && !seen.held;
    // E-ZP1, E-GR2: protection of anonymous memory ends with what it protected.
    const bool zapped = op == Op::madvise && step.covers(space, at) &&
                        step.call.flags == static_cast<u32>(Advice::dontneed);
    const bool gone = zapped && vma.file == nobody && !seen.held && !seen.clean;
    const bool protects = (vma.flags & VmFlag::uffd_wp) != 0 && vma.context != nobody;
    const bool async = protects && wants_async(step.state, vma);
    one.armed = one.armed && !dropped && !seen.special && !gone;
    one.changed = one.changed || dropped || seen.special || !async;
    one.changed = one.changed && !(seen.clean && async && arms_some(step, space, at));
    one.lazy = one.lazy && seen.held;
    if (one.armed && (!protects || async)) {
        if (!changes_registration(op) && watches(Oracle::sync)) {
            return fmt::format("I9: {} is protected no longer after {}", where(space, at),
                               to_string(op));
        }
        one.armed = false;
    }
    if (async && seen.clean && one.changed && watches(Oracle::async)) {
        return fmt::format("I10: {} is called clean after {}, and has changed since it was armed",
                           where(space, at), to_string(op));
    }
    return {};
}

/// E-SD8.
std::string History::check_soft_dirty(const Step& step, u8 space, const Vma& vma, Vpn at,
                                      const Seen& seen) {
    Place& one = place(space, at);
    const Op op = step.call.op;
    if (!one.stored) {
        return {};
    }
    const bool collapses =
        op == Op::thp_collapse || (op == Op::madvise && step.covers(space, at) &&
                                   step.call.flags == static_cast<u32>(Advice::collapse));
    const bool hugetlb = vma.file != nobody && step.state.files[vma.file].kind == FileKind::hugetlb;
    const bool gone = !seen.held || (collapses && !seen.own);
    meet(Exception::entry_gone, gone && !hugetlb);
    one.stored = !gone && !hugetlb;
    if (one.stored && !seen.soft_dirty && step.rules.softdirty_configured &&
        watches(Oracle::soft_dirty)) {
        return fmt::format("E-SD8: {} is called clean after {}, and was stored to",
                           where(space, at), to_string(op));
    }
    return {};
}

std::string History::look_at_place(const Step& step, u8 space, const Vma& vma, Vpn at) {
    const Seen seen = look_at(step.state, step.rules, space, vma, at);
    std::string broken = compare(step, space, vma, at, seen);
    if (broken.empty()) {
        broken = check_protection(step, space, vma, at, seen);
    }
    if (broken.empty()) {
        broken = check_soft_dirty(step, space, vma, at, seen);
    }
    Place& one = place(space, at);
    one.value = seen.value;
    one.index = vma.file == nobody ? 0 : at - vma.start + vma.offset;
    one.file = vma.file;
    one.mapped = true;
    one.readable = seen.readable;
    one.own = seen.own;
    one.held = seen.held;
    one.special = seen.special;
    one.pinned = seen.pinned;
    one.shared = (vma.flags & VmFlag::shared) != 0;
    one.returns_writable = seen.returns_writable;
    return broken;
}

std::string History::look_at_files(const Step& step) {
    const State& state = step.state;
    const Call& call = step.call;
    const Op op = call.op;
    for (std::size_t file = 0; file < state.files.size(); ++file) {
        for (u32 index = 0; index < state.files[file].size; ++index) {
            FilePlace& one = past_.files[file * past_.file_pages + index];
            const Held held = look_at(state, static_cast<u8>(file), index);
            const bool by_device = op == Op::gup_unpin && (call.flags & 1) != 0 && one.pinned &&
                                   held.value == call.value;
            const bool removed = op == Op::madvise && held.value == zeroes &&
                                 call.flags == static_cast<u32>(Advice::remove);
            if (held.readable && held.value != one.value && !by_device && !removed &&
                watches(Oracle::contents)) {
                return fmt::format("contents: page {} of file {} holds {} after {}; it held {}",
                                   index, file, held.value, to_string(op), one.value);
            }
            one.value = held.readable ? held.value : one.value;
            one.pinned = held.pinned;
        }
    }
    return {};
}

/// What is reported as WRITTEN, or not, before anything is armed: section 9.4. One state decides,
/// but only the report shows whether it was read right.
std::string History::check_scan(const Machine& machine, const Step& step) const {
    const ScanArg arg = to_scan_arg(step.call);
    if (!watches(Oracle::scan) || step.call.op != Op::pagemap_scan || !step.done() ||
        (arg.return_mask & abi::PageIs::written) == 0 ||
        (arg.flags & abi::PagemapScanFlag::wp_matching) != 0) {
        return {};
    }
    for (const Machine::Region& region : machine.scanned) {
        for (u64 at = to_pages(region.start); at < to_pages(region.end); ++at) {
            const Vpn page = static_cast<Vpn>(at);
            for (const Vma& vma : step.state.spaces[step.space].vmas) {
                const bool here = page >= vma.start && page < vma.end;
                if (!here || !wants_async(step.state, vma) || (vma.flags & VmFlag::uffd_wp) == 0) {
                    continue;
                }
                const Seen seen = look_at(step.state, step.rules, step.space, vma, page);
                if (seen.clean == ((region.categories & abi::PageIs::written) != 0)) {
                    return fmt::format("SC: {} is reported {}, and is not", where(step.space, page),
                                       seen.clean ? "written" : "clean");
                }
            }
        }
    }
    return {};
}

u64 History::hash() const {
    u64 state = 0xcbf29ce484222325;
    const auto add = [&](u64 value) { state = std::rotl(state ^ value, 29) * 0x9e3779b97f4a7c15; };
    for (const Place& one : past_.places) {
        add(one.value | u64{one.armed} << 32 | u64{one.changed} << 33 | u64{one.stored} << 34 |
            u64{one.lazy} << 35 | u64{one.mapped} << 36);
    }
    for (const FilePlace& one : past_.files) {
        add(one.value);
    }
    add(past_.waiters_moved | u64{past_.given_up} << 32);
    return state ^ (state >> 31);
}

}  // namespace verso::mm
