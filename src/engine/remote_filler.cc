// RemoteFiller: see the header.
#include "engine/remote_filler.h"

#include <algorithm>
#include <array>

#include "engine/place.h"
#include "engine/stripes.h"

namespace verso::engine {

RemoteFiller::RemoteFiller(kernel::Kernel& kernel, Fd socket, Ancestry ancestry, BaseFile base_file)
    : kernel_(kernel),
      socket_(std::move(socket)),
      ancestry_(std::move(ancestry)),
      base_file_(base_file),
      mutex_(kernel.make_mutex()),
      answered_(kernel.make_condition()) {
    if (const int process = ancestry_.level(0).process; process >= 0) {
        const std::array<int, 2> fds{socket_.get(), process};
        const kernel::Outcome both =
            kernel_.perform(kernel::Call::bundle(), kernel::Payload{.fds = fds});
        both_ = both.ok() ? Fd(static_cast<int>(both.value)) : Fd();
    }
}

bool RemoteFiller::parent_ended() const {
    return wire::has_ended(kernel_, ancestry_.level(0).process) ||
           wire::has_hung_up(kernel_, socket_.get());
}

/// Sends a request. False: the parent has gone.
bool RemoteFiller::ask(FillTarget& target, u64 page, PageRange window, bool own) {
    // With settle(): a request that says "unprotected" must not follow the barrier.
    Locked before_or_after_the_barrier(*mutex_);
    wire::Message request;
    request.kind = wire::Kind::serve;
    request.page = page;
    request.window = window;
    request.protect = target.protect.load();
    if (own) {
        own_ = &target;
        asked_ = true;
    } else {
        const auto [at, fresh] = adopted_.try_emplace(&target, adopted_last_ + 1);
        request.number = at->second;
        if (fresh) {
            ++adopted_last_;
            wire::Message adopt;
            adopt.kind = wire::Kind::adopt;
            adopt.number = request.number;
            adopt.address = target.base;
            adopt.lifeline = target.lifeline;
            adopt.text = target.counts->name;
            const std::array<int, 1> fds{target.uffd};
            if (!wire::send_or_gone(kernel_, socket_.get(), adopt, fds)) {
                return false;
            }
        }
    }
    return wire::send_or_gone(kernel_, socket_.get(), request);
}

/// The parent's engine was killed, and another serves us now. Of what the one before had read and
/// not answered nobody knows any more: it is all said again, and whoever waits for a page faults
/// once more. (Only who has attached memory is ever taken over from, and children of that ask for
/// nobody but themselves.)
void RemoteFiller::rejoin() {
    Locked lock(*mutex_);
    if (told_of_heirs_) {
        wire::Message heirs;
        heirs.kind = wire::Kind::heirs;
        (void)wire::send_or_gone(kernel_, socket_.get(), heirs);
    }
    if (barriers_done_ < barriers_sent_) {
        wire::Message barrier;
        barrier.kind = wire::Kind::barrier;
        barrier.number = barriers_sent_;
        (void)wire::send_or_gone(kernel_, socket_.get(), barrier);
    }
    wake_all();
}

void RemoteFiller::wake_all() {
    if (own_ != nullptr) {
        place::wake(kernel_, *own_, 0, own_->pages);
    }
    for (const auto& [other, number] : adopted_) {
        place::wake(kernel_, *other, 0, other->pages);
    }
}

void RemoteFiller::fill(FillTarget& target, u64 page) {
    const PageRange all{0, target.pages};
    if (!parent_gone_.load()) {
        if (ask(target, page, all, true)) {
            return;  // the parent fills and wakes; if it dies first, the socket tells
        }
        take_over();
    }
    Locked one_at_a_time(*mutex_);
    fill_alone(target, page, all);
}

void RemoteFiller::fill_for(FillTarget& other, u64 page, PageRange window) {
    if (!parent_gone_.load()) {
        if (ask(other, page, window, false)) {
            return;
        }
        take_over();
    }
    Locked one_at_a_time(*mutex_);
    fill_alone(other, page, window);
}

void RemoteFiller::disown(FillTarget& other) {
    Locked lock(*mutex_);
    const auto at = adopted_.find(&other);
    if (at == adopted_.end()) {
        return;
    }
    wire::Message message;
    message.kind = wire::Kind::disown;
    message.number = at->second;
    adopted_.erase(at);
    if (!parent_gone_.load()) {
        (void)wire::send_or_gone(kernel_, socket_.get(), message);
    }
}

void RemoteFiller::on_watched(FillTarget& target) {
    {
        Locked lock(*mutex_);
        own_ = &target;
    }
    while (true) {
        Result<wire::Received> received = wire::receive_now(kernel_, socket_.get());
        if (!received) {
            if (parent_ended()) {
                take_over();
            }
            return;  // whatever else it was, it will be asked again
        }
        if (received->message.kind == wire::Kind::barrier_done) {
            Locked lock(*mutex_);
            barriers_done_ = std::max(barriers_done_, received->message.number);
            unsure_ = unsure_ || !received->message.protect;
            answered_->notify_all();
        } else if (received->message.kind == wire::Kind::lost) {
            hide(received->message);
        } else if (received->message.kind == wire::Kind::move) {
            begin_move(target, received->message.page);
        } else if (received->message.kind == wire::Kind::resumed) {
            rejoin();
        }
    }
}

/// The parent waits for an answer, and fills nothing there until it has one.
void RemoteFiller::begin_move(FillTarget& target, u64 page) {
    if (page >= target.pages || page % Stripes::chunk_pages != 0) {
        return;
    }
    const u64 chunk = Stripes::chunk_of(page);
    const PageRange range = target.chunk(chunk);
    bool whole = target.ask_move != nullptr && target.base_of(page) == BaseFile::live;
    for (u64 at = page; whole && at < page + range.count; ++at) {
        whole = ancestry_.is_in_layer(at);
    }
    if (!whole) {
        concluded(target, chunk, false);
        place::wake(kernel_, target, range.first, range.count);
        return;
    }
    target.moves.moving->set(chunk);
    (void)target.ask_move(chunk);
}

void RemoteFiller::concluded(FillTarget& target, u64 chunk, bool moved) {
    wire::Message answer;
    answer.kind = moved ? wire::Kind::moved : wire::Kind::stayed;
    answer.page = target.chunk(chunk).first;
    if (!parent_gone_.load()) {
        (void)wire::send_or_gone(kernel_, socket_.get(), answer);
    }
}

/// The parent found that a page is lost, and cannot say so to the kernel from where it is.
void RemoteFiller::hide(const wire::Message& lost) {
    Locked lock(*mutex_);
    const auto at = std::find_if(adopted_.begin(), adopted_.end(),
                                 [&](const auto& each) { return each.second == lost.number; });
    const FillTarget* target = lost.number == 0 ? own_ : at != adopted_.end() ? at->first : nullptr;
    if (target != nullptr && lost.page < target->pages) {
        place::poison(kernel_, *target, lost.page);
    }
}

/// Requests may have died with the parent: everybody who waits faults once more, and is served
/// here.
void RemoteFiller::take_over() {
    Locked lock(*mutex_);
    parent_gone_.store(true);
    answered_->notify_all();
    wake_all();
}

/// Who has died has done before what it had begun. One that lives, and that nothing can be said to
/// any more, may still be at it.
bool RemoteFiller::settle(FillTarget& target) {
    Locked lock(*mutex_);  // also waits for a fill of our own
    wire::Message barrier;
    barrier.kind = wire::Kind::barrier;
    barrier.number = ++barriers_sent_;
    if (!parent_gone_.load() && wire::send_or_gone(kernel_, socket_.get(), barrier)) {
        while (!parent_gone_.load() && barriers_done_ < barrier.number) {
            answered_->wait(*mutex_);
        }
    }
    if (barriers_done_ >= barrier.number) {
        return !unsure_;
    }
    const bool asked = adopted_.contains(&target) || (own_ == &target && asked_);
    if (asked && !parent_writes_no_more() && !cut_off_) {
        parent_dead_ = wire::ends_soon(kernel_, ancestry_.level(0).process);
        cut_off_ = !parent_dead_;
    }
    return !asked || parent_dead_;
}

/// mutex_ is held.
bool RemoteFiller::parent_writes_no_more() {
    const int process = ancestry_.level(0).process;
    parent_dead_ = parent_dead_ || process < 0 || wire::has_ended(kernel_, process);
    return parent_dead_;
}

/// The pages are settled: the exporter did that before it offered. Somebody is about to get our
/// levels, and with them a duplicate of the socket, and will need the parent's layer also when this
/// process has ended; which is otherwise all that the parent waits for.
Result<void> RemoteFiller::settle_levels() {
    Locked lock(*mutex_);
    if (!told_of_heirs_ && !parent_gone_.load()) {
        wire::Message heirs;
        heirs.kind = wire::Kind::heirs;
        told_of_heirs_ = wire::send_or_gone(kernel_, socket_.get(), heirs);
    }
    return {};
}

void RemoteFiller::fill_alone(FillTarget& target, u64 page, PageRange window) {
    constexpr u64 ahead = 64;
    if (target.is_moving(page)) {
        return;  // whoever waits is woken when that is done
    }
    target.counts->faults.fetch_add(1, std::memory_order_relaxed);
    const bool live = target.base_of(page) == BaseFile::live;
    const bool still = parent_writes_no_more();
    const auto mappable = [&](u64 at) {
        return still && (live ? ancestry_.is_live(at) : ancestry_.is_in_layer(at));
    };
    if (!mappable(page)) {
        Ancestry::Page bytes;
        if (!ancestry_.read(page, bytes)) {
            place::poison(kernel_, target, page);
            return;
        }
        if (live || !still || !ancestry_.store_in_layer(page, bytes)) {
            (void)place::contents(kernel_, target, page, bytes);
            return;
        }
    }
    const u64 end_max = std::min(round_down(page, ahead) + ahead, window.first + window.count);
    u64 end = page + 1;
    while (end < end_max && !target.served->test(end) && mappable(end)) {
        ++end;
    }
    const place::Mapped mapped = place::base_pages(kernel_, target, page, end - page, page);
    if (mapped.cannot_protect || mapped.not_found) {
        Ancestry::Page bytes;
        if (ancestry_.read(page, bytes)) {
            (void)place::contents(kernel_, target, page, bytes);
        } else {
            place::poison(kernel_, target, page);
        }
    }
}

}  // namespace verso::engine
