// ChildService: see the header.
#include "engine/child_service.h"

#include <algorithm>
#include <array>

#include "engine/stripes.h"

namespace verso::engine {

using kernel::Call;
using kernel::Payload;
using kernel::Wait;

ChildService::ChildService(kernel::Kernel& kernel, std::unique_ptr<Filler> filler, Fd socket,
                           Fd stop)
    : kernel_(kernel),
      socket_(std::move(socket)),
      stop_(std::move(stop)),
      filler_(std::move(filler)),
      mutex_(kernel.make_mutex()),
      decided_(kernel.make_condition()) {}

ChildService::~ChildService() {
    if (safe_ != nullptr) {
        safe_->drop(key_);  // before the layer that it reads is given back
    }
    for (const auto& [number, adopted] : adopted_) {
        filler_->disown(adopted->target);
    }
}

void ChildService::decide(bool child_exists) {
    Locked lock(*mutex_);
    state_ = child_exists ? State::serving : State::over;
    decided_->notify_all();
}

void ChildService::set_child(std::vector<Fd> fds, u64 address, u64 lifeline, std::string name,
                             u64 pages, BaseFile base_file) {
    uffd_ = std::move(fds[0]);
    if (fds.size() > 1) {
        process_ = std::move(fds[1]);
    }
    target_.uffd = uffd_.get();
    target_.base = address;
    target_.lifeline = lifeline;
    target_.counts->name = std::move(name);
    target_.pages = pages;
    target_.base_file = base_file;
    target_.served = Bitmap(pages);
    target_.tell_lost = [this](u64 page) { tell_lost(page, 0); };
    if (base_file == BaseFile::live) {
        target_.moves = Moves(pages);
        target_.ask_move = [this](u64 chunk) { return ask_move(chunk); };
    }
}

std::vector<int> ChildService::fds() const {
    std::vector<int> all{socket_.get(), uffd_.get()};
    if (process_.valid()) {
        all.push_back(process_.get());
    }
    return all;
}

void ChildService::kept(Safekeeping& safe, std::string key) {
    safe_ = &safe;
    key_ = std::move(key);
}

bool ChildService::wait_to_begin() {
    Locked lock(*mutex_);
    while (state_ == State::waiting) {
        decided_->wait(*mutex_);
    }
    return state_ == State::serving;
}

void ChildService::run() {
    if (!wait_to_begin()) {
        return;
    }
    if (resumes_) {
        // It may have been put away and not told so: to whom runs already, that says nothing.
        for (const wire::Kind kind : {wire::Kind::accepted, wire::Kind::resumed}) {
            wire::Message news;
            news.kind = kind;
            tell(news);
        }
    }
    while (serve_next()) {}
}

/// False: nobody is left to serve.
bool ChildService::serve_next() {
    std::array<Wait, 3> waits{Wait{socket_.get()}, Wait{stop_.get()}, Wait{process_.get()}};
    const std::size_t used = process_.valid() && !child_gone_.load() ? 3 : 2;
    (void)kernel_.perform(Call::wait(~u64{0}), Payload{.waits = std::span(waits).first(used)});
    if (waits[1].ready || (waits[2].ready && !leaves_heirs())) {
        return false;  // what it asked last, nobody waits for any more
    }
    if (!waits[0].ready && !waits[0].hung_up) {
        return true;
    }
    Result<wire::Received> received = wire::receive_now(kernel_, socket_.get());
    if (!received && received.error().os_error == EAGAIN) {
        return true;
    }
    if (!received && received.error().kind != ErrorKind::peer) {
        (void)kernel_.perform(Call::wait(1));
        return true;  // our own trouble: the child relies on us as long as it lives
    }
    if (!received) {
        if (waits[0].hung_up || wire::has_hung_up(kernel_, socket_.get())) {
            outlast_the_socket();
            return false;
        }
        return true;
    }
    if (received->message.kind == wire::Kind::refused) {
        return false;  // it could not start after all
    }
    handle(received->message, std::move(received->fds));
    return true;
}

void ChildService::stop() {
    (void)kernel_.perform(Call::event_signal(stop_.get()));
    Locked lock(*mutex_);
    state_ = state_ == State::waiting ? State::over : state_;
    decided_->notify_all();
}

/// The child's process has ended. Who got a child of it holds a duplicate of its end of the
/// socket, and reads our layer itself from now on: the layer stays until the last one closes
/// it. Nobody reads there any more, so nothing more is sent.
bool ChildService::leaves_heirs() {
    while (!heirs_) {
        const Result<wire::Received> last = wire::receive_now(kernel_, socket_.get());
        if (!last) {
            return false;
        }
        heirs_ = last->message.kind == wire::Kind::heirs;
    }
    child_gone_.store(true);
    return true;
}

/// As a rule the child has ended. But somebody may have closed the socket alone: then the child
/// has pages of ours mapped, and reads our layer itself, until its memory has gone. Nothing can
/// be said meanwhile.
void ChildService::outlast_the_socket() {
    constexpr u64 pause_ms_max = 1'000;
    child_gone_.store(true);
    Presence presence(kernel_);
    for (u64 pause_ms = 1; has_memory(presence); pause_ms = std::min(2 * pause_ms, pause_ms_max)) {
        std::array<Wait, 1> stop{Wait{stop_.get()}};
        (void)kernel_.perform(Call::wait(pause_ms), Payload{.waits = stop});
        if (stop[0].ready) {
            return;
        }
    }
}
bool ChildService::has_memory(Presence& presence) const {
    return presence.still_there(target_) || std::ranges::any_of(adopted_, [&](const auto& one) {
               return presence.still_there(one.second->target);
           });
}

void ChildService::handle(const wire::Message& message, std::vector<Fd> fds) {
    switch (message.kind) {
        case wire::Kind::heirs: heirs_ = true; return;
        case wire::Kind::serve: serve(message); return;
        case wire::Kind::adopt:
            if (fds.size() == 1 && adopted_.size() < adopted_max) {
                adopt(message, std::move(fds[0]));
            }
            return;
        case wire::Kind::disown: disown(message.number); return;
        case wire::Kind::moved:
        case wire::Kind::stayed: conclude_move(message); return;
        case wire::Kind::barrier: {
            wire::Message done;
            done.kind = wire::Kind::barrier_done;
            done.protect = filler_->settle(target_);  // we may have passed fills on, too
            done.number = message.number;
            tell(done);
            return;
        }
        case wire::Kind::offer:
        case wire::Kind::ready:
        case wire::Kind::accepted:
        case wire::Kind::refused:
        case wire::Kind::barrier_done:
        case wire::Kind::lost:
        case wire::Kind::resumed:
        case wire::Kind::move:
        case wire::Kind::lend: return;
    }
}

void ChildService::serve(const wire::Message& message) {
    if (message.page >= target_.pages || message.window.first > target_.pages ||
        message.window.count > target_.pages - message.window.first) {
        return;
    }
    if (message.number == 0) {
        target_.protect.store(message.protect);
        filler_->fill(target_, message.page);
        return;
    }
    const auto at = adopted_.find(message.number);
    if (at != adopted_.end()) {
        at->second->target.protect.store(message.protect);
        filler_->fill_for(at->second->target, message.page, message.window);
    }
}

void ChildService::adopt(const wire::Message& message, Fd uffd) {
    auto adopted = std::make_unique<Adopted>();
    adopted->uffd = std::move(uffd);
    adopted->target.uffd = adopted->uffd.get();
    adopted->target.base = message.address;
    adopted->target.lifeline = message.lifeline;
    adopted->target.counts->name = message.text;
    adopted->target.pages = target_.pages;
    adopted->target.base_file = target_.base_file;
    adopted->target.served = Bitmap(target_.pages);
    adopted->target.tell_lost = [this, number = message.number](u64 page) {
        tell_lost(page, number);
    };
    adopted_[message.number] = std::move(adopted);
}

/// Whom we passed its requests on to must forget it, too: it knows a target by its place in
/// memory, where the next one may come to lie.
void ChildService::disown(u64 number) {
    const auto at = adopted_.find(number);
    if (at != adopted_.end()) {
        filler_->disown(at->second->target);
        adopted_.erase(at);
    }
}

bool ChildService::ask_move(u64 chunk) {
    if (child_gone_.load() || moves_asked_ >= moves_max) {
        return false;
    }
    ++moves_asked_;
    wire::Message move;
    move.kind = wire::Kind::move;
    move.page = target_.chunk(chunk).first;
    tell(move);
    return true;
}

void ChildService::conclude_move(const wire::Message& message) {
    const u64 chunk = Stripes::chunk_of(message.page);
    if (message.page >= target_.pages || !target_.is_moving(message.page)) {
        return;  // nobody asked
    }
    --moves_asked_;
    target_.moves.moving->clear(chunk);
    if (message.kind == wire::Kind::moved) {
        const PageRange range = target_.chunk(chunk);
        target_.served->clear_range(range.first, range.count);
        target_.moves.frozen->set(chunk);
    }
}

/// Nobody reads at the other end once the child's process has ended, open though it may be.
void ChildService::tell(const wire::Message& message) {
    while (!child_gone_.load() && !wire::send(kernel_, socket_.get(), message).ok()) {
        if (wire::has_hung_up(kernel_, socket_.get()) || wire::has_ended(kernel_, process_.get())) {
            return;
        }
        (void)kernel_.perform(Call::wait(1));
    }
}

void ChildService::tell_lost(u64 page, u64 number) {
    wire::Message lost;
    lost.kind = wire::Kind::lost;
    lost.page = page;
    lost.number = number;
    tell(lost);
}

}  // namespace verso::engine
