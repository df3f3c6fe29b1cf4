// Regions and snapshots by name: see the header.
#include "vm/keeper.h"

#include <nlohmann/json.hpp>

#include "vm/socket.h"

namespace verso::vm {
namespace {

constexpr int child_timeout_ms = 60'000;  // until a child's QEMU maps its memory

Json figures_of(const Region& region) {
    const RegionStats stats = region.stats();
    Json figures = {{"ok", true},
                    {"bytes", region.size()},
                    {"write_faults", stats.write_faults},
                    {"pages_captured", stats.pages_captured},
                    {"fill_faults", stats.fill_faults},
                    {"pages_mapped", stats.pages_mapped},
                    {"pages_copied", stats.pages_copied},
                    {"damage", region.damage()}};
    if (const Result<MemoryReport> memory = region.memory(); memory) {
        figures["live_bytes"] = memory->live_bytes;
        figures["frozen_bytes"] = memory->frozen_bytes;
        figures["private_bytes"] = memory->private_bytes;
        figures["shared_bytes"] = memory->shared_bytes;
        figures["pss_bytes"] = memory->pss_bytes;
    }
    return figures;
}

}  // namespace

Json refusal(const Error& error) { return {{"ok", false}, {"error", error.message}}; }

void Keeper::put(const std::string& region, Region memory) {
    auto kept = std::make_shared<Kept>(std::move(memory));
    const std::scoped_lock lock(mutex_);
    regions_[region].swap(kept);
}

bool Keeper::empty() {
    const std::scoped_lock lock(mutex_);
    return regions_.empty();
}

std::shared_ptr<Keeper::Kept> Keeper::find(const std::string& region) {
    const std::scoped_lock lock(mutex_);
    const auto at = regions_.find(region);
    return at == regions_.end() ? nullptr : at->second;
}

std::shared_ptr<Snapshot> Keeper::find_in(Kept& kept, const std::string& snapshot) {
    const std::scoped_lock lock(kept.mutex);
    const auto at = kept.snapshots.find(snapshot);
    return at == kept.snapshots.end() ? nullptr : at->second;
}

Json Keeper::answer(const Json& request, const std::vector<Fd>& fds) {
    Result<Json> done =
        text_at(request, "do") == "attach" ? attach(request, fds) : of_region(request, fds);
    return done ? *done : refusal(done.error());
}

Result<Json> Keeper::attach(const Json& request, const std::vector<Fd>& fds) {
    const std::string region = text_at(request, "region");
    if (fds.size() != 1 || region.empty()) {
        return fail(ErrorKind::peer, 0, "attach takes a region's name and one socket");
    }
    Result<Region> memory = Region::attach(fds[0].get(), region);
    if (!memory) {
        return pass(memory);
    }
    put(region, std::move(*memory));
    return Json{{"ok", true}};
}

Result<Json> Keeper::of_region(const Json& request, const std::vector<Fd>& fds) {
    const std::string verb = text_at(request, "do");
    const std::string region = text_at(request, "region");
    const std::shared_ptr<Kept> kept = find(region);
    if (kept == nullptr) {
        return fail(ErrorKind::invalid_argument, 0, "no memory of '{}' is kept here", region);
    }
    if (verb == "figures") {
        return figures_of(kept->memory);
    }
    if (verb == "forget") {
        const std::scoped_lock lock(mutex_);
        regions_.erase(region);  // what is in use goes with its last user
        return Json{{"ok", true}};
    }
    return of_snapshot(*kept, request, fds);
}

Result<Json> Keeper::of_snapshot(Kept& kept, const Json& request, const std::vector<Fd>& fds) {
    const std::string verb = text_at(request, "do");
    const std::string name = text_at(request, "snapshot");
    if (verb == "snapshot") {
        Result<Snapshot> taken = kept.memory.snapshot();
        if (!taken) {
            return pass(taken);
        }
        const SnapshotReport report = taken->report();
        auto shared = std::make_shared<Snapshot>(std::move(*taken));
        {
            const std::scoped_lock lock(kept.mutex);
            kept.snapshots[name].swap(shared);
        }
        return Json{{"ok", true},
                    {"arm_ns", report.arm_ns},
                    {"cut_ns", report.cut_ns},
                    {"pages_protected", report.pages_protected}};
    }
    std::shared_ptr<Snapshot> snapshot = find_in(kept, name);
    if (snapshot == nullptr) {
        return fail(ErrorKind::invalid_argument, 0, "there is no snapshot '{}'", name);
    }
    if (verb == "export") {
        if (fds.size() != 1) {
            return fail(ErrorKind::peer, 0, "export takes one socket");
        }
        Result<void> sent = snapshot->export_fork(fds[0].get(), child_timeout_ms);
        return sent ? Result<Json>(Json{{"ok", true}}) : pass(sent);
    }
    if (verb == "rewind") {
        Result<RewindReport> report = kept.memory.rewind(*snapshot);
        if (!report) {
            return pass(report);
        }
        return Json{{"ok", true}, {"pages", report->pages_restored}, {"ns", report->ns}};
    }
    if (verb == "release") {
        const std::scoped_lock lock(kept.mutex);
        kept.snapshots.erase(name);
        return Json{{"ok", true}};
    }
    return fail(ErrorKind::peer, 0, "'{}' is not understood", verb);
}

Result<Json> ask(const std::string& socket, const Json& request, std::span<const int> fds,
                 int timeout_ms) {
    Result<Fd> connected = connect_to(socket, SocketKind::packets);
    if (!connected) {
        return pass(connected);
    }
    if (Result<void> sent = send_packet(connected->get(), to_line(request), fds); !sent) {
        return pass(sent);
    }
    Result<Packet> packet = receive_packet(connected->get(), timeout_ms);
    if (!packet) {
        return pass(packet, text_at(request, "do"));
    }
    Json answer = parse_json(packet->text);
    if (!flag_at(answer, "ok")) {
        return fail(ErrorKind::system, 0, "{}", text_at(answer, "error", "no sensible answer"));
    }
    return answer;
}

}  // namespace verso::vm
