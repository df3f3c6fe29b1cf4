// Regions and snapshots by name: see the header.
#include "vm/keeper.h"

#include <algorithm>
#include <cerrno>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "vm/socket.h"

namespace verso::vm {
namespace {

constexpr int child_timeout_ms = 60'000;  // until a child's QEMU maps its memory
constexpr int attach_timeout_ms = 10'000;
// Entries of the safe: the engine's own, that a machine has not been forgotten, a snapshot's name.
constexpr const char* region_suffix = "/region";
constexpr const char* known_suffix = "/known";
constexpr const char* named_infix = "/named/";

Json figures_of(const Region& region) {
    const RegionStats stats = region.stats();
    Json figures = {{"ok", true},
                    {"bytes", region.size()},
                    {"write_faults", stats.write_faults},
                    {"pages_captured", stats.pages_captured},
                    {"fill_faults", stats.fill_faults},
                    {"pages_mapped", stats.pages_mapped},
                    {"pages_copied", stats.pages_copied},
                    {"granule_bytes", stats.granule_bytes},
                    {"damage", region.damage()}};
    for (const ChildStats& child : region.children()) {
        figures["children"].push_back({{"name", child.name},
                                       {"fill_faults", child.fill_faults},
                                       {"pages_mapped", child.pages_mapped},
                                       {"pages_copied", child.pages_copied},
                                       {"pages_empty", child.pages_empty}});
    }
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

Result<void> Keeper::keep(const std::string& key, u64 id) {
    return safe_ == nullptr ? Result<void>() : safe_->keep({key, {0, id}, {}});
}

void Keeper::drop(const std::string& key) {
    if (safe_ != nullptr) {
        safe_->drop(key);
    }
}

void Keeper::put(const std::string& region, Region memory) {
    auto kept = std::make_shared<Kept>(std::move(memory), "");
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
    forget(region);  // it is lent anew: a userfaultfd of ours would be in the way of the other
    // No later machine of that name may find what this one has in the safe.
    const std::string key = fmt::format("{}@{}", region, now_ns());
    Result<Region> memory = Region::attach(fds[0].get(), key, attach_timeout_ms, safe_);
    if (!memory) {
        return pass(memory);
    }
    if (Result<void> known = keep(key + known_suffix, 0); !known) {
        return pass(known);
    }
    const std::scoped_lock lock(mutex_);
    regions_[region] = std::make_shared<Kept>(std::move(*memory), key);
    return Json{{"ok", true}};
}

/// What is in use goes with its last user.
void Keeper::forget(const std::string& region) {
    const std::shared_ptr<Kept> kept = find(region);
    if (kept == nullptr) {
        return;
    }
    if (!kept->key.empty()) {
        drop(kept->key + known_suffix);
        const std::scoped_lock lock(kept->mutex);
        for (const auto& [name, snapshot] : kept->snapshots) {
            drop(kept->key + named_infix + name);
        }
    }
    const std::scoped_lock lock(mutex_);
    regions_.erase(region);
}

/// What earlier keepers had, by the beginnings of their keys. Machines that were forgotten are
/// served as long as a child needs them, and are in no table.
Result<void> Keeper::take_over(std::vector<SafeClient::Kept>& kept) {
    std::map<std::string, std::vector<Safekeeping::Entry>> by_region;
    for (const SafeClient::Kept& one : kept) {
        std::vector<int> fds;
        for (const Fd& fd : one.fds) {
            fds.push_back(fd.get());
        }
        by_region[one.key.substr(0, one.key.find('/'))].push_back(
            {one.key, one.numbers, std::move(fds)});
    }
    for (const auto& [key, entries] : by_region) {
        const bool memory = std::ranges::any_of(
            entries, [&](const auto& entry) { return entry.key == key + region_suffix; });
        if (!memory) {  // was being forgotten
            for (const Safekeeping::Entry& entry : entries) {
                drop(entry.key);
            }
        } else if (Result<void> done = take_over_one(entries); !done) {
            return done;
        }
    }
    return {};
}

Result<void> Keeper::take_over_one(std::span<const Safekeeping::Entry> entries) {
    Result<TakenOver> taken = verso::take_over(entries, *safe_);
    if (!taken) {
        return pass(taken);
    }
    const std::string key = entries[0].key.substr(0, entries[0].key.find('/'));
    const bool known = std::ranges::any_of(
        entries, [&](const auto& entry) { return entry.key == key + known_suffix; });
    const auto again = std::make_shared<Kept>(std::move(taken->region), key);
    const std::string named = key + named_infix;
    for (const Safekeeping::Entry& entry : entries) {
        if (!entry.key.starts_with(named)) {
            continue;
        }
        const u64 id = entry.numbers.size() == 2 ? entry.numbers[1] : 0;
        const auto at = std::ranges::find_if(taken->snapshots,
                                             [&](const auto& moment) { return moment.id == id; });
        if (!known || at == taken->snapshots.end()) {
            drop(entry.key);
            continue;
        }
        again->snapshots[entry.key.substr(named.size())] =
            std::make_shared<Snapshot>(std::move(at->snapshot));
        taken->snapshots.erase(at);
    }
    if (known) {
        regions_[key.substr(0, key.find('@'))] = again;
    }
    return {};  // snapshots that nobody had been told of yet go here
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
    if (verb == "ahead") {
        return protect_ahead(*kept);
    }
    if (verb == "forget") {
        forget(region);
        return Json{{"ok", true}};
    }
    return of_snapshot(*kept, request, fds);
}

/// Whatever is written from here on is open again, and nothing is copied for it: the next snapshot
/// has only that to protect.
Result<Json> Keeper::protect_ahead(Kept& kept) {
    Result<Snapshot> taken = kept.memory.snapshot();
    if (!taken) {
        return pass(taken);
    }
    const SnapshotReport report = taken->report();
    return Json{
        {"ok", true}, {"arm_ns", report.arm_ns}, {"pages_protected", report.pages_protected}};
}

Result<Json> Keeper::take(Kept& kept, const std::string& name) {
    Result<Snapshot> taken = kept.memory.snapshot();
    if (!taken) {
        return pass(taken);
    }
    const SnapshotReport report = taken->report();
    auto shared = std::make_shared<Snapshot>(std::move(*taken));
    {
        const std::scoped_lock lock(kept.mutex);
        if (!kept.key.empty()) {
            if (Result<void> done = keep(kept.key + named_infix + name, shared->id()); !done) {
                return pass(done);
            }
        }
        kept.snapshots[name].swap(shared);
    }
    return Json{{"ok", true},
                {"arm_ns", report.arm_ns},
                {"cut_ns", report.cut_ns},
                {"pages_protected", report.pages_protected},
                {"granule_bytes", kept.memory.stats().granule_bytes}};
}

void Keeper::release(Kept& kept, const std::string& name) {
    std::shared_ptr<Snapshot> gone;  // after the lock
    const std::scoped_lock lock(kept.mutex);
    const auto at = kept.snapshots.find(name);
    if (at == kept.snapshots.end()) {
        return;
    }
    if (!kept.key.empty()) {
        drop(kept.key + named_infix + name);
    }
    gone = std::move(at->second);
    kept.snapshots.erase(at);
}

Result<Json> Keeper::of_snapshot(Kept& kept, const Json& request, const std::vector<Fd>& fds) {
    const std::string verb = text_at(request, "do");
    const std::string name = text_at(request, "snapshot");
    if (verb == "snapshot") {
        return take(kept, name);
    }
    if (verb == "release") {  // twice is no error: see ask()
        release(kept, name);
        return Json{{"ok", true}};
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
    return fail(ErrorKind::peer, 0, "'{}' is not understood", verb);
}

namespace {

Result<Json> ask_once(const std::string& socket, const Json& request, std::span<const int> fds,
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

}  // namespace

Result<Json> ask(const std::string& socket, const Json& request, std::span<const int> fds,
                 int timeout_ms) {
    constexpr unsigned tries_max = 20;
    for (unsigned tries = 1;; ++tries) {
        Result<Json> answer = ask_once(socket, request, fds, timeout_ms);
        const bool gone = !answer && answer.error().kind == ErrorKind::peer &&
                          (answer.error().os_error == 0 || answer.error().os_error == EPIPE ||
                           answer.error().os_error == ECONNRESET);
        if (!gone || !fds.empty() || tries == tries_max) {
            return answer;
        }
        pause_ms(1);  // the next one listens, or nobody does and the next try says so
    }
}

}  // namespace verso::vm
