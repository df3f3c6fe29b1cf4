// Exporting a child: see the header.
#include "engine/exporter.h"

#include "engine/child_service.h"
#include "engine/local_filler.h"
#include "engine/wire.h"

namespace verso::engine {

using kernel::Call;
using kernel::Outcome;

namespace {

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

/// Once it is told that it is accepted, the child runs: whoever takes over must know of it by then.
Result<void> keep(Region& region, const Layer& layer, ChildService& service) {
    if (region.safe() == nullptr) {
        return {};
    }
    Result<std::string> key = region.keep_child(layer, service.target(), service.fds());
    if (!key) {
        return pass(key);
    }
    service.kept(*region.safe(), std::move(*key));
    return {};
}

Result<void> shake_hands(Region& region, const Layer& layer, ChildService& service,
                         const wire::Message& offer, std::span<const int> fds, int timeout_ms) {
    kernel::Kernel& kernel = region.kernel();
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
    service.set_child(std::move(ready->fds), ready->message.address, ready->message.lifeline,
                      std::move(ready->message.text), offer.pages, offer.base_file);
    if (Result<void> kept = keep(region, layer, service); !kept) {
        return kept;
    }
    wire::Message accepted;
    accepted.kind = wire::Kind::accepted;
    const Outcome told = wire::send(kernel, service.socket(), accepted);
    if (!told.ok()) {
        return refuse(told, "starting the child in the other process");
    }
    return {};
}

Result<Fd> stop_event(kernel::Kernel& kernel) {
    const Outcome event = kernel.perform(Call::event_create());
    if (!event.ok()) {
        return refuse(event, "creating the child's stop event");
    }
    return Fd(static_cast<int>(event.value));
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
    Result<Fd> stop = stop_event(kernel);
    if (!stop) {
        return pass(stop);
    }
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
    const Safekeeping* const safe = region->safe();
    const Fd us = safe == nullptr ? wire::this_process(kernel) : Fd();
    const auto [offer, fds] = make_offer(levels, safe == nullptr ? us.get() : safe->process(),
                                         region->pages(), base_file);
    auto service = std::make_unique<ChildService>(kernel, std::move(*filler), std::move(kept),
                                                  std::move(*stop));
    ChildService& serving = *service;  // lives until decide(): its thread waits for that
    Result<void> started = region->runtime().start("verso-serve", std::move(service));
    if (!started) {
        return started;
    }
    Result<void> agreed = shake_hands(*region, layer, serving, offer, fds, timeout_ms);
    serving.decide(agreed.has_value());
    return agreed;
}

Result<ChildService*> resume_child(const std::shared_ptr<Region>& region, Layer& layer,
                                   std::vector<Fd> fds, u64 address, u64 lifeline,
                                   std::string name) {
    kernel::Kernel& kernel = region->kernel();
    Result<Fd> stop = stop_event(kernel);
    Result<std::unique_ptr<Filler>> filler = LocalFiller::make(region, layer, BaseFile::frozen);
    if (!stop || !filler) {
        return tl::unexpected<Error>(!stop ? stop.error() : filler.error());
    }
    Fd socket = std::move(fds.front());
    fds.erase(fds.begin());
    auto service = std::make_unique<ChildService>(kernel, std::move(*filler), std::move(socket),
                                                  std::move(*stop));
    ChildService* const serving = service.get();  // lives until decide()
    serving->set_child(std::move(fds), address, lifeline, std::move(name), region->pages(),
                       BaseFile::frozen);
    serving->resumes();
    Result<void> started = region->runtime().start("verso-serve", std::move(service));
    return started ? Result<ChildService*>(serving) : pass(started);
}

Result<void> Snapshot::export_fork(int socket, int timeout_ms) {
    return export_child(region_, layer_, socket, timeout_ms);
}

}  // namespace verso::engine
