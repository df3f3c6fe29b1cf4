// Loan: see the header.
#include "engine/loan.h"

#include <array>

#include "abi/abi.h"
#include "engine/explain.h"
#include "engine/wire.h"

namespace verso::engine {

using kernel::Call;
using kernel::Outcome;
using kernel::Payload;
using kernel::Wait;

Result<std::unique_ptr<Loan>> Loan::make(kernel::Kernel& kernel, int socket,
                                         const AdoptOptions& memory, OnEngineDeath policy) {
    const auto address = reinterpret_cast<u64>(memory.address);  // NOLINT
    if (address == 0 || !is_page_aligned(address) || memory.size == 0 ||
        !is_page_aligned(memory.size)) {
        return fail(ErrorKind::invalid_argument, 0,
                    "memory to lend must start and end on a page boundary (address {:#x}, size {})",
                    address, memory.size);
    }
    const kernel::Abilities& can = kernel.abilities();
    if (!can.userfaultfd || !can.write_protect_shmem) {
        return fail(ErrorKind::unsupported, 0, "memory can only be lent through userfaultfd: {}",
                    can.userfaultfd ? "this kernel cannot write-protect shared memory (needs 5.19)"
                                    : can.why_no_userfaultfd);
    }
    std::unique_ptr<Loan> loan(new Loan(kernel, address, memory.size, policy));
    const u64 features = abi::Feature::pagefault_flag_wp | abi::Feature::wp_hugetlbfs_shmem |
                         abi::Feature::missing_shmem |
                         (can.layout_events ? abi::Feature::layout_events : 0);
    for (const auto& [call, fd] : {std::pair{Call::uffd_open(features), &loan->uffd_},
                                   std::pair{Call::duplicate(socket), &loan->socket_},
                                   std::pair{Call::event_create(), &loan->stop_}}) {
        const Outcome opened = kernel.perform(call);
        if (!opened.ok()) {
            return refuse(opened, "preparing memory to lend");
        }
        *fd = Fd(static_cast<int>(opened.value));
    }
    wire::Message lend;
    lend.kind = wire::Kind::lend;
    lend.pages = to_pages(memory.size);
    lend.address = address;
    const std::array<int, 2> fds{memory.memfd, loan->uffd_.get()};
    const Outcome sent = wire::send(kernel, socket, lend, fds);
    if (!sent.ok()) {
        return refuse(sent, "sending memory to the engine");
    }
    constexpr int timeout_ms = 10'000;
    Result<wire::Received> answer = wire::receive(kernel, socket, wire::Kind::accepted, timeout_ms);
    if (!answer) {
        return pass(answer, "lending memory");
    }
    if (answer->fds.size() == 1) {
        loan->engine_ = std::move(answer->fds[0]);
    }
    loan->in_force_ = true;
    loan->watcher_ = kernel.spawn("verso-loan", [raw = loan.get()] { raw->watch(); });
    if (loan->watcher_ == nullptr) {
        return fail(ErrorKind::resource, 0, "no more threads to watch over the loan");
    }
    return loan;
}

/// Lets the engine store what snapshots still need before the memory can change unseen. It has its
/// time; then it is told that it is late, and shows what it has not stored to nobody.
void Loan::take_leave() {
    constexpr int timeout_ms = 2'000;
    if (!in_force_ || !uffd_.valid()) {  // valid: the engine has not gone first
        return;
    }
    wire::Message leave;
    leave.kind = wire::Kind::barrier;
    if (wire::send_or_gone(kernel_, socket_.get(), leave) &&
        !wire::receive(kernel_, socket_.get(), wire::Kind::barrier_done, timeout_ms)) {
        leave.number = 1;
        (void)wire::send_or_gone(kernel_, socket_.get(), leave);
    }
}

/// Ends protection: blocked writers go on, and the engine (if it lives) is told by its next call.
/// Closing is not enough, because the engine's process, or one that it made by fork(2), has a
/// duplicate; nor is unregistering, which wakes nobody who waits for a protected page. Whoever
/// changes the mapping waits until the event is read, by the engine or, now that it may be dead,
/// here.
void Loan::end() {
    if (!uffd_.valid()) {
        return;
    }
    (void)kernel_.perform(Call::uffd_unregister(uffd_.get(), address_, length_));
    constexpr unsigned tries_max = 3;
    for (unsigned tries = 0; tries < tries_max; ++tries) {
        if (kernel_.perform(Call::uffd_wake(uffd_.get(), address_, length_)).ok()) {
            break;
        }
    }
    std::array<kernel::Event, 16> events;
    while (kernel_.perform(Call::uffd_read(uffd_.get()), Payload{.events = events}).ok()) {}
    uffd_.reset();
}

void Loan::watch() {
    while (true) {
        std::array<Wait, 3> waits{Wait{socket_.get()}, Wait{stop_.get()}, Wait{engine_.get()}};
        const std::size_t used = engine_.valid() ? 3 : 2;
        (void)kernel_.perform(Call::wait(~u64{0}), Payload{.waits = std::span(waits).first(used)});
        if (waits[1].ready) {
            return;
        }
        // Nothing is ever said here but the end.
        if (waits[0].hung_up || waits[0].ready || waits[2].ready) {
            break;
        }
    }
    switch (policy_) {
        case OnEngineDeath::resume: end(); return;
        case OnEngineDeath::kill: (void)kernel_.perform(Call::end_process()); return;
    }
}

Loan::~Loan() {
    if (watcher_ != nullptr) {
        (void)kernel_.perform(Call::event_signal(stop_.get()));
        watcher_.reset();
    }
    take_leave();
    end();
}

}  // namespace verso::engine
