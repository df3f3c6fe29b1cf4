// verso vm: see the header.
#include "cli/vm.h"

#include <cstdio>
#include <fstream>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "vm/vm.h"

namespace verso::cli {
namespace {

using nlohmann::json;

constexpr int exit_failed = 1;
constexpr int exit_refused = 2;

/// One line on stderr. What cannot be right is refused (2); what did not go well has failed (1).
int say(const Error& error) {
    fmt::print(stderr, "verso: {}\n", error.message);
    const bool refused =
        error.kind == ErrorKind::invalid_argument || error.kind == ErrorKind::unsupported;
    return refused ? exit_refused : exit_failed;
}

double ms(u64 ns) { return static_cast<double>(ns) / 1e6; }
double mib(u64 bytes) { return static_cast<double>(bytes) / (1 << 20); }
void print_json(const json& all) {
    fmt::print("{}\n", all.dump(2, ' ', false, json::error_handler_t::replace));
}

json json_of(const vm::Pause& pause) {
    return {{"ms", ms(pause.whole_ns)},
            {"stop_ms", ms(pause.stop_ns)},
            {"disks_ms", ms(pause.disks_ns)},
            {"state_ms", ms(pause.state_ns)},
            {"arm_ms", ms(pause.arm_ns)},
            {"guest_clock_ms", pause.guest_known ? json(ms(pause.guest_ns)) : json()},
            {"state_bytes", pause.state_bytes},
            {"pages_protected", pause.pages_protected},
            {"ahead_ms", ms(pause.ahead_ns)},
            {"pages_protected_ahead", pause.pages_ahead},
            {"granule_bytes", pause.granule_bytes}};
}

json json_of(const vm::Listed& machine) {
    const vm::Costs& costs = machine.costs;
    if (!costs.known) {
        return nullptr;
    }
    json all = {{"live_bytes", costs.live_bytes},       {"frozen_bytes", costs.frozen_bytes},
                {"private_bytes", costs.private_bytes}, {"shared_bytes", costs.shared_bytes},
                {"pss_bytes", costs.pss_bytes},         {"granule_bytes", costs.granule_bytes},
                {"fill_faults", costs.fill_faults},     {"pages_mapped", costs.pages_mapped},
                {"pages_copied", costs.pages_copied},   {"damage", costs.damage}};
    if (machine.record.is_child()) {
        all["got"] = {{"fill_faults", costs.got_faults},
                      {"pages_mapped", costs.got_mapped},
                      {"pages_copied", costs.got_copied},
                      {"pages_empty", costs.got_empty}};
    }
    return all;
}

std::string size_words(u64 bytes) {
    return bytes >= (u64{1} << 20) ? fmt::format("{} MiB", bytes >> 20)
                                   : fmt::format("{} KiB", bytes >> 10);
}

void print_pause(const std::string& name, const vm::Pause& pause) {
    fmt::print(
        "{} stood still for {:.1f} ms: stopping {:.1f}, disks {:.1f}, devices {:.1f} "
        "({:.2f} MiB), memory {:.1f} ({} pages protected, by {}; {} in {:.1f} ms before){}\n",
        name, ms(pause.whole_ns), ms(pause.stop_ns), ms(pause.disks_ns), ms(pause.state_ns),
        mib(pause.state_bytes), ms(pause.arm_ns), pause.pages_protected,
        size_words(pause.granule_bytes), pause.pages_ahead, ms(pause.ahead_ns),
        pause.guest_known ? fmt::format("; its own clock missed {:.1f} ms", ms(pause.guest_ns))
                          : "");
}

std::string memory_words(const vm::Listed& machine) {
    const vm::Costs& costs = machine.costs;
    if (!costs.known) {
        return "";
    }
    std::string words = fmt::format("own {:.1f}", mib(costs.live_bytes));
    if (machine.record.is_child()) {
        words = fmt::format(
            "own {:.1f}, shared {:.1f}, share {:.1f}; pages: {} mapped, {} copied, "
            "{} empty",
            mib(costs.private_bytes), mib(costs.shared_bytes), mib(costs.pss_bytes),
            costs.got_mapped, costs.got_copied, costs.got_empty);
    }
    if (costs.frozen_bytes != 0) {
        words += fmt::format(", old {:.1f}", mib(costs.frozen_bytes));
    }
    if (costs.granule_bytes > page_size) {
        words += fmt::format(", by {}", size_words(costs.granule_bytes));
    }
    return words + (costs.damage.empty() ? "" : "; " + costs.damage);
}

std::optional<vm::Question> question_of(const VmOptions& options) {
    if (!options.ask && options.answer.empty()) {
        return std::nullopt;
    }
    return vm::Question{options.ask.has_value(), options.ask.value_or(""), options.answer};
}

json answered_json(const vm::Started& child) {
    return child.answered_ns == 0 ? json() : json(ms(child.answered_ns));
}

std::string answered_words(const vm::Started& child) {
    return child.answered_ns == 0
               ? ""
               : fmt::format(" and answered after {:.0f} ms", ms(child.answered_ns));
}

vm::Listed look_at(const vm::RuntimeDir& dir, const std::string& name) {
    vm::Listed listed;
    listed.name = name;
    if (Result<vm::Record> record = vm::load_record(dir, name); record) {
        listed.record = std::move(*record);
        listed.costs = vm::costs_of(dir, listed.record);
    }
    return listed;
}

}  // namespace

int vm_run(const VmOptions& options) {
    Result<vm::RuntimeDir> dir = vm::RuntimeDir::open();
    if (!dir) {
        return say(dir.error());
    }
    vm::RunRequest request{options.name, options.command, 0, options.huge};
    if (!options.memory.empty()) {
        Result<u64> bytes = vm::read_size(options.memory);
        if (!bytes) {
            return say(bytes.error());
        }
        request.memory_bytes = *bytes;
    }
    const Result<vm::Started> started = vm::run_machine(*dir, request);
    if (!started) {
        return say(started.error());
    }
    const u64 granule = look_at(*dir, started->name).costs.granule_bytes;
    if (options.json) {
        print_json({{"name", started->name},
                    {"pid", started->process.pid},
                    {"running_after_ms", ms(started->running_ns)},
                    {"granule_bytes", granule},
                    {"folder", dir->folder(started->name)}});
    } else {
        fmt::print("{} runs (pid {}){}; its console: verso vm console {}\n", started->name,
                   started->process.pid,
                   granule > page_size
                       ? fmt::format(", its memory stored by {}", size_words(granule))
                       : "",
                   started->name);
    }
    return 0;
}

int vm_list(const VmOptions& options) {
    Result<vm::RuntimeDir> dir = vm::RuntimeDir::open();
    if (!dir) {
        return say(dir.error());
    }
    const std::vector<vm::Listed> machines = vm::list_machines(*dir);
    json all = json::array();
    if (!options.json && !machines.empty()) {
        fmt::print("{:<16} {:<10} {:>8} {:>8}  {:<16} {:<20} {}\n", "NAME", "STATE", "PID",
                   "MEMORY", "FORKED FROM", "SNAPSHOTS", "MIB");
    }
    for (const vm::Listed& machine : machines) {
        std::vector<std::string> moments;
        for (const vm::Moment& moment : machine.record.moments) {
            moments.push_back(moment.name);
        }
        const bool running = machine.state == "running";
        if (options.json) {
            all.push_back({{"name", machine.name},
                           {"state", machine.state},
                           {"pid", running ? machine.record.process.pid : 0},
                           {"memory_bytes", machine.record.line.memory_bytes},
                           {"parent", machine.record.parent},
                           {"snapshots", moments},
                           {"memory", json_of(machine)}});
            continue;
        }
        fmt::print("{:<16} {:<10} {:>8} {:>7}M  {:<16} {:<20} {}\n", machine.name, machine.state,
                   running ? std::to_string(machine.record.process.pid) : "-",
                   machine.record.line.memory_bytes >> 20,
                   machine.record.is_child() ? machine.record.parent : "-",
                   moments.empty() ? "-" : fmt::format("{}", fmt::join(moments, ",")),
                   memory_words(machine));
    }
    if (options.json) {
        print_json(all);
    }
    return 0;
}

int vm_console(const VmOptions& options) {
    Result<vm::RuntimeDir> dir = vm::RuntimeDir::open();
    if (!dir) {
        return say(dir.error());
    }
    if (options.log) {
        const Result<vm::Record> record = vm::load_record(*dir, options.name);
        if (!record) {
            return say(record.error());
        }
        std::ifstream file(dir->file(options.name, "console.log"));
        for (std::string line; std::getline(file, line);) {
            fmt::print("{}\n", line);
        }
        return 0;
    }
    const Result<void> done = vm::attach_console(*dir, options.name, STDIN_FILENO, STDOUT_FILENO);
    return done ? 0 : say(done.error());
}

int vm_snapshot(const VmOptions& options) {
    Result<vm::RuntimeDir> dir = vm::RuntimeDir::open();
    if (!dir) {
        return say(dir.error());
    }
    const Result<vm::Pause> pause = vm::keep_moment(*dir, options.name, options.moment);
    if (!pause) {
        return say(pause.error());
    }
    if (options.json) {
        print_json({{"name", options.name},
                    {"snapshot", options.moment},
                    {"stood_still", json_of(*pause)}});
    } else {
        print_pause(options.name, *pause);
    }
    return 0;
}

int vm_fork(const VmOptions& options) {
    Result<vm::RuntimeDir> dir = vm::RuntimeDir::open();
    if (!dir) {
        return say(dir.error());
    }
    const Result<vm::Forked> forked =
        vm::fork_machine(*dir, {options.name, options.from, options.child, options.count,
                                options.hook, question_of(options)});
    if (!forked) {
        return say(forked.error());
    }
    json children = json::array();
    if (!options.json && forked->paused) {
        print_pause(options.name, forked->pause);
    }
    for (const vm::Started& child : forked->children) {
        const vm::Listed listed = look_at(*dir, child.name);
        const std::string behind =
            child.behind_known ? fmt::format(", its clock {:.0f} ms behind", ms(child.behind_ns))
                               : "";
        if (options.json) {
            children.push_back(
                {{"name", child.name},
                 {"pid", child.process.pid},
                 {"running_after_ms", ms(child.running_ns)},
                 {"answered_after_ms", answered_json(child)},
                 {"clock_behind_ms", child.behind_known ? json(ms(child.behind_ns)) : json()},
                 {"memory", json_of(listed)}});
        } else {
            fmt::print("{} runs (pid {}) after {:.0f} ms{}{}; memory in MiB: {}\n", child.name,
                       child.process.pid, ms(child.running_ns), answered_words(child), behind,
                       memory_words(listed));
        }
    }
    if (options.json) {
        print_json({{"source", options.name},
                    {"from", options.from},
                    {"stood_still", forked->paused ? json_of(forked->pause) : json()},
                    {"children", children},
                    {"unanswered", forked->unanswered},
                    {"hooks_failed", forked->hooks_failed}});
    }
    for (const std::string& child : forked->unanswered) {
        fmt::print(stderr, "verso: the child {}\n", child);
    }
    for (const std::string& hook : forked->hooks_failed) {
        fmt::print(stderr, "verso: the hook of {}\n", hook);
    }
    return forked->hooks_failed.empty() && forked->unanswered.empty() ? 0 : exit_failed;
}

int vm_rewind(const VmOptions& options) {
    Result<vm::RuntimeDir> dir = vm::RuntimeDir::open();
    if (!dir) {
        return say(dir.error());
    }
    const Result<vm::Rewound> rewound = vm::rewind_machine(*dir, options.name, options.moment);
    if (!rewound) {
        return say(rewound.error());
    }
    if (options.json) {
        print_json({{"name", options.name},
                    {"snapshot", options.moment},
                    {"stood_still_ms", ms(rewound->pause_ns)},
                    {"before_ms", ms(rewound->before_ns)},
                    {"pages", rewound->pages},
                    {"memory_ms", ms(rewound->memory_ns)},
                    {"state_ms", ms(rewound->state_ns)}});
    } else {
        fmt::print(
            "{} is back at {}: it stood still for {:.1f} ms; keeping what was there {:.1f}, memory "
            "{:.1f} ({} pages), devices {:.1f}\n",
            options.name, options.moment, ms(rewound->pause_ns), ms(rewound->before_ns),
            ms(rewound->memory_ns), rewound->pages, ms(rewound->state_ns));
    }
    return 0;
}

int vm_stop(const VmOptions& options) {
    Result<vm::RuntimeDir> dir = vm::RuntimeDir::open();
    const Result<void> done = dir ? vm::stop_machine(*dir, options.name) : pass(dir);
    return done ? 0 : say(done.error());
}

int vm_remove(const VmOptions& options) {
    Result<vm::RuntimeDir> dir = vm::RuntimeDir::open();
    const Result<void> done = dir ? vm::remove_machine(*dir, options.name) : pass(dir);
    return done ? 0 : say(done.error());
}

int vm_server(int argc, char** /*argv*/) {
    if (argc != 3) {
        return exit_refused;
    }
    const Result<void> done = vm::page_server();
    return done ? 0 : say(done.error());
}

int vm_safe(int argc, char** argv) {
    if (argc != 3) {
        return exit_refused;
    }
    Result<vm::RuntimeDir> dir = vm::RuntimeDir::open_at(argv[2]);
    const Result<void> done = dir ? vm::run_safe(*dir) : pass(dir);
    return done ? 0 : say(done.error());
}

int vm_guard(int argc, char** argv) {
    if (argc != 4) {
        return exit_refused;
    }
    Result<vm::RuntimeDir> dir = vm::RuntimeDir::open_at(argv[2]);
    const Result<void> done = dir ? vm::run_guard(*dir, argv[3]) : pass(dir);
    return done ? 0 : say(done.error());
}

}  // namespace verso::cli
