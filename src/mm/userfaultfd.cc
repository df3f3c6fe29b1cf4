// userfaultfd itself: opening, the API handshake, messages and who waits for them, events, closing
// (sections 5.1, 5.3, 6.1 and 8.12 of the specification; fs/userfaultfd.c).
//
//   fault ──▶ handle_userfault ──▶ faults ──read──▶ pending ──wake──▶ the thread retries
//   fork, mremap, … ──▶ announce ──▶ events ──read──▶ done; mmap_changing counts those unread
//
// A message stays in one of the two queues for as long as its thread waits: it is what a wake looks
// for, so the address in it decides.
//
// As of 6.18. Which features a release knows is in uffd_api(); closing takes protection away since
// 6.9 (FX-7).
#include <algorithm>
#include <cerrno>
#include <tuple>

#include "abi/abi.h"
#include "mm/model.h"

namespace verso::mm {
namespace {

constexpr u64 message_size = 32;  // struct uffd_msg

bool has_context(const State& state, u8 context) {
    return context < state.contexts.size() && state.contexts[context].open;
}

u64 known_features(const Rules& rules) {
    using Feature = abi::Feature;
    u64 known = Feature::minor_hugetlbfs - 1;  // everything older
    known |= rules.has_minor_hugetlb ? Feature::minor_hugetlbfs : 0;
    known |= rules.has_minor_shmem ? Feature::minor_shmem : 0;
    known |= rules.has_exact_address ? Feature::exact_address : 0;
    known |= rules.has_wp_shmem ? Feature::wp_hugetlbfs_shmem : 0;
    known |= rules.has_wp_unpopulated ? Feature::wp_unpopulated : 0;
    known |= rules.has_poison ? Feature::poison : 0;
    known |= rules.has_wp_async ? Feature::wp_async : 0;
    known |= rules.has_move ? Feature::move : 0;
    return known;
}

/// The feature that asks for this event.
/// dup_userfaultfd(), mremap_userfaultfd_prep(), userfaultfd_remove(), userfaultfd_unmap_prep().
u64 feature_of(MessageKind kind) {
    switch (kind) {
        case MessageKind::pagefault: return 0;
        case MessageKind::fork: return abi::Feature::event_fork;
        case MessageKind::remap: return abi::Feature::event_remap;
        case MessageKind::remove: return abi::Feature::event_remove;
        case MessageKind::unmap: return abi::Feature::event_unmap;
    }
    return 0;
}

/// The handshake. `address` is the version that is asked for, `extra` the features; flags bit 0:
/// the caller lacks CAP_SYS_PTRACE. The value is what UFFDIO_API writes back: AP-6, nothing after a
/// failure. userfaultfd_api().
Outcome uffd_api(Machine& machine, const Call& call) {
    Context& context = machine.state.contexts[call.fd];
    const bool capable = (call.flags & 1) == 0;
    u64 wanted = call.extra;
    if (call.address != abi::uffd_api_version) {  // AP-2
        return Outcome::fail(EINVAL);
    }
    if ((wanted & abi::Feature::event_fork) != 0 && !capable) {  // AP-3
        return Outcome::fail(EPERM);
    }
    if ((wanted & abi::Feature::wp_async) != 0) {  // AP-7
        wanted |= abi::Feature::wp_unpopulated;
    }
    const u64 known = known_features(machine.rules);
    if ((wanted & ~known) != 0 || context.api_done) {  // AP-4, AP-5
        return Outcome::fail(EINVAL);
    }
    context.api_done = true;
    context.features = static_cast<u32>(wanted);
    return Outcome::ok(static_cast<i64>(known));
}

/// userfaultfd_wake().
Outcome uffd_wake(Machine& machine, const Call& call) {
    if (validate_range(machine.state, call.address, call.length) != 0) {  // WK-2
        return Outcome::fail(EINVAL);
    }
    wake_range(machine, call.fd, call.address, call.address + call.length);  // WK-3
    return Outcome::ok();
}

/// A call that changes several mappings sends one event after the other, each when the one before
/// was read: userfaultfd_unmap_complete(), dup_userfaultfd_complete(). In the queues they lie all.
bool is_next_of_its_thread(const State& state, u8 context, const Message& event) {
    const auto of_thread = [&](const Message& one) { return one.thread == event.thread; };
    for (u8 id = 0; event.thread != nobody && id < state.contexts.size(); ++id) {
        const Messages& events = state.contexts[id].events;
        const auto first = std::ranges::find_if(events, of_thread);
        if (first == events.end() || &*first == &event) {
            continue;
        }
        if (id == context || std::tuple{first->address, first->length, first->context} <
                                 std::tuple{event.address, event.length, event.context}) {
            return false;
        }
    }
    return true;
}

/// `told`: threads of which this read(2) has told an event; they are only about to send the next.
/// userfaultfd_ctx_read().
auto find_next_event(State& state, u8 context, u32 told) {
    return std::ranges::find_if(state.contexts[context].events, [&](const Message& event) {
        const bool again = event.thread != nobody && (told >> event.thread & 1) != 0;
        return !again && is_next_of_its_thread(state, context, event);
    });
}

/// A thread that waited for an event goes on, unless another context has yet to hear of the call.
/// userfaultfd_event_complete().
void event_done(State& state, u8 thread) {
    if (thread == nobody || thread >= state.threads.size() ||
        state.threads[thread].waiting != Waiting::event) {
        return;
    }
    for (u8 id = 0; id < state.contexts.size(); ++id) {
        for (const Message& event : state.contexts[id].events) {
            if (event.thread == thread) {
                state.threads[thread].context = id;
                return;
            }
        }
    }
    const bool goes_on =
        std::ranges::find(state.advising, thread, &Advising::thread) != state.advising.end();
    state.threads[thread].waiting = goes_on ? Waiting::retry : Waiting::no;
    state.threads[thread].context = nobody;
}

/// An ioctl, and the rule without which this release does not have it.
struct Ioctl {
    Op op;
    Outcome (*run)(Machine&, const Call&);
    bool Rules::*exists = nullptr;
};
constexpr Ioctl ioctls[] = {
    {Op::uffd_api, uffd_api},
    {Op::uffd_register, uffd_register},
    {Op::uffd_unregister, uffd_unregister},
    {Op::uffd_wake, uffd_wake},
    {Op::uffd_copy, uffd_copy},
    {Op::uffd_zeropage, uffd_zeropage},
    {Op::uffd_continue, uffd_continue, &Rules::has_minor_hugetlb},
    {Op::uffd_writeprotect, uffd_writeprotect},
    {Op::uffd_poison, uffd_poison, &Rules::has_poison},
    {Op::uffd_move, uffd_move, &Rules::has_move},
};

/// find_userfault().
Message take_first(Messages& queue) {
    const Message first = queue.front();
    queue.erase(queue.begin());
    return first;
}

/// E-CL1 for one address space: VMAs leave the context. Entries are reset since c88033efe9a3 (6.9).
/// userfaultfd_release_all().
void release_vmas(Machine& machine, u8 space, u8 context) {
    State& state = machine.state;
    for (const Vma& vma : vmas_between(state, space, 0, state.shape.space_pages)) {
        if (vma.context == context) {
            userfaultfd_clear_vma(machine, space, vma.start, vma.end, machine.rules.close_clears_u);
        }
    }
    merge_vmas(machine, space);
}

/// userfaultfd_release(). A child's context that nobody ever read goes with its parent's.
void release(Machine& machine, u8 context) {
    State& state = machine.state;
    for (u8 space = 0; space < state.spaces.size(); ++space) {
        if (state.spaces[space].alive) {
            release_vmas(machine, space, context);
        }
    }
    wake_range(machine, context, 0, ~u64{0});  // E-CL2
    while (!state.contexts[context].events.empty()) {
        const Message event = take_first(state.contexts[context].events);
        event_done(state, event.thread);
        if (event.kind == MessageKind::fork && event.context != nobody) {
            release(machine, event.context);
        }
    }
    state.contexts[context] = Context{};
}

}  // namespace

/// userfaultfd_poll().
bool has_message(const State& state, u8 context) {
    const Messages& events = state.contexts[context].events;
    return !state.contexts[context].faults.empty() ||
           std::ranges::any_of(events, [&](const Message& event) {
               return is_next_of_its_thread(state, context, event);
           });
}

/// userfaultfd_event_wait_completion().
bool announce(Machine& machine, u8 context, const Message& event) {
    State& state = machine.state;
    if (context == nobody || (state.contexts[context].features & feature_of(event.kind)) == 0) {
        return false;
    }
    ++state.contexts[context].mmap_changing;
    state.contexts[context].events.push_back(event);
    if (event.thread != nobody) {
        state.threads[event.thread].waiting = Waiting::event;
        state.threads[event.thread].context = context;
    }
    return true;
}

int validate_range(const State& state, u64 start, u64 length) {
    const u64 limit = to_bytes(state.shape.space_pages);
    const bool aligned = is_page_aligned(start) && is_page_aligned(length);
    return aligned && length != 0 && start < limit && length <= limit - start ? 0 : EINVAL;
}

/// FD-1 to FD-7. A step of the model is a whole turn of the fault handler, so that the second look
/// of FD-7 could only find what the first one found, and nobody meets a descriptor that is half
/// closed (FD-6). No access must not wait (FD-5); those that may
/// not be tried again are FOLL_FORCE's: /proc/self/mem follows pages with its lock held.
Fault handle_userfault(Machine& machine, u8 thread, const Vma& vma, const Access& access,
                       u8 flags) {
    State& state = machine.state;
    if (vma.context == nobody) {  // FD-1
        return Fault::sigbus;
    }
    Context& context = state.contexts[vma.context];
    if ((context.features & abi::Feature::sigbus) != 0) {  // FD-2
        return Fault::sigbus;
    }
    const bool by_kernel = access.kernel || access.kind >= AccessKind::gup_read;
    if (by_kernel && context.user_mode_only) {  // FD-3
        return Fault::sigbus;
    }
    if (access.forced) {  // FD-4
        return Fault::sigbus;
    }
    const u64 unit = is_hugetlb(state, vma) ? to_bytes(state.shape.huge_pages) : page_size;
    const bool exact = (context.features & abi::Feature::exact_address) != 0;
    Message message;
    message.flags = flags;
    message.thread = thread;
    message.address =  // AP-13
        static_cast<u32>(exact ? access.address : round_down(access.address, unit));
    context.faults.push_back(message);
    Thread& self = state.threads[thread];
    self.waiting = Waiting::fault;
    self.context = vma.context;
    self.access = access;
    return Fault::message;
}

/// Read or not yet read: both kinds wake up (__wake_userfault()).
void wake_range(Machine& machine, u8 context, u64 start, u64 end) {
    State& state = machine.state;
    const auto wakes = [&](const Message& message) {
        if (message.address < start || message.address >= end) {
            return false;
        }
        Thread& sleeper = state.threads[message.thread];
        sleeper.waiting = Waiting::retry;
        sleeper.context = nobody;
        return true;
    };
    erase_if(state.contexts[context].faults, wakes);
    erase_if(state.contexts[context].pending, wakes);
}

/// flags bit 0: UFFD_USER_MODE_ONLY. new_userfaultfd(), userfaultfd_syscall_allowed().
Outcome uffd_open(Machine& machine, const Call& call) {
    State& state = machine.state;
    const u32 known = machine.rules.has_user_mode_only ? abi::uffd_user_mode_only : 0U;
    if ((call.flags & ~known) != 0) {
        return Outcome::fail(EINVAL);
    }
    const auto unused = std::ranges::find_if(state.contexts, [](const Context& context) {
        return !context.open && context.space == nobody;
    });
    const auto id = static_cast<u8>(unused - state.contexts.begin());
    if (unused == state.contexts.end()) {
        if (state.contexts.size() >= state.shape.contexts_max) {
            return Outcome::fail(EMFILE);
        }
        state.contexts.emplace_back();
    }
    Context& context = state.contexts[id];
    context.open = true;
    context.user_mode_only = (call.flags & abi::uffd_user_mode_only) != 0;
    context.space = state.threads[call.thread].space;
    return Outcome::ok(id);
}

/// userfaultfd_ioctl().
Outcome uffd_ioctl(Machine& machine, const Call& call) {
    if (!has_context(machine.state, call.fd)) {
        return Outcome::fail(EBADF);
    }
    if (call.op != Op::uffd_api && !machine.state.contexts[call.fd].api_done) {  // AP-8
        return Outcome::fail(EINVAL);
    }
    for (const Ioctl& one : ioctls) {
        if (one.op == call.op && (one.exists == nullptr || machine.rules.*one.exists)) {
            return one.run(machine, call);
        }
    }
    return Outcome::fail(EINVAL);
}

/// `length` is the room in bytes; 0: for one message. The descriptor is O_NONBLOCK. The value is
/// the number of bytes. userfaultfd_read_iter(), userfaultfd_read().
Outcome uffd_read(Machine& machine, const Call& call) {
    State& state = machine.state;
    if (!has_context(state, call.fd)) {
        return Outcome::fail(EBADF);
    }
    Context& context = state.contexts[call.fd];
    const u64 room = call.length == 0 ? 1 : call.length / message_size;
    if (!context.api_done || room == 0) {  // AP-10
        return Outcome::fail(EINVAL);
    }
    machine.delivered.clear();
    u32 told = 0;
    while (machine.delivered.size() < room) {  // AP-12
        if (!context.faults.empty()) {
            const Message fault = take_first(context.faults);
            context.pending.push_back(fault);
            machine.delivered.push_back(fault);
        } else if (const auto next = find_next_event(state, call.fd, told);
                   next != context.events.end()) {
            const Message event = *next;
            context.events.erase(next);
            told |= event.thread == nobody ? 0U : 1U << event.thread;
            --context.mmap_changing;
            if (event.kind == MessageKind::fork && event.context != nobody) {
                state.contexts[event.context].open = true;  // resolve_userfault_fork()
            }
            event_done(state, event.thread);
            machine.delivered.push_back(event);
        } else {
            break;
        }
    }
    const u64 bytes = machine.delivered.size() * message_size;
    return bytes == 0 ? Outcome::fail(EAGAIN) : Outcome::ok(static_cast<i64>(bytes));  // AP-11
}

/// userfaultfd_release().
Outcome uffd_close(Machine& machine, u8 context) {
    if (!has_context(machine.state, context)) {
        return Outcome::fail(EBADF);
    }
    release(machine, context);
    return Outcome::ok();
}

}  // namespace verso::mm
