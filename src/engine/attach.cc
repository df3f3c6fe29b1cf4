// A region whose mapping lives in another process. That process opens the userfaultfd (it belongs
// to its address space), and sends it with the memfd; everything else is the same engine:
// userfaultfd calls act on the other address space, and old bytes are read through our own alias
// of the memfd.
//
// If we die, the lender's memory goes on changing unprotected; therefore its ledger says "not
// trusted", and children that still need uncaptured pages get SIGBUS instead of whatever is there
// by then.
//
// The lender may take its memory back while snapshots of it are alive:
//
//   lender ── barrier 0 ──▶ engine    stores all that snapshots still need, then
//          ◀─ barrier_done ──         refuses every verb that needs the memory
//      unprotects the memory          (after two seconds without an answer: barrier 1 first)
//
// A lender that dies says nothing, and need not: nobody writes the memory any more.
#include <algorithm>
#include <array>
#include <cerrno>

#include "engine/region.h"
#include "engine/wire.h"

namespace verso::engine {

using kernel::Outcome;
using kernel::RegisterMode;

namespace {
constexpr u64 leave_batch = 64;

Outcome accept_loan(kernel::Kernel& kernel, int socket, const Safekeeping* safe) {
    wire::Message accepted;
    accepted.kind = wire::Kind::accepted;
    const Fd us = safe == nullptr ? wire::this_process(kernel) : Fd();
    const std::array<int, 1> fds{safe == nullptr ? us.get() : safe->process()};
    return wire::send(kernel, socket, accepted, std::span(fds).first(fds[0] >= 0 ? 1 : 0));
}

Outcome refuse_loan(kernel::Kernel& kernel, int socket, const Error& error) {
    wire::Message refused;
    refused.kind = wire::Kind::refused;
    refused.text = error.message;
    return wire::send(kernel, socket, refused);
}
}  // namespace

/// Watches what the lender has sent, and begins to serve it.
Result<void> Region::serve_lender(Fd socket, Safekeeping* safe) {
    // Mapped last: a part of a huge page could be mapped, and then never be unmapped.
    Result<void> ready = watch(RegisterMode::write_protect);
    if (ready) {
        ready = find_granule();  // the lender gets the sentence as its answer
    }
    if (ready) {
        ready = map_live(false, 0);
    }
    if (!ready) {
        return ready;
    }
    socket_ = std::move(socket);  // the reader listens to it
    safe_ = safe;
    if (ready = keep_region(); !ready) {
        return ready;
    }
    reader_ = kernel_.spawn("verso-faults", [this] { read_events(); });
    if (reader_ == nullptr) {
        return fail(ErrorKind::resource, 0, "no more threads to serve the lender's memory");
    }
    return {};
}

Result<std::shared_ptr<Region>> Region::attach(Runtime& runtime, int socket, std::string name,
                                               int timeout_ms, Safekeeping* safe) {
    kernel::Kernel& kernel = runtime.kernel();
    const Outcome copied = kernel.perform(kernel::Call::duplicate(socket));
    if (!copied.ok()) {
        return fail(ErrorKind::invalid_argument, copied.error,
                    "descriptor {} is not a socket that can be kept: {}", socket,
                    kernel::to_string(copied));
    }
    Fd kept(static_cast<int>(copied.value));
    Result<wire::Received> lent = wire::receive(kernel, socket, wire::Kind::lend, timeout_ms);
    if (!lent) {
        return pass(lent, "waiting for memory to attach");
    }
    const auto build = [&]() -> Result<std::shared_ptr<Region>> {
        const u64 pages = lent->message.pages;
        if (lent->fds.size() != 2 || pages == 0) {
            return fail(ErrorKind::peer, 0, "the lender sent {} descriptors for {} pages",
                        lent->fds.size(), pages);
        }
        Result<Runtime::Seat> seat = runtime.seat();
        if (!seat) {
            return pass(seat);
        }
        Result<std::shared_ptr<Region>> made = make(
            runtime,
            Setup{std::move(name), pages, Tracking::contents, Origin::attached, std::move(*seat)},
            false);
        if (!made) {
            return made;
        }
        Region& region = **made;
        region.local_ = false;
        region.live_ = std::move(lent->fds[0]);
        region.uffd_ = std::move(lent->fds[1]);
        region.base_ = lent->message.address;
        region.guard_ = Guard(kernel, Backend::userfaultfd, region.uffd_.get(), region.base_);
        const Outcome size = kernel.perform(kernel::Call::file_size(region.live_.get()));
        if (!size.ok() || static_cast<u64>(size.value) < to_bytes(pages)) {
            return fail(ErrorKind::peer, size.error, "the lender's memfd is smaller than it says");
        }
        if (Result<void> served = region.serve_lender(std::move(kept), safe); !served) {
            return pass(served);
        }
        return made;
    };
    Result<std::shared_ptr<Region>> made = build();
    const Outcome told =
        made ? accept_loan(kernel, socket, safe) : refuse_loan(kernel, socket, made.error());
    if (made && !told.ok()) {
        return refuse(told, "answering the lender");
    }
    return made;
}

void Region::hear_lender() {
    const Result<wire::Received> said = wire::receive_now(kernel_, socket_.get());
    if (said && said->message.kind == wire::Kind::barrier) {
        // 1, if the engine that heard of the end has been killed since.
        end_loan(said->message.number == 1);
    } else if (!said && said.error().os_error != EAGAIN &&
               wire::has_hung_up(kernel_, socket_.get())) {
        socket_.reset();
    }
}

/// Whether the lender has stopped waiting for us. What was stored before this answered no is right:
/// the lender says so before it unprotects the memory.
bool Region::lender_gave_up() {
    while (true) {
        const Result<wire::Received> said = wire::receive_now(kernel_, socket_.get());
        if (said && said->message.kind == wire::Kind::barrier && said->message.number == 1) {
            return true;
        }
        if (!said &&
            (said.error().os_error == EAGAIN || wire::has_hung_up(kernel_, socket_.get()))) {
            return false;
        }
    }
}

/// Stores, or if it is too late declares lost, what snapshots need of a batch of pages. Returns how
/// many were lost.
u64 Region::take_leave_held(u64 first, u64 count, bool& too_late) {
    std::array<Layer*, leave_batch> needed{};
    bool any = false;
    for (u64 at = 0; at < count; ++at) {
        needed[at] = frozen_.needed_by(first + at);
        any = any || needed[at] != nullptr;
    }
    if (!any) {
        return 0;
    }
    if (!too_late) {
        prepare_for_write_held(first, count);
        too_late = lender_gave_up();
    }
    u64 lost = 0;
    for (u64 at = 0; too_late && at < count; ++at) {
        if (needed[at] != nullptr) {
            frozen_.lose(*needed[at], first + at, 1);
            ++lost;
        }
    }
    return lost;
}

void Region::end_loan(bool too_late) {
    static_assert(Stripes::chunk_pages % leave_batch == 0, "a batch has one stripe");
    if (const Result<void> lent = still_lent(); !lent) {
        return;
    }
    too_late = too_late || lender_gave_up();
    u64 lost = 0;
    if (too_late) {  // nobody may be served from memory that changes unseen, not for a moment
        const Stripes::All held(stripes_);
        for (u64 first = 0; first < pages_; first += leave_batch) {
            lost += take_leave_held(first, std::min(leave_batch, pages_ - first), too_late);
        }
        Locked lock(*damage_mutex_);
        loan_ended_ = true;
    } else {
        damage_mutex_->lock();
        loan_ended_ = true;
        damage_mutex_->unlock();
        for (u64 first = 0; first < pages_; first += leave_batch) {
            const Stripes::One held(stripes_, first);
            lost += take_leave_held(first, std::min(leave_batch, pages_ - first), too_late);
        }
    }
    {
        Locked lock(*damage_mutex_);
        if (damage_.empty()) {
            damage_ = fmt::format("region '{}': the lender took its memory back", name_);
        }
        if (lost > 0) {
            damage_ += fmt::format(
                "; {} pages could not be stored in time and are lost to "
                "snapshots, which refuse to show them",
                lost);
        }
    }
    (void)keep_region();  // refused, a later engine finds the memory changed and says nothing of it
    wire::Message done;
    done.kind = wire::Kind::barrier_done;
    (void)wire::send_or_gone(kernel_, socket_.get(), done);
}

}  // namespace verso::engine
