// The end of a process, sections 8.8 and 8.12; kernel/exit.c, mm/mmap.c exit_mmap(). Everything
// goes, markers included, and nobody is left waiting for it. As of 6.18; no release before it is
// known to differ.
#include <algorithm>

#include "mm/model.h"

namespace verso::mm {
namespace {

/// E-CL4: what a thread that ends had queued goes with it; the child of an unread FORK loses its
/// context. userfaultfd_event_wait_completion(), userfaultfd_ctx_read().
void withdraw_messages(Machine& machine) {
    State& state = machine.state;
    const auto of_dead = [&](const Message& message) {
        return message.thread != nobody && !state.threads[message.thread].alive;
    };
    InlineVector<u8, 8> orphans;
    for (Context& context : state.contexts) {
        erase_if(context.faults, of_dead);
        erase_if(context.pending, of_dead);
        for (const Message& event : context.events) {
            if (of_dead(event)) {
                --context.mmap_changing;
                if (event.kind == MessageKind::fork) {
                    orphans.push_back(event.context);
                }
            }
        }
        erase_if(context.events, of_dead);
    }
    for (const u8 orphan : orphans) {
        state.contexts[orphan].open = true;  // so that it can be closed
        uffd_close(machine, orphan);
    }
}

}  // namespace

/// exit_mmap(), E-ZP13.
void exit_mmap(Machine& machine, u8 space) {
    State& state = machine.state;
    const Vmas vmas = state.spaces[space].vmas;
    for (const Vma& vma : vmas) {
        zap_range(machine, space, vma, vma.start, vma.end, ZapFlags::drop_markers);
    }
    Space empty;
    empty.pmds.resize(state.spaces[space].pmds.size());
    empty.entries.resize(state.spaces[space].entries.size());
    state.spaces[space] = std::move(empty);
}

Outcome do_exit(Machine& machine, u8 space) {
    State& state = machine.state;
    for (Thread& thread : state.threads) {
        if (thread.space == space) {
            thread = Thread{};
        }
    }
    erase_if(state.advising, [&](const Advising& one) { return !state.threads[one.thread].alive; });
    withdraw_messages(machine);
    exit_mmap(machine, space);
    return Outcome::ok();
}

}  // namespace verso::mm
