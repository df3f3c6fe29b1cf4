// verso vm ls, stop and rm: what there is, and the end of it. None of them relies on anything that
// a killed process may have left behind: whether a machine runs is told by pid and start time.
#include <filesystem>

#include <nlohmann/json.hpp>

#include "vm/keeper.h"
#include "vm/machine.h"
#include "vm/verbs.h"

namespace verso::vm {
namespace fs = std::filesystem;

namespace {

constexpr int lock_timeout_ms = 60'000;
constexpr int ask_timeout_ms = 5'000;
constexpr int quit_timeout_ms = 10'000;

/// Whose disks stand on files of this machine.
std::string who_stands_on(const RuntimeDir& dir, const std::string& name) {
    for (const std::string& other : dir.names()) {
        const Result<Record> record =
            other == name ? fail(ErrorKind::system, 0, "itself") : load_record(dir, other);
        if (!record) {
            continue;
        }
        for (const std::string& file : record->below) {
            if (file.starts_with(dir.folder(name) + "/")) {
                return other;
            }
        }
    }
    return {};
}

std::string keeper_socket(const RuntimeDir& dir, const Record& record) {
    return record.is_child() ? dir.file(record.name, "agent.sock") : dir.server_socket();
}

/// A touch is counted by everybody who passed it on, a page by whoever put it there.
void add_what_it_got(const Json& figures, const std::string& child, bool faults, Costs& costs) {
    const Json& children = part_at(figures, "children");
    for (const Json& one : children.is_array() ? children : Json::array()) {
        if (text_at(one, "name") == child) {
            costs.got_faults += faults ? number_at(one, "fill_faults") : 0;
            costs.got_mapped += number_at(one, "pages_mapped");
            costs.got_copied += number_at(one, "pages_copied");
            costs.got_empty += number_at(one, "pages_empty");
        }
    }
}

/// Of those that are still there. An ancestor may have been removed, and its name taken anew by a
/// machine that knows nothing of this one: then it names no such child.
void add_what_ancestors_gave(const RuntimeDir& dir, const Record& record, Costs& costs) {
    constexpr unsigned depth_max = 64;
    std::string name = record.parent;
    for (unsigned depth = 0; !name.empty() && depth < depth_max; ++depth) {
        const Result<Record> ancestor = load_record(dir, name);
        if (!ancestor) {
            return;
        }
        const Result<Json> figures =
            ask(keeper_socket(dir, *ancestor), Json{{"do", "figures"}, {"region", name}}, {},
                ask_timeout_ms);
        if (figures) {
            add_what_it_got(*figures, record.name, depth == 0, costs);
        }
        name = ancestor->parent;
    }
}

}  // namespace

Costs costs_of(const RuntimeDir& dir, const Record& record) {
    const Result<Json> figures =
        ask(keeper_socket(dir, record), Json{{"do", "figures"}, {"region", record.name}}, {},
            ask_timeout_ms);
    Costs costs;
    if (!figures) {
        return costs;
    }
    costs.known = true;
    costs.live_bytes = number_at(*figures, "live_bytes");
    costs.frozen_bytes = number_at(*figures, "frozen_bytes");
    costs.private_bytes = number_at(*figures, "private_bytes");
    costs.shared_bytes = number_at(*figures, "shared_bytes");
    costs.fill_faults = number_at(*figures, "fill_faults");
    costs.pages_mapped = number_at(*figures, "pages_mapped");
    costs.pages_copied = number_at(*figures, "pages_copied");
    costs.granule_bytes = number_at(*figures, "granule_bytes");
    costs.pss_bytes = number_at(*figures, "pss_bytes");
    costs.damage = text_at(*figures, "damage");
    if (record.is_child()) {
        add_what_it_got(*figures, record.name, true, costs);
        add_what_ancestors_gave(dir, record, costs);
    }
    return costs;
}

std::vector<Listed> list_machines(const RuntimeDir& dir) {
    std::vector<Listed> all;
    for (const std::string& name : dir.names()) {
        Listed listed;
        listed.name = name;
        std::error_code ignored;
        if (!fs::exists(dir.file(name, "vm.json"), ignored)) {
            listed.state = "unfinished";
        } else if (Result<Record> record = load_record(dir, name); record) {
            const bool running = is_alive(record->process);
            listed.state = running ? "running" : "ended";
            listed.record = std::move(*record);
            if (running) {
                listed.costs = costs_of(dir, listed.record);
            }
        } else {
            listed.state = "damaged";
        }
        all.push_back(std::move(listed));
    }
    return all;
}

Result<void> stop_machine(const RuntimeDir& dir, const std::string& name) {
    Result<FileLock> lock = FileLock::take(dir, name, lock_timeout_ms);
    if (!lock) {
        return pass(lock);
    }
    Result<Record> record = load_record(dir, name);
    if (!record) {
        return pass(record);
    }
    if (!is_alive(record->process)) {
        return {};
    }
    if (Result<Qmp> qmp = Qmp::connect(dir.file(name, "qmp.sock"), quit_timeout_ms); qmp) {
        (void)qmp->execute("quit", Json(), quit_timeout_ms);
    }
    if (!wait_until_ended(record->process, quit_timeout_ms)) {
        kill_process(record->process);
    }
    if (!wait_until_ended(record->process, quit_timeout_ms)) {
        return fail(ErrorKind::system, 0, "QEMU (pid {}) of '{}' does not end", record->process.pid,
                    name);
    }
    return {};
}

Result<void> remove_machine(const RuntimeDir& dir, const std::string& name) {
    if (Result<void> right = check_name(name); !right) {
        return right;
    }
    Result<FileLock> lock = FileLock::take(dir, name, lock_timeout_ms);
    if (!lock) {
        return pass(lock);
    }
    std::error_code error;
    if (!fs::is_directory(dir.folder(name), error)) {
        return fail(ErrorKind::invalid_argument, 0,
                    "there is no virtual machine '{}'; `verso vm ls` lists them", name);
    }
    const Result<Record> record = load_record(dir, name);
    if (record && is_alive(record->process)) {
        return fail(ErrorKind::invalid_argument, 0, "'{}' is running; `verso vm stop {}` first",
                    name, name);
    }
    const std::string other = who_stands_on(dir, name);
    if (!other.empty()) {
        return fail(ErrorKind::invalid_argument, 0,
                    "the disks of '{}' stand on those of '{}'; remove '{}' first", other, name,
                    other);
    }
    // Not ensure_server: one that does not run keeps nothing.
    (void)ask(dir.server_socket(), Json{{"do", "forget"}, {"region", name}}, {}, ask_timeout_ms);
    fs::remove_all(dir.folder(name), error);
    if (error) {
        return fail(ErrorKind::system, error.value(), "'{}' cannot be removed: {}",
                    dir.folder(name), error.message());
    }
    return {};
}

}  // namespace verso::vm
