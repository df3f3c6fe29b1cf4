// Nobody waits for ever. A thread that waits must be waiting for something that somebody can still
// bring about:
//
//   fault      a message in a queue of an open descriptor, for a range that is still registered
//   event      a message that can still be read: of an open descriptor, or of a child's that an
//              unread FORK message will open
//   migration  an entry under migration, of a folio that is locked, so that its end will come
//
// That the end does come, and that a wake is enough, only going on can show: Watched::finish().
//
// Known exception PR-1: a thread whose range is unmapped, remapped or mapped over while it waits
// goes on waiting until WAKE or close, which do not look at VMAs (WK-3): `moved` names them.
#include <algorithm>

#include <fmt/core.h>

#include "mm/history.h"

namespace verso::mm {
namespace {

bool of_thread(const auto& queue, u8 thread) {
    return std::ranges::any_of(queue,
                               [&](const Message& message) { return message.thread == thread; });
}

/// Somebody has the descriptor, or will get it by reading.
bool can_be_read(const State& state, u8 id, unsigned depth = 0) {
    if (state.contexts[id].open || depth > state.contexts.size()) {
        return state.contexts[id].open;
    }
    for (u8 parent = 0; parent < state.contexts.size(); ++parent) {
        for (const Message& event : state.contexts[parent].events) {
            if (event.kind == MessageKind::fork && event.context == id) {
                return can_be_read(state, parent, depth + 1);
            }
        }
    }
    return false;
}

const Vma* vma_of(const State& state, u8 space, u64 address) {
    for (const Vma& vma : state.spaces[space].vmas) {
        if (address >= to_bytes(vma.start) && address < to_bytes(vma.end)) {
            return &vma;
        }
    }
    return nullptr;
}

std::string check_waiter(const State& state, u8 id, bool moved) {
    const Thread& thread = state.threads[id];
    if (thread.waiting == Waiting::for_ever) {
        return fmt::format("progress: thread {} is in a call that never returns", id);
    }
    if (thread.waiting == Waiting::no || thread.waiting == Waiting::retry ||
        thread.waiting == Waiting::migration) {
        return {};
    }
    if (thread.context >= state.contexts.size() || !can_be_read(state, thread.context)) {
        return fmt::format("progress: thread {} waits for a descriptor that nobody has", id);
    }
    const Context& context = state.contexts[thread.context];
    if (thread.waiting == Waiting::event) {
        return of_thread(context.events, id)
                   ? std::string()
                   : fmt::format("progress: thread {} waits for an event that was read", id);
    }
    if (!of_thread(context.faults, id) && !of_thread(context.pending, id)) {
        return fmt::format("progress: thread {} waits for a message that nobody has", id);
    }
    const Vma* const vma = vma_of(state, thread.space, thread.access.address);
    const bool registered = vma != nullptr && vma->context == thread.context;
    return registered || moved
               ? std::string()
               : fmt::format("progress: thread {} waits where nothing is registered any more", id);
}

std::string check_migrations(const State& state) {
    const auto ends = [&](const Entry& entry) {
        PageId head = entry.target;
        while (state.pages[head].tail) {
            --head;
        }
        return entry.kind != EntryKind::migration || state.pages[head].locked;
    };
    for (const Space& space : state.spaces) {
        for (const Pmd& pmd : space.pmds) {
            if (pmd.leaf.kind == EntryKind::migration && !ends(pmd.leaf)) {
                return "progress: a huge page waits for a migration that is over";
            }
        }
        for (const Entry& entry : space.entries) {
            if (entry.kind == EntryKind::migration && !ends(entry)) {
                return "progress: a page waits for a migration that is over";
            }
        }
    }
    return {};
}

/// Half a madvise() is a thread's that sleeps for it, or may go on.
std::string check_advising(const State& state) {
    for (const Advising& half : state.advising) {
        const Thread& thread = state.threads[half.thread];
        if (!thread.alive ||
            (thread.waiting != Waiting::event && thread.waiting != Waiting::retry)) {
            return fmt::format("progress: thread {} has half a madvise() and does not wait",
                               half.thread);
        }
    }
    return {};
}

}  // namespace

std::string nobody_blocked(const State& state, u32 moved, bool device_window) {
    for (u8 id = 0; id < state.threads.size(); ++id) {
        if (state.threads[id].waiting != Waiting::no) {
            if (std::string broken = check_waiter(state, id, (moved >> id & 1) != 0);
                !broken.empty()) {
                return broken;
            }
        }
    }
    if (std::string broken = check_advising(state); !broken.empty()) {
        return broken;
    }
    return device_window ? std::string() : check_migrations(state);
}

}  // namespace verso::mm
