// The switch from calls to functions, and how a call waits.
#include "mm/sim/sim_kernel.h"

#include <cerrno>

#include "mm/sim/sim_world.h"

namespace verso::mm::sim {

kernel::Outcome answer(const Outcome& outcome) {
    if (outcome.verdict == Verdict::hangs) {
        return {kernel::Verdict::timed_out, ETIMEDOUT, 0, 0};
    }
    return outcome.verdict == Verdict::done ? kernel::Outcome::done(outcome.value)
                                            : kernel::failure(outcome.error);
}

SimKernel::SimKernel(SimWorld& world, int process) : world_(world), process_(process) {}

Memory& SimKernel::memory() { return world_.memory_; }
Scheduler& SimKernel::scheduler() { return world_.scheduler_; }
Descriptors& SimKernel::descriptors() { return world_.descriptors_; }
u8 SimKernel::thread() { return world_.thread_of(world_.at(process_)); }
u8 SimKernel::space() { return world_.at(process_).space; }

kernel::Outcome SimKernel::number_for(ObjectRef object) {
    return kernel::Outcome::done(descriptors().add(process_, std::move(object)));
}

/// What the model calls disabled is a call that waits for a lock or for memory under way: until
/// somebody has made a step.
void SimKernel::wait_for_a_step() {
    const u64 seen = memory().steps();
    scheduler().block([this, seen] { return memory().steps() != seen; },
                      {"a page that is under way"});
}

void SimKernel::wait_for_reader() {
    const u8 self = thread();
    const auto& threads = state().threads;
    if (waits_for_a_reader()) {
        scheduler().block([&threads, self] { return threads[self].waiting != Waiting::event; },
                          {"its event to be read from userfaultfd", threads[self].context});
    }
}

bool SimKernel::waits_for_a_reader() { return state().threads[thread()].waiting == Waiting::event; }

/// Until the access is made, or fails; or the madvise() that went on once its event was read.
/// After a turn that came to nothing (the page of somebody else's mapping is migrating) only a
/// step of another can help.
Outcome SimKernel::wait_and_retry(u64 address, u64 length) {
    const u8 self = thread();
    for (;;) {
        const u64 seen = memory().steps();
        const auto may_retry = [this, self, seen] {
            const Thread& me = state().threads[self];
            if (me.waiting != Waiting::migration) {
                return me.waiting == Waiting::retry;
            }
            const Vpn at = static_cast<Vpn>(to_pages(me.access.address));
            return memory().steps() != seen &&
                   entry_at(state(), me.space, at).kind != EntryKind::migration;
        };
        // A copy: other fibers may begin threads meanwhile, and the list of threads moves.
        const Thread me = state().threads[self];
        const char* const what = me.waiting == Waiting::migration ? "the end of a migration at"
                                 : me.waiting == Waiting::event
                                     ? "its event to be read from userfaultfd, of"
                                     : "a userfault to be resolved at";
        // By reference: a fiber that is never woken gives its stack up as it is, and what lies on
        // it must own nothing.
        scheduler().block(std::cref(may_retry), {what, address_of(me.access.address)});
        Call retry{.op = Op::retry, .thread = self};
        retry.address = me.access.address;
        const Outcome outcome = memory().step_at(space(), address, length, retry);
        if (outcome.verdict != Verdict::blocked && outcome.verdict != Verdict::disabled) {
            return outcome;
        }
    }
}

Outcome SimKernel::run(Call call, u8 where, u64 address, u64 length) {
    const bool access = call.op >= Op::load && call.op <= Op::gup_pin;
    for (;;) {
        call.thread = thread();
        if (state().threads[call.thread].waiting == Waiting::for_ever) {
            return Outcome::fail(ECONNRESET);  // on Linux its process was ended for it
        }
        Outcome outcome = memory().step_at(where, address, length, call);
        if (outcome.verdict == Verdict::disabled) {
            wait_for_a_step();
            continue;
        }
        if (outcome.verdict == Verdict::blocked) {
            const bool advises = waits_for_a_reader();
            const u64 slept_at = round_down(state().threads[call.thread].access.address, page_size);
            outcome = wait_and_retry(address, length);
            if (!access && !advises && outcome.verdict == Verdict::done) {
                // Populate: that page came of it, and what lies behind is still to be done.
                const u64 end = call.address + call.length;
                call.address = slept_at + page_size;
                call.length = end - std::min(end, call.address);
                if (call.length != 0) {
                    continue;
                }
            }
        }
        wait_for_reader();
        return outcome;
    }
}

void SimKernel::let_go() {
    ++life_;
    const auto held = std::exchange(held_, {});  // what goes with them may call us
    const auto watched = std::exchange(watched_, {});
}

kernel::Outcome SimKernel::perform(const kernel::Call& call, const kernel::Payload& payload) {
    VERSO_CHECK(world_.at(process_).alive, "process {} has ended: {}", process_, to_string(call));
    scheduler().yield();
    return dispatch(call, payload);
}

kernel::Outcome SimKernel::dispatch(const kernel::Call& call, const kernel::Payload& payload) {
    using kernel::Op;
    switch (call.op) {
        case Op::memfd_create: return memfd_create(call);
        case Op::file_resize: return file_resize(call);
        case Op::file_size: return file_size(call);
        case Op::file_next_data: return file_next_data(call);
        case Op::file_punch: return file_punch(call);
        case Op::file_used: return file_used(call);
        case Op::file_read: return file_read(call, payload);
        case Op::file_write: return file_write(call, payload);
        case Op::map: return map(call);
        case Op::unmap: return unmap(call);
        case Op::protect: return protect(call);
        case Op::advise: return advise(call);
        case Op::check_mapped: return check_mapped(call);
        case Op::uffd_open: return uffd_open(call);
        case Op::uffd_register: return uffd_register(call);
        case Op::uffd_unregister:
        case Op::uffd_wake:
        case Op::uffd_write_protect: return uffd_range(call);
        case Op::uffd_copy: return uffd_copy(call);
        case Op::uffd_zeropage:
        case Op::uffd_continue:
        case Op::uffd_poison: return uffd_fill(call);
        case Op::uffd_read: return uffd_read(call, payload);
        case Op::pagemap_scan: return pagemap_scan(call, payload);
        case Op::pagemap_read: return pagemap_read(call, payload);
        case Op::memory_read: return memory_read(call, payload);
        case Op::memory_write: return memory_write(call, payload);
        case Op::memory_usage: return memory_usage(call, payload);
        case Op::watch_segv: return watch_segv(call, payload);
        case Op::unwatch_segv: return unwatch_segv(call);
        case Op::wait: return wait(call, payload);
        case Op::event_create: return number_for(std::make_shared<EventObject>());
        case Op::event_signal: return event_signal(call);
        case Op::event_drain: return event_drain(call);
        case Op::socket_send: return socket_send(call, payload);
        case Op::socket_receive: return socket_receive(call, payload);
        case Op::duplicate: return duplicate(call);
        case Op::end_process: return end_process();
        case Op::process_self: return process_self();
        case Op::bundle: return bundle(payload);
        case Op::close:
        case Op::unpin: return close(call);
        case Op::file_create: return make_file(FileKind::ordinary);
        case Op::remap: return remap(call);
        case Op::load:
        case Op::store:
        case Op::gup_read:
        case Op::gup_write:
        case Op::forced_write: return access(call);
        case Op::pin: return pin(call);
        case Op::lock: return lock(call);
        case Op::uffd_create: return uffd_create(call.aux != 0);
        case Op::uffd_api: return uffd_api(call);
        case Op::uffd_move: return uffd_move(call);
        case Op::clear_refs: return clear_refs();
        case Op::scan: return scan(call, payload);
    }
    VERSO_CHECK(false, "no such op: {}", static_cast<unsigned>(call.op));
    return {};
}

}  // namespace verso::mm::sim
