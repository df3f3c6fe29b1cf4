// Ancestry: see the header.
#include "engine/ancestry.h"

namespace verso::engine {

using kernel::Call;
using kernel::Outcome;
using kernel::Payload;

Result<Ancestry> Ancestry::open(kernel::Kernel& kernel, const wire::Message& offer,
                                std::vector<Fd> fds) {
    Ancestry ancestry;
    ancestry.kernel_ = &kernel;
    ancestry.pages_ = offer.pages;
    std::size_t wanted = 0;
    for (const wire::LevelInfo& info : offer.levels) {
        wanted += std::size_t{2} + (info.has_live ? 1 : 0) + (info.has_pin ? 1 : 0) +
                  (info.has_process ? 1 : 0);
    }
    if (offer.levels.empty() || offer.pages == 0 || wanted != fds.size()) {
        return fail(ErrorKind::peer, 0, "the offer announced {} descriptors and {} came", wanted,
                    fds.size());
    }
    std::size_t next = 0;
    for (const wire::LevelInfo& info : offer.levels) {
        Open level;
        level.frozen = std::move(fds[next++]);
        Result<Ledger> ledger = Ledger::open(kernel, std::move(fds[next++]), offer.pages);
        if (!ledger) {
            return pass(ledger);
        }
        level.ledger = std::move(*ledger);
        if (info.has_live) {
            level.live = std::move(fds[next++]);
        }
        if (info.has_pin) {
            level.pin = std::move(fds[next++]);
        }
        if (info.has_process) {
            level.process = std::move(fds[next++]);
        }
        level.level =
            Level{info.seq,         info.slot,       level.frozen.get(), level.ledger.fd(),
                  level.live.get(), level.pin.get(), level.process.get()};
        ancestry.levels_.push_back(std::move(level));
    }
    return ancestry;
}

std::vector<Level> Ancestry::levels(int pin) const {
    std::vector<Level> levels;
    levels.reserve(levels_.size());
    for (const Open& each : levels_) {
        levels.push_back(each.level);
    }
    levels[0].pin = pin;
    return levels;
}

Ancestry::Found Ancestry::read_captured(Open& level, u64 page, Page& out) {
    for (const u32 slot : level.ledger.slots_from(level.level.seq)) {
        if (!level.ledger.captured(slot).test(page)) {
            continue;
        }
        if (level.ledger.lost(slot).test(page)) {
            return Found::lost;
        }
        const u64 offset = slot * to_bytes(pages_) + to_bytes(page);
        const Outcome read = kernel_->perform(
            Call::file_read(level.frozen.get(), offset, page_size), Payload{.out = out});
        // A short read would be a hole shown as data (H19's mistake): the page is lost instead.
        return read.ok() && read.value == static_cast<i64>(page_size) ? Found::bytes : Found::lost;
    }
    return Found::unchanged;
}

/// Level 0's owner is dead whenever we read at all, or we cannot know how long it is not (its
/// sockets close some time before its process has ended). Further up, its process tells, or its
/// socket.
bool Ancestry::owner_gone(const Open& level, std::size_t index) const {
    if (index == 0 || wire::has_ended(*kernel_, level.process.get())) {
        return true;
    }
    if (!level.pin.valid()) {
        return true;  // it lived in the same process as a level below that is dead
    }
    return wire::has_hung_up(*kernel_, level.pin.get());
}

/// Whether an ancestor further up keeps its layer, as it does while the socket is open to it, and
/// once it has died. Asked after reading. Closed by somebody else, the socket keeps nothing.
bool Ancestry::is_kept(Open& level, std::size_t index) const {
    if (index == 0 || !level.pin.valid() || !level.process.valid() ||
        !wire::has_hung_up(*kernel_, level.pin.get())) {
        return true;
    }
    if (level.cut_off) {
        return wire::has_ended(*kernel_, level.process.get());
    }
    level.cut_off = !wire::ends_soon(*kernel_, level.process.get());
    return !level.cut_off;
}

bool Ancestry::read(u64 page, Page& out) {
    for (std::size_t i = 0; i < levels_.size(); ++i) {
        Open& level = levels_[i];
        Found found = read_captured(level, page, out);
        if (found != Found::unchanged) {
            return found == Found::bytes && is_kept(level, i);
        }
        if (!level.live.valid()) {
            continue;  // never this ancestor's own page
        }
        const Outcome read = kernel_->perform(
            Call::file_read(level.live.get(), to_bytes(page), page_size), Payload{.out = out});
        std::atomic_thread_fence(std::memory_order_seq_cst);
        const bool whole = read.ok() && read.value == static_cast<i64>(page_size);
        Page old;
        found = read_captured(level, page, old);
        if (found == Found::bytes) {
            out = old;
        }
        if (found != Found::unchanged) {
            return found == Found::bytes && is_kept(level, i);
        }
        return whole && is_kept(level, i) && (level.ledger.trusted() || !owner_gone(level, i));
    }
    return false;
}

bool Ancestry::is_live(u64 page) {
    Open& level = levels_[0];
    if (!level.live.valid() || !level.ledger.trusted()) {
        return false;
    }
    for (const u32 slot : level.ledger.slots_from(level.level.seq)) {
        if (level.ledger.captured(slot).test(page)) {
            return false;
        }
    }
    return true;
}

bool Ancestry::is_in_layer(u64 page) {
    const Open& level = levels_[0];
    return level.ledger.captured(level.level.slot).test(page) &&
           !level.ledger.lost(level.level.slot).test(page);
}

bool Ancestry::store_in_layer(u64 page, const Page& bytes) {
    Open& level = levels_[0];
    const Outcome written = kernel_->perform(
        Call::file_write(level.frozen.get(), area(level) + to_bytes(page), page_size),
        Payload{.in = bytes});
    if (!written.ok() || written.value != static_cast<i64>(page_size)) {
        return false;
    }
    level.ledger.captured(level.level.slot).set(page);
    return true;
}

}  // namespace verso::engine
