// A region whose mapping lives in another process. That process opens the userfaultfd (it belongs
// to its address space), and sends it with the memfd; everything else is the same engine:
// userfaultfd calls act on the other address space, and old bytes are read through our own alias
// of the memfd.
//
// If we die, the lender's memory goes on changing unprotected; therefore its ledger says "not
// trusted", and children that still need uncaptured pages get SIGBUS instead of whatever is there
// by then.
#include <array>

#include "engine/region.h"
#include "engine/wire.h"

namespace verso::engine {

using kernel::Outcome;
using kernel::RegisterMode;

Result<std::shared_ptr<Region>> Region::attach(Runtime& runtime, int socket, std::string name,
                                               int timeout_ms) {
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
        Result<void> ready = region.map_live(false, 0);
        if (ready) {
            ready = region.watch(RegisterMode::write_protect);
        }
        if (!ready) {
            return pass(ready);
        }
        region.reader_ = kernel.spawn("verso-faults", [&region] { region.read_events(); });
        if (region.reader_ == nullptr) {
            return fail(ErrorKind::resource, 0, "no more threads to serve the lender's memory");
        }
        return made;
    };
    Result<std::shared_ptr<Region>> made = build();
    wire::Message answer;
    answer.kind = made ? wire::Kind::accepted : wire::Kind::refused;
    answer.text = made ? std::string() : made.error().message;
    const Outcome told = wire::send(kernel, socket, answer);
    if (made && !told.ok()) {
        return refuse(told, "answering the lender");
    }
    if (made) {
        (*made)->socket_ = std::move(kept);
    }
    return made;
}

}  // namespace verso::engine
