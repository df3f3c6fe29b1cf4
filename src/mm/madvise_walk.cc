// madvise: the walk over the mappings of a range, and its second half where a REMOVE event had to
// be read in between (E-ZP14). mm/madvise.c, madvise_walk_vmas(). As of 6.18.
//
//   mapping  ├── A ──┤ hole ├──────── B ────────┤
//   range        ├──────────────────────────┤        A's part, then B's; ENOMEM at the end
//   events       REMOVE ─read─▶ A's part goes, REMOVE ─read─▶ B's part goes
//
// Mappings are taken in order; a hole is reported at the end, an error at once. The lock of the
// address space is not held while the event waits for its reader, so that all may be otherwise when
// the call goes on.
#include "mm/madvise.h"

#include <algorithm>
#include <cerrno>

namespace verso::mm {
namespace {

struct Walk {
    u8 thread;
    Advice advice;
    Vpn reached;
    Vpn end;
    bool hole;
};

/// madvise_behavior_valid(): before anything else is looked at.
bool advice_exists(const Rules& rules, u32 advice) {
    if (advice > static_cast<u32>(Advice::guard_remove)) {
        return false;
    }
    const auto which = static_cast<Advice>(advice);
    if (which == Advice::populate_read || which == Advice::populate_write) {
        return rules.has_populate;
    }
    if (which == Advice::guard_install || which == Advice::guard_remove) {
        return rules.has_guard_anon;
    }
    return which != Advice::collapse || rules.has_collapse;
}

auto find_rest(State& state, u8 thread) {
    return std::ranges::find(state.advising, thread, &Advising::thread);
}

Outcome madvise_walk_vmas(Machine& machine, Walk walk) {
    State& state = machine.state;
    const u8 space = state.threads[walk.thread].space;
    const bool populate =
        walk.advice >= Advice::populate_read && walk.advice <= Advice::populate_write;
    Outcome result = Outcome::ok();
    for (const Vma& vma : vmas_between(state, space, walk.reached, walk.end)) {
        walk.hole = walk.hole || vma.start > walk.reached;
        if (walk.hole && populate) {
            return Outcome::fail(ENOMEM);
        }
        const AdvisedPart part{walk.thread, space, vma, std::max(walk.reached, vma.start),
                               std::min(walk.end, vma.end)};
        walk.reached = part.end;
        result = madvise_vma(machine, part, walk.advice);
        if (result.verdict != Verdict::done) {
            break;
        }
    }
    merge_vmas(machine, space);
    if (result.verdict == Verdict::blocked) {
        if (const auto rest = find_rest(state, walk.thread); rest != state.advising.end()) {
            rest->hole = walk.hole;
            rest->end = walk.end;
        }
    }
    if (result.verdict != Verdict::done) {
        return result;
    }
    return walk.hole || walk.reached < walk.end ? Outcome::fail(ENOMEM) : Outcome::ok();
}

}  // namespace

/// flags: the Advice.
Outcome do_madvise(Machine& machine, const Call& call) {
    const State& state = machine.state;
    const u64 length = round_up(call.length, page_size);
    if (!advice_exists(machine.rules, call.flags) || !is_page_aligned(call.address) ||
        length < call.length || call.address + length < call.address) {
        return Outcome::fail(EINVAL);
    }
    const u64 limit = state.shape.space_pages;
    const u64 wanted_end = to_pages(call.address + length);
    return madvise_walk_vmas(machine,
                             {call.thread, static_cast<Advice>(call.flags),
                              static_cast<Vpn>(std::min(to_pages(call.address), limit)),
                              static_cast<Vpn>(std::min(wanted_end, limit)), wanted_end > limit});
}

Outcome madvise_goes_on(Machine& machine, u8 thread) {
    State& state = machine.state;
    const Advising rest = *find_rest(state, thread);
    Thread& self = state.threads[thread];
    const Vpn start = static_cast<Vpn>(to_pages(self.access.address));
    Vpn reached = start;
    const Outcome dropped = drop_announced(machine, rest, start, reached);
    if (dropped.verdict == Verdict::disabled) {
        return dropped;
    }
    erase_if(state.advising, [&](const Advising& one) { return one.thread == thread; });
    self.waiting = Waiting::no;
    self.access = Access{};
    if (dropped.verdict != Verdict::done) {
        return dropped;
    }
    if (reached >= rest.end) {
        return rest.hole ? Outcome::fail(ENOMEM) : Outcome::ok();
    }
    // Where the mapping ends by now (seen on 6.18; what releases before did is not known).
    return madvise_walk_vmas(
        machine, {thread, static_cast<Advice>(rest.advice), reached, rest.end, rest.hole});
}

}  // namespace verso::mm
