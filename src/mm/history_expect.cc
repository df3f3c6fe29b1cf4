// History: what a call is to bring about. Only what must come about is written down here; what a
// call may do and need not (may_become()) is asked when a difference is seen.
#include <algorithm>

#include <fmt/core.h>

#include "abi/abi.h"
#include "mm/history.h"

namespace verso::mm {
namespace {

/// The accesses, in the order of Op::load … Op::gup_pin.
constexpr AccessKind kinds[] = {AccessKind::load,        AccessKind::store,
                                AccessKind::gup_read,    AccessKind::gup_write,
                                AccessKind::gup_unshare, AccessKind::gup_pin};

Access access_of(const Call& call) {
    Access access;
    access.kind = kinds[static_cast<unsigned>(call.op) - static_cast<unsigned>(Op::load)];
    access.address = call.address;
    access.value = call.value;
    return access;
}

bool writes(AccessKind kind) {
    return kind == AccessKind::store || kind == AccessKind::gup_write ||
           kind == AccessKind::gup_pin || kind == AccessKind::populate_write;
}

/// The address space that an ioctl of this descriptor works on.
u8 space_of(const State& state, u8 context) {
    return context < state.contexts.size() ? state.contexts[context].space : nobody;
}

u32 features_of(const State& state, u8 context) {
    return context < state.contexts.size() ? state.contexts[context].features : 0;
}

/// W-1, W-2, W-11: does protecting this page mean anything?
bool protectable(const Rules& rules, const Place& one, u32 features) {
    if (one.special) {
        return false;
    }
    const bool file = one.file != nobody;
    const NonePolicy policy = file ? rules.none_policy_file : rules.none_policy_anon;
    const bool empty_too = policy != NonePolicy::unprotected;
    return one.held || (empty_too && (file || (features & abi::Feature::wp_unpopulated) != 0));
}

}  // namespace

/// A madvise() that goes on is judged as the call that it is the rest of; one that sleeps until its
/// event is read, as far as it came.
Call History::what_goes_on(const State& state, const Call& call, const Outcome& outcome) const {
    Call acting = call;
    if (half_.thread != nobody) {
        acting = {.op = Op::madvise, .thread = call.thread, .flags = half_.advice};
        acting.address = to_bytes(half_start_);
        acting.length = to_bytes(half_.end - half_start_);
    }
    const auto half = std::ranges::find(state.advising, call.thread, &Advising::thread);
    if (acting.op == Op::madvise && outcome.verdict == Verdict::blocked &&
        half != state.advising.end()) {
        acting.length = state.threads[call.thread].access.address - acting.address;
    }
    return acting;
}

std::string History::expect(const Step& step) {
    const Op op = step.call.op;
    if (op >= Op::load && op <= Op::gup_pin) {
        return expect_access(step, access_of(step.call));
    }
    if (op == Op::retry) {
        return expect_access(step, pending_);
    }
    if (op == Op::madvise) {
        expect_advice(step);
        return expect_populate(step);
    }
    if (op == Op::swapoff && step.outcome.verdict == Verdict::blocked &&
        watches(Oracle::progress)) {
        return "progress: swapoff looks for the entries of a slot for ever";
    }
    for (const auto& [of, expectation] : {std::pair{Op::uffd_copy, &History::expect_fill},
                                          {Op::uffd_zeropage, &History::expect_fill},
                                          {Op::uffd_continue, &History::expect_fill},
                                          {Op::uffd_move, &History::expect_move},
                                          {Op::uffd_writeprotect, &History::expect_protect},
                                          {Op::uffd_register, &History::expect_register},
                                          {Op::mmap, &History::expect_mmap},
                                          {Op::mremap, &History::expect_mremap},
                                          {Op::fork, &History::expect_fork},
                                          {Op::punch_hole, &History::expect_punch},
                                          {Op::ftruncate, &History::expect_truncate},
                                          {Op::clear_refs, &History::expect_clear_refs}}) {
        if (of == op) {
            (this->*expectation)(step);
        }
    }
    past_.given_up = past_.given_up || (op == Op::device_unmap && step.outcome.value == 0);
    return {};
}

/// Nothing is known of what is mapped anew.
void History::expect_mmap(const Step& step) {
    if (step.done()) {
        const u64 first = to_pages(static_cast<u64>(step.outcome.value));
        const u64 last = first + to_pages(round_up(step.call.length, page_size));
        const u64 unit = step.state.shape.huge_pages;  // hugetlb rounds up
        const bool huge =
            step.call.fd != nobody && step.state.files[step.call.fd].kind == FileKind::hugetlb;
        forget(step.space, static_cast<Vpn>(first),
               static_cast<Vpn>(huge ? round_up(last, unit) : last));
    }
}

void History::expect_punch(const Step& step) {
    if (step.done()) {
        expect_hole(step.call.fd, static_cast<u32>(to_pages(step.call.address)),
                    static_cast<u32>(to_pages(step.call.length)));
    }
}

/// What lies beyond the end is zeroes if it ever comes back.
void History::expect_truncate(const Step& step) {
    if (step.done()) {
        const u32 end = static_cast<u32>(to_pages(round_up(step.call.length, page_size)));
        for (u32 index = end; index < past_.file_pages; ++index) {
            past_.files[step.call.fd * past_.file_pages + index].value = zeroes;
        }
    }
}

void History::expect_clear_refs(const Step& step) {
    for (Vpn at = 0; at < space_pages_; ++at) {
        Place& one = place(step.space, at);
        one.stored = false;
        one.blind = one.returns_writable || (one.pinned && one.own);
    }
}

/// I9, and what a load brings.
std::string History::expect_access(const Step& step, const Access& access) {
    if (!step.done() || step.space == nobody) {
        return {};
    }
    const Vpn at = static_cast<Vpn>(to_pages(access.address));
    Place& one = place(step.space, at);
    if (!one.mapped && !watches(Oracle::contents)) {
        return {};
    }
    if (!one.mapped) {
        return fmt::format("contents: an access to page {} got through, where nothing is mapped",
                           at);
    }
    if (writes(access.kind) && one.armed && watches(Oracle::sync)) {
        return fmt::format(
            "I9: a write to page {} of address space {} got through, though it is "
            "protected",
            at, step.space);
    }
    if (access.kind == AccessKind::store || access.kind == AccessKind::gup_write) {
        one.changed = true;
        meet(Exception::blind_store, one.blind);
        one.stored = !one.blind;
        one.lazy = false;
        expect_write(step.space, at, step.machine->written(one.value, access.value));
        return {};
    }
    one.changed = one.changed || access.kind == AccessKind::gup_pin;  // a device may write
    const bool populates =
        access.kind == AccessKind::populate_read || access.kind == AccessKind::populate_write;
    if (!populates && watches(Oracle::contents) && one.readable &&
        step.outcome.value != static_cast<i64>(one.value)) {
        return fmt::format("contents: page {} of address space {} gave {} to a load; it held {}",
                           at, step.space, step.outcome.value, one.value);
    }
    return {};
}

/// I9 for MADV_POPULATE_WRITE (FG-3).
std::string History::expect_populate(const Step& step) {
    if (!watches(Oracle::sync) || !step.done() ||
        step.call.flags != static_cast<u32>(Advice::populate_write)) {
        return {};
    }
    for (Vpn at = 0; at < space_pages_; ++at) {
        if (step.covers(step.space, at) && place(step.space, at).armed) {
            return fmt::format(
                "I9: page {} of address space {} was populated for writing, though "
                "it is protected",
                at, step.space);
        }
    }
    return {};
}

/// Where a write to a file's page shows.
void History::expect_file(u8 file, u32 index, Contents value) {
    past_.files[file * past_.file_pages + index].value = value;
    for (Place& one : past_.places) {
        if (one.mapped && !one.own && one.file == file && one.index == index) {
            one.value = value;
        }
    }
}

void History::wrote(u8 file, u32 index, Contents value) {
    const std::size_t at = file * std::size_t{past_.file_pages} + index;
    if (index < past_.file_pages && at < past_.files.size()) {
        expect_file(file, index, value);
    }
}

void History::expect_write(u8 space, Vpn at, Contents value) {
    Place& one = place(space, at);
    if (one.shared) {
        expect_file(one.file, one.index, value);
    }
    one.value = value;
}

void History::expect_fill(const Step& step) {
    const Call& call = step.call;
    const u8 space = space_of(step.state, call.fd);
    const bool async = (features_of(step.state, call.fd) & abi::Feature::wp_async) != 0;
    const bool wp = call.op != Op::uffd_zeropage && (call.flags & abi::UffdFillMode::wp) != 0;
    for (u64 done = 0; done < step.outcome.progress; done += page_size) {
        const Vpn at = static_cast<Vpn>(to_pages(call.address + done));
        Place& one = place(space, at);
        if (call.op != Op::uffd_continue) {
            const auto nth = static_cast<u32>(to_pages(done));
            const bool copy = call.op == Op::uffd_copy;
            expect_write(space, at, copy ? step.machine->filled(call.value, nth) : zeroes);
        }
        one.armed = wp && !async;  // FL-28, FL-30, FL-36
        one.changed = !(wp && async);
        one.lazy = false;
    }
}

/// MV-16 to MV-22.
void History::expect_move(const Step& step) {
    const Call& call = step.call;
    const u8 space = space_of(step.state, call.fd);
    for (u64 done = 0; done < step.outcome.progress; done += page_size) {
        Place& to = place(space, static_cast<Vpn>(to_pages(call.address + done)));
        Place& from = place(space, static_cast<Vpn>(to_pages(call.source + done)));
        to.value = from.value;
        to.readable = from.readable;
        meet(Exception::entry_gone, from.stored);  // zeroes arrive without the bit (MV-18)
        to.stored = false;
        to.blind = from.blind;
        to.lazy = from.lazy;
        to.armed = false;
        to.changed = true;
        from.value = zeroes;
        from.readable = true;
        from.armed = false;
        from.changed = true;
        from.stored = false;
        from.blind = false;
        from.lazy = false;
    }
}

void History::expect_protect(const Step& step) {
    const Call& call = step.call;
    const bool set = (call.flags & abi::UffdWpMode::wp) != 0;
    const bool part = step.outcome.error == ENOENT || step.outcome.error == EINVAL;
    const u8 space = space_of(step.state, call.fd);
    const u32 features = features_of(step.state, call.fd);
    if (space == nobody || (!step.done() && (set || !part))) {
        return;
    }
    const bool async = (features & abi::Feature::wp_async) != 0;
    const u64 first = to_pages(call.address);
    const u64 last = std::min<u64>(space_pages_, to_pages(call.address + call.length));
    for (u64 page = first; page < last; ++page) {
        Place& one = place(space, static_cast<Vpn>(page));
        if (set && one.mapped && protectable(step.rules, one, features)) {
            one.armed = !async;
            one.changed = !async;
        } else if (!set) {
            one.armed = false;  // of a call that failed half-way, perhaps
            one.changed = one.changed || step.done();
        }
    }
}

/// Where an empty address means protected, registering protects (section 14.5).
void History::expect_register(const Step& step) {
    const Call& call = step.call;
    const u8 space = space_of(step.state, call.fd);
    if (!step.done() || space == nobody) {
        return;
    }
    const bool async = (features_of(step.state, call.fd) & abi::Feature::wp_async) != 0;
    for (const Vma& vma : step.state.spaces[space].vmas) {
        if (vma.context != call.fd || !empty_is_protected(step.rules, vma)) {
            continue;
        }
        for (Vpn at = vma.start; at < vma.end; ++at) {
            Place& one = place(space, at);
            const bool within = at >= to_pages(call.address) &&
                                at < to_pages(call.address + call.length) &&
                                entry_at(step.state, space, at).none();
            one.armed = one.armed || (within && !async);
            one.changed = one.changed && !(within && async);
        }
    }
}

void History::expect_advice(const Step& step) {
    const auto advice = static_cast<Advice>(step.call.flags);
    for (Vpn at = 0; at < space_pages_; ++at) {
        Place& one = place(step.space, at);
        if (!one.mapped || !step.covers(step.space, at)) {
            continue;
        }
        one.lazy = one.lazy || (advice == Advice::free && one.file == nobody && one.held);
    }
    const bool went = step.done() || step.outcome.verdict == Verdict::blocked;
    if (advice == Advice::remove && half_.thread != nobody && went) {
        expect_hole(half_.file, half_.index, half_.announced_end - half_start_);
    } else if (advice == Advice::remove && step.done()) {
        for (const Vma& vma : step.state.spaces[step.space].vmas) {
            const Vpn first = std::max(vma.start, static_cast<Vpn>(to_pages(step.call.address)));
            const Vpn last = std::min(
                vma.end, static_cast<Vpn>(
                             to_pages(round_up(step.call.address + step.call.length, page_size))));
            if (first < last && vma.file != nobody) {
                expect_hole(vma.file, first - vma.start + vma.offset, last - first);
            }
        }
    }
}

/// E-ZP10: private copies stay.
void History::expect_hole(u8 file, u32 first, u32 count) {
    for (u64 index = first; index < std::min<u64>(past_.file_pages, u64{first} + count); ++index) {
        expect_file(file, static_cast<u32>(index), zeroes);
    }
}

/// E-FK1 to E-FK11; a VMA that may be dropped begins anew in the child.
void History::expect_fork(const Step& step) {
    if (!step.done()) {
        return;
    }
    const u8 child = step.state.threads[static_cast<u8>(step.outcome.value)].space;
    for (const Vma& vma : step.state.spaces[child].vmas) {
        for (Vpn at = vma.start; at < vma.end; ++at) {
            Place& one = place(child, at);
            one = place(step.space, at);
            one.armed = one.armed && (vma.flags & VmFlag::uffd_wp) != 0;
            if ((vma.flags & VmFlag::droppable) != 0) {
                one = Place{};
            }
        }
    }
}

}  // namespace verso::mm
