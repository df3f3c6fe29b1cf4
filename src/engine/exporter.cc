// Exporting a child: see the header.
#include "engine/exporter.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <map>

#include "engine/local_filler.h"
#include "engine/presence.h"
#include "engine/stripes.h"
#include "engine/wire.h"

namespace verso::engine {

using kernel::Call;
using kernel::Outcome;
using kernel::Payload;
using kernel::Wait;

namespace {

/// Serves one child until it hangs up. The LocalFiller it holds keeps the region and the layer
/// alive.
class ChildService final : public Runtime::Service {
public:
    ChildService(kernel::Kernel& kernel, std::unique_ptr<Filler> filler, Fd socket, Fd stop)
        : kernel_(kernel),
          socket_(std::move(socket)),
          stop_(std::move(stop)),
          filler_(std::move(filler)),
          mutex_(kernel.make_mutex()),
          decided_(kernel.make_condition()) {}

    ~ChildService() override {
        for (const auto& [number, adopted] : adopted_) {
            filler_->disown(adopted->target);
        }
    }
    ChildService(const ChildService&) = delete;
    ChildService& operator=(const ChildService&) = delete;

    /// The thread waits until the child exists, or is known never to.
    void decide(bool child_exists) {
        Locked lock(*mutex_);
        state_ = child_exists ? State::serving : State::over;
        decided_->notify_all();
    }

    void set_child(std::vector<Fd> fds, const wire::Message& ready, u64 pages, BaseFile base_file) {
        uffd_ = std::move(fds[0]);
        if (fds.size() > 1) {
            process_ = std::move(fds[1]);
        }
        target_.uffd = uffd_.get();
        target_.base = ready.address;
        target_.lifeline = ready.lifeline;
        target_.pages = pages;
        target_.base_file = base_file;
        target_.served = Bitmap(pages);
        target_.tell_lost = [this](u64 page) { tell_lost(page, 0); };
        if (base_file == BaseFile::live) {
            target_.moves = Moves(pages);
            target_.ask_move = [this](u64 chunk) { return ask_move(chunk); };
        }
    }
    int socket() const { return socket_.get(); }

    void run() override {
        {
            Locked lock(*mutex_);
            while (state_ == State::waiting) {
                decided_->wait(*mutex_);
            }
            if (state_ == State::over) {
                return;
            }
        }
        while (true) {
            std::array<Wait, 3> waits{Wait{socket_.get()}, Wait{stop_.get()}, Wait{process_.get()}};
            const std::size_t used = process_.valid() && !child_gone_.load() ? 3 : 2;
            (void)kernel_.perform(Call::wait(~u64{0}),
                                  Payload{.waits = std::span(waits).first(used)});
            if (waits[1].ready || (waits[2].ready && !leaves_heirs())) {
                return;  // what it asked last, nobody waits for any more
            }
            if (!waits[0].ready && !waits[0].hung_up) {
                continue;
            }
            Result<wire::Received> received = wire::receive_now(kernel_, socket_.get());
            if (!received && received.error().os_error == EAGAIN) {
                continue;
            }
            if (!received && received.error().kind != ErrorKind::peer) {
                (void)kernel_.perform(Call::wait(1));
                continue;  // our own trouble: the child relies on us as long as it lives
            }
            if (!received) {
                if (waits[0].hung_up || wire::has_hung_up(kernel_, socket_.get())) {
                    outlast_the_socket();
                    return;
                }
                continue;
            }
            if (received->message.kind == wire::Kind::refused) {
                return;  // it could not start after all
            }
            handle(received->message, std::move(received->fds));
        }
    }
    void stop() override {
        (void)kernel_.perform(Call::event_signal(stop_.get()));
        Locked lock(*mutex_);
        state_ = state_ == State::waiting ? State::over : state_;
        decided_->notify_all();
    }

private:
    enum class State { waiting, serving, over };

    /// A child of our child: it maps the same file, and asks through its parent.
    struct Adopted {
        Fd uffd;
        FillTarget target;
    };
    static constexpr std::size_t adopted_max = 4096;
    // More than these, and both ends could come to wait for room in the other's socket.
    static constexpr unsigned moves_max = 16;

    /// The child's process has ended. Who got a child of it holds a duplicate of its end of the
    /// socket, and reads our layer itself from now on: the layer stays until the last one closes
    /// it. Nobody reads there any more, so nothing more is sent.
    bool leaves_heirs() {
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
    void outlast_the_socket() {
        constexpr u64 pause_ms_max = 1'000;
        child_gone_.store(true);
        Presence presence(kernel_);
        for (u64 pause_ms = 1; has_memory(presence);
             pause_ms = std::min(2 * pause_ms, pause_ms_max)) {
            std::array<Wait, 1> stop{Wait{stop_.get()}};
            (void)kernel_.perform(Call::wait(pause_ms), Payload{.waits = stop});
            if (stop[0].ready) {
                return;
            }
        }
    }
    bool has_memory(Presence& presence) const {
        return presence.still_there(target_) || std::ranges::any_of(adopted_, [&](const auto& one) {
                   return presence.still_there(one.second->target);
               });
    }

    void handle(const wire::Message& message, std::vector<Fd> fds) {
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
            case wire::Kind::move:
            case wire::Kind::lend: return;
        }
    }

    void serve(const wire::Message& message) {
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

    void adopt(const wire::Message& message, Fd uffd) {
        auto adopted = std::make_unique<Adopted>();
        adopted->uffd = std::move(uffd);
        adopted->target.uffd = adopted->uffd.get();
        adopted->target.base = message.address;
        adopted->target.lifeline = message.lifeline;
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
    void disown(u64 number) {
        const auto at = adopted_.find(number);
        if (at != adopted_.end()) {
            filler_->disown(at->second->target);
            adopted_.erase(at);
        }
    }

    bool ask_move(u64 chunk) {
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

    void conclude_move(const wire::Message& message) {
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
    void tell(const wire::Message& message) {
        while (!child_gone_.load() && !wire::send(kernel_, socket_.get(), message).ok()) {
            if (wire::has_hung_up(kernel_, socket_.get()) ||
                wire::has_ended(kernel_, process_.get())) {
                return;
            }
            (void)kernel_.perform(Call::wait(1));
        }
    }

    void tell_lost(u64 page, u64 number) {
        wire::Message lost;
        lost.kind = wire::Kind::lost;
        lost.page = page;
        lost.number = number;
        tell(lost);
    }

    kernel::Kernel& kernel_;
    Fd socket_;
    Fd stop_;
    Fd uffd_;
    Fd process_;  // the child's
    bool heirs_ = false;
    std::atomic<bool> child_gone_{false};
    FillTarget target_;
    unsigned moves_asked_ = 0;  // and not yet answered
    std::map<u64, std::unique_ptr<Adopted>> adopted_;
    std::unique_ptr<Filler> filler_;  // after the targets: it disowns our own when it goes
    std::unique_ptr<kernel::Mutex> mutex_;
    std::unique_ptr<kernel::Condition> decided_;
    State state_ = State::waiting;  // guarded by mutex_
};

/// The offer, and the descriptors that go with it. The nearest levels, up to the first that has a
/// socket to somebody, are those of `us`, this process.
std::pair<wire::Message, std::vector<int>> make_offer(const std::vector<Level>& levels, int us,
                                                      u64 pages, BaseFile base_file) {
    wire::Message offer;
    offer.kind = wire::Kind::offer;
    offer.pages = pages;
    offer.base_file = base_file;
    std::vector<int> fds;
    bool ours = true;
    for (const Level& level : levels) {
        ours = ours && level.pin < 0;
        const int process = ours ? us : level.process;
        offer.levels.push_back(
            {level.seq, level.slot, level.live >= 0, level.pin >= 0, process >= 0});
        fds.push_back(level.frozen);
        fds.push_back(level.ledger);
        if (level.live >= 0) {
            fds.push_back(level.live);
        }
        if (level.pin >= 0) {
            fds.push_back(level.pin);
        }
        if (process >= 0) {
            fds.push_back(process);
        }
    }
    return {std::move(offer), std::move(fds)};
}

Result<void> shake_hands(kernel::Kernel& kernel, ChildService& service, const wire::Message& offer,
                         std::span<const int> fds, int timeout_ms) {
    const Outcome sent = wire::send(kernel, service.socket(), offer, fds);
    if (!sent.ok()) {
        return refuse(sent, "offering a child to the other process");
    }
    Result<wire::Received> ready =
        wire::receive(kernel, service.socket(), wire::Kind::ready, timeout_ms);
    if (!ready) {
        return pass(ready, "waiting for the importing process");
    }
    if (ready->fds.empty() || ready->fds.size() > 2) {
        return fail(ErrorKind::peer, 0,
                    "the importing process sent {} descriptors instead of its "
                    "userfaultfd",
                    ready->fds.size());
    }
    service.set_child(std::move(ready->fds), ready->message, offer.pages, offer.base_file);
    wire::Message accepted;
    accepted.kind = wire::Kind::accepted;
    const Outcome told = wire::send(kernel, service.socket(), accepted);
    if (!told.ok()) {
        return refuse(told, "starting the child in the other process");
    }
    return {};
}

}  // namespace

Result<void> export_child(const std::shared_ptr<Region>& region, Layer& layer, int socket,
                          int timeout_ms) {
    kernel::Kernel& kernel = region->kernel();
    if (region->backend() != Backend::userfaultfd) {
        return fail(ErrorKind::unsupported, 0,
                    "a child in another process needs userfaultfd; region '{}' uses mprotect (see "
                    "`verso doctor`)",
                    region->name());
    }
    const Outcome copied = kernel.perform(Call::duplicate(socket));
    if (!copied.ok()) {
        return fail(ErrorKind::invalid_argument, copied.error,
                    "descriptor {} is not a socket that can be kept: {}", socket,
                    kernel::to_string(copied));
    }
    Fd kept(static_cast<int>(copied.value));
    const Outcome event = kernel.perform(Call::event_create());
    if (!event.ok()) {
        return refuse(event, "creating the child's stop event");
    }
    Fd stop(static_cast<int>(event.value));
    const BaseFile base_file = region->base_file_for(layer);
    Result<std::unique_ptr<Filler>> filler = LocalFiller::make(region, layer, base_file);
    if (!filler) {
        return pass(filler);
    }
    Result<void> settled = (*filler)->settle_levels();
    if (!settled) {
        return settled;
    }
    const std::vector<Level> levels = (*filler)->levels();
    if (levels.size() > Limits::depth_max) {
        return fail(ErrorKind::resource, 0,
                    "this child would be a fork of depth {}; the limit is {}", levels.size(),
                    Limits::depth_max);
    }
    const Fd us = wire::this_process(kernel);
    const auto [offer, fds] = make_offer(levels, us.get(), region->pages(), base_file);
    auto service = std::make_unique<ChildService>(kernel, std::move(*filler), std::move(kept),
                                                  std::move(stop));
    ChildService& serving = *service;  // lives until decide(): its thread waits for that
    Result<void> started = region->runtime().start("verso-serve", std::move(service));
    if (!started) {
        return started;
    }
    Result<void> agreed = shake_hands(kernel, serving, offer, fds, timeout_ms);
    serving.decide(agreed.has_value());
    return agreed;
}

Result<void> Snapshot::export_fork(int socket, int timeout_ms) {
    return export_child(region_, layer_, socket, timeout_ms);
}

}  // namespace verso::engine
