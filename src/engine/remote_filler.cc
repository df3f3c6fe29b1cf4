// RemoteFiller: see the header.
#include "engine/remote_filler.h"

#include <algorithm>

#include "engine/place.h"
#include "engine/stripes.h"

namespace verso::engine {

RemoteFiller::RemoteFiller(kernel::Kernel& kernel, Fd socket, Ancestry ancestry)
    : kernel_(kernel),
      socket_(std::move(socket)),
      ancestry_(std::move(ancestry)),
      mutex_(kernel.make_mutex()),
      answered_(kernel.make_condition()) {}

void RemoteFiller::fill(FillTarget& target, u64 page) {
    if (!parent_gone_.load()) {
        wire::Message request;
        request.kind = wire::Kind::serve;
        request.page = page;
        const bool sent = [&] {
            // With settle(): a request that says "unprotected" must not follow the barrier.
            Locked before_or_after_the_barrier(*mutex_);
            request.protect = target.protect.load();
            return wire::send_or_gone(kernel_, socket_.get(), request);
        }();
        if (sent) {
            return;  // the parent fills and wakes; if it dies first, the socket tells
        }
        take_over(target);
    }
    Locked one_at_a_time(*mutex_);
    fill_alone(target, page);
}

void RemoteFiller::on_watched(FillTarget& target) {
    while (true) {
        Result<wire::Received> received = wire::receive_now(kernel_, socket_.get());
        if (!received) {
            if (received.error().os_error != EAGAIN && wire::has_hung_up(kernel_, socket_.get())) {
                take_over(target);
            }
            return;  // whatever else it was, it will be asked again
        }
        if (received->message.kind == wire::Kind::barrier_done) {
            Locked lock(*mutex_);
            barriers_done_ = std::max(barriers_done_, received->message.number);
            answered_->notify_all();
        }
    }
}

/// Requests may have died with the parent: everybody who waits faults once more, and is served
/// here.
void RemoteFiller::take_over(FillTarget& target) {
    {
        Locked lock(*mutex_);
        parent_gone_.store(true);
        answered_->notify_all();
    }
    place::wake(kernel_, target, 0, target.pages);
}

void RemoteFiller::settle(FillTarget&) {
    Locked lock(*mutex_);  // also waits for a fill of our own
    if (parent_gone_.load()) {
        return;
    }
    wire::Message barrier;
    barrier.kind = wire::Kind::barrier;
    barrier.number = ++barriers_sent_;
    if (!wire::send_or_gone(kernel_, socket_.get(), barrier)) {
        return;  // gone: what it had begun, it did before it died
    }
    while (!parent_gone_.load() && barriers_done_ < barrier.number) {
        answered_->wait(*mutex_);
    }
}

void RemoteFiller::fill_alone(FillTarget& target, u64 page) {
    constexpr u64 window = 64;
    const bool live = target.base_file == BaseFile::live;
    const auto mappable = [&](u64 at) {
        return live ? ancestry_.is_live(at) : ancestry_.is_in_layer(at);
    };
    if (!mappable(page)) {
        Ancestry::Page bytes;
        if (!ancestry_.read(page, bytes)) {
            place::poison(kernel_, target, page);
            return;
        }
        if (live || !ancestry_.store_in_layer(page, bytes)) {
            (void)place::copies(kernel_, target, page, bytes);
            return;
        }
    }
    const u64 end_max = std::min(round_down(page, window) + window, target.pages);
    u64 end = page + 1;
    while (end < end_max && !target.served->test(end) && mappable(end)) {
        ++end;
    }
    const place::Mapped mapped = place::base_pages(kernel_, target, page, end - page, page);
    if (mapped.cannot_protect || mapped.not_found) {
        Ancestry::Page bytes;
        if (ancestry_.read(page, bytes)) {
            place::whole_page(kernel_, target, page, bytes);
        } else {
            place::poison(kernel_, target, page);
        }
    }
}

}  // namespace verso::engine
