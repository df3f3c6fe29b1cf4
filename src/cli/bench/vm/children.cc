// Until N children answer, and what their memory takes. Guests hold memory and do not work: sixteen
// that did would measure each other. The source is booted once for all of a size.
#include <algorithm>
#include <filesystem>

#include <fmt/core.h>

#include "cli/bench/harness/clock.h"
#include "cli/bench/vm/crowd.h"
#include "cli/bench/vm/guests.h"
#include "cli/bench/vm/rows.h"
#include "vm/record.h"

namespace verso::cli::bench {

namespace {

constexpr u64 settle_ms = 2'000;
constexpr u64 few = 4;  // up to so many are booted as often as the rest is measured

double to_mib(u64 bytes) { return static_cast<double>(bytes) / (1 << 20); }

struct Children {
    std::vector<double> answered_ns{};
    std::vector<double> running_ns{};
    std::vector<double> pause_ns{};
    std::vector<double> memory_mib{};  // own pages, and old versions kept for them
    std::vector<double> own_mib{};
    std::vector<double> pss_mib{};
};
struct Others {
    std::vector<double> answered_ns{};
    std::vector<double> pause_ns{};
    std::vector<double> pss_mib{};
    std::vector<double> file_mib{};
    std::string why_not{};

    void add(const Crowd& crowd) {
        answered_ns.push_back(static_cast<double>(crowd.answered_ns));
        pause_ns.push_back(static_cast<double>(crowd.paused_ns));
        pss_mib.push_back(to_mib(crowd.pss_bytes));
        file_mib.push_back(to_mib(crowd.file_bytes));
    }
};

Result<vm::Costs> costs_of(const Stage& stage, const std::string& name) {
    Result<vm::Record> record = vm::load_record(stage.dir(), name);
    if (!record) {
        return pass(record);
    }
    const vm::Costs costs = vm::costs_of(stage.dir(), *record);
    if (!costs.known) {
        return fail(ErrorKind::peer, 0, "what the memory of '{}' costs is not told", name);
    }
    return costs;
}

/// Of children that run, against what the root kept before they were.
Result<void> weigh(const Stage& stage, const std::string& root, u64 frozen_before,
                   const std::vector<vm::Started>& started, Children& children) {
    Result<vm::Costs> after = costs_of(stage, root);
    if (!after) {
        return pass(after);
    }
    u64 own = 0;
    std::vector<vm::ProcessId> processes;
    for (const vm::Started& child : started) {
        Result<vm::Costs> costs = costs_of(stage, child.name);
        if (!costs) {
            return pass(costs);
        }
        own += costs->private_bytes;
        processes.push_back(child.process);
    }
    const u64 kept = after->frozen_bytes - std::min(after->frozen_bytes, frozen_before);
    children.own_mib.push_back(to_mib(own));
    children.memory_mib.push_back(to_mib(own + kept));
    children.pss_mib.push_back(to_mib(pss_of(processes)));
    return {};
}

Result<void> fork_crowd(Stage& stage, const Seat& root, u64 count, Children& children) {
    Result<vm::Costs> before = costs_of(stage, root.name);
    if (!before) {
        return pass(before);
    }
    vm::ForkRequest request;
    request.source = root.name;
    request.child = stage.fresh("child");
    request.count = static_cast<unsigned>(count);
    request.question = who();
    Result<vm::Forked> forked = vm::fork_machine(stage.dir(), request);
    if (!forked) {
        return pass(forked);
    }
    if (!forked->unanswered.empty()) {
        return fail(ErrorKind::peer, 0, "the child {}", forked->unanswered.front());
    }
    u64 answered = 0;
    u64 running = 0;
    for (const vm::Started& child : forked->children) {
        answered = std::max(answered, child.answered_ns);
        running = std::max(running, child.running_ns);
    }
    children.answered_ns.push_back(static_cast<double>(answered));
    children.running_ns.push_back(static_cast<double>(running));
    children.pause_ns.push_back(static_cast<double>(forked->pause.whole_ns));
    Result<void> done = stage.rest_ms(settle_ms);
    done = done ? weigh(stage, root.name, before->frozen_bytes, forked->children, children) : done;
    for (const vm::Started& child : forked->children) {
        done = done ? end_ours(stage, child.name) : done;
    }
    return done;
}

/// What cannot be had here is said in the line; anything else fails the row.
Result<void> add_or_say(Result<Crowd> crowd, Others& others) {
    if (crowd) {
        others.add(*crowd);
        return {};
    }
    if (crowd.error().kind == ErrorKind::unsupported) {
        others.why_not = crowd.error().message;
        return {};
    }
    return pass(crowd);
}

Line answer_line(u64 size_mib, u64 count, const Children& ours, const Others& others,
                 const char* rival) {
    Line line;
    line.row = "children";
    line.variant = fmt::format("until {} answer", count);
    line.size_mib = size_mib;
    line.unit = "ns";
    line.rival = rival;
    line.method =
        "From the beginning until the last has answered `get` on its console. Ours: one "
        "fork_machine(). Booted: all at once, without the load that the others hold. Copies: "
        "the source stands still for its device state and one cp of its memory file (tmpfs), the "
        "others are copied from that side by side, and each gets a QEMU. More than four are "
        "booted once, whatever the repeats.";
    line.ours_samples = ours.answered_ns;
    line.rival_samples = others.answered_ns;
    line.why_not = others.why_not;
    line.more = {{"ours: until the last runs", "ns", ours.running_ns},
                 {"ours: the source stood still", "ns", ours.pause_ns}};
    if (others.pause_ns.size() > 0 && median(others.pause_ns) > 0) {
        line.more.push_back({"rival: the source stood still", "ns", others.pause_ns});
    }
    return line;
}

Line memory_line(u64 size_mib, u64 count, const Children& ours, const Others& booted,
                 const Others& copied) {
    Line line;
    line.row = "memory";
    line.variant = fmt::format("{} children", count);
    line.size_mib = size_mib;
    line.unit = "MiB";
    line.rival = "as often the guest's size";
    line.method =
        "Two seconds after the last answered: the children's own pages, and what the source keeps "
        "for them beyond what it kept before. Beside it the proportional share (Pss) of their "
        "QEMUs as a whole, code and heap included, and that of the rivals' as they answered.";
    line.ours_samples = ours.memory_mib;
    line.rival_samples.assign(ours.memory_mib.size(), static_cast<double>(size_mib * count));
    line.more = {{"of it: the children's own pages", "MiB", ours.own_mib},
                 {"their QEMUs, Pss", "MiB", ours.pss_mib},
                 {"booted guests' QEMUs, Pss", "MiB", booted.pss_mib},
                 {"copies' QEMUs, Pss", "MiB", copied.pss_mib},
                 {"copies' memory files", "MiB", copied.file_mib}};
    std::erase_if(line.more, [](const Series& series) { return series.samples.empty(); });
    return line;
}

Result<Lines> of_count(Stage& stage, const BenchVmOptions& options, const Seat& root,
                       const Seat& source, const std::string& memory_file, u64 size_mib,
                       u64 count) {
    Children ours;
    Others booted;
    Others copied;
    Result<void> done = in_turn(
        options.repeats, [&] { return fork_crowd(stage, root, count, ours); },
        [&] {
            return add_or_say(copy_crowd(stage, source, memory_file, size_mib, count), copied);
        });
    const unsigned boots = count <= few ? options.repeats : 1;
    for (unsigned i = 0; i < boots && done; ++i) {
        done = add_or_say(boot_crowd(stage, size_mib, count), booted);
    }
    if (!done) {
        return pass(done);
    }
    return Lines{answer_line(size_mib, count, ours, booted, "booting as many"),
                 answer_line(size_mib, count, ours, copied, "as many copies of a memory file"),
                 memory_line(size_mib, count, ours, booted, copied)};
}

}  // namespace

Result<Lines> children_rows(Stage& stage, const BenchVmOptions& options, u64 size_mib) {
    const std::string memory_file = stage.file(stage.fresh("memory"));
    Result<Seat> source = start_plain(stage, {size_mib, Ram::file, memory_file});
    if (!source) {
        return pass(source);
    }
    Result<Seat> root = boot_ours(stage, size_mib);  // both boot meanwhile
    if (!root) {
        return pass(root);
    }
    Result<void> done = await_boot(stage, *source);
    for (const Seat& seat : {*root, *source}) {
        done = done ? give_load(seat, load_for(size_mib), false) : done;
    }
    Lines lines;
    for (const u64 count : options.children) {
        if (!done) {
            break;
        }
        Result<Lines> some = of_count(stage, options, *root, *source, memory_file, size_mib, count);
        if (!some) {
            return pass(some);
        }
        lines.insert(lines.end(), some->begin(), some->end());
    }
    end_plain(*source);
    std::filesystem::remove(memory_file);
    done = done ? end_ours(stage, root->name) : done;
    if (!done) {
        return pass(done);
    }
    return lines;
}

}  // namespace verso::cli::bench
