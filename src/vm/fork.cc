// verso vm fork: one moment of the source, and as many children of it as are asked for.
//
// The source stands still for the moment only. Children are started afterwards, side by side: each
// QEMU comes up with its memory offered by the source's keeper (which maps nothing yet), loads the
// device state, and runs.
#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <functional>
#include <optional>
#include <thread>

#include <nlohmann/json.hpp>
#include <sys/stat.h>

#include "vm/answer.h"
#include "vm/device_state.h"
#include "vm/disks.h"
#include "vm/guest_clock.h"
#include "vm/keeper.h"
#include "vm/machine.h"
#include "vm/moment.h"
#include "vm/socket.h"
#include "vm/verbs.h"

namespace verso::vm {
namespace {

constexpr int lock_timeout_ms = 60'000;
constexpr int export_timeout_ms = 90'000;
constexpr int console_timeout_ms = 10'000;

struct Birth {
    Record record;
    u64 running_ns = 0;
    u64 answered_ns = 0;
    Result<void> done;
    Result<void> answer;
};

/// Everything of one child, from its QEMU's start until its guest runs. `before_it_runs` is called
/// when its QEMU answers. `again`: it failed because the page server was killed meanwhile, and
/// another is there.
Result<void> try_to_bear(const RuntimeDir& dir, const std::string& keeper,
                         const std::string& source, const Moment& moment, Record& child,
                         const std::function<void()>& before_it_runs, bool& again) {
    Result<std::pair<Fd, Fd>> pair = packet_pair();
    if (!pair) {
        return pass(pair);
    }
    if (Result<void> started = start_machine(dir, child, pair->second.get()); !started) {
        return fail(started.error().kind, started.error().os_error,
                    "the child '{}' could not be forked: {}", child.name, started.error().message);
    }
    // A verb that is killed from here on leaves a machine that can be listed and removed.
    if (Result<void> saved = save_record(dir, child); !saved) {
        return saved;
    }
    pair->second.reset();  // a QEMU that ends early is noticed by its end of the socket
    const std::array<int, 1> ours{pair->first.get()};
    const Json request = {{"do", "export"}, {"region", source}, {"snapshot", moment.name}};
    if (Result<Json> sent = ask(keeper, request, ours, export_timeout_ms); !sent) {
        again = sent.error().kind == ErrorKind::peer;
        // The agent has said why, if it was the child that refused.
        return fail(ErrorKind::peer, 0, "the memory of '{}' could not be forked: {} ({})", source,
                    sent.error().message, last_words(dir, child));
    }
    Result<Qmp> qmp = monitor_of(dir, child);
    if (!qmp) {
        return fail(ErrorKind::peer, 0, "the child's QEMU ended: {}", last_words(dir, child));
    }
    before_it_runs();
    if (Result<void> loaded = load_state(*qmp, moment.state); !loaded) {
        return fail(ErrorKind::peer, 0, "the child '{}' did not start: {} ({})", child.name,
                    loaded.error().message, last_words(dir, child));
    }
    return {};
}

Result<void> bear(const RuntimeDir& dir, const std::string& keeper, const std::string& source,
                  const Moment& moment, Record& child,
                  const std::function<void()>& before_it_runs) {
    constexpr unsigned tries_max = 20;
    for (unsigned tries = 1;; ++tries) {
        bool again = false;
        Result<void> done = try_to_bear(dir, keeper, source, moment, child, before_it_runs, again);
        if (done || !again || tries == tries_max) {
            return done;
        }
        kill_process(child.process);
        (void)wait_until_ended(child.process, lock_timeout_ms);
    }
}

/// Asks a child that runs. It is listened to from before its guest ran, so that nothing is missed.
Result<void> ask_child(Result<ConsoleTalk>& console, const Question& question) {
    return console ? console->ask(question) : pass(console);
}

/// Everything of one child on its own thread, with the times since the verb began.
void bear_and_ask(const RuntimeDir& dir, const std::string& keeper, const std::string& source,
                  const Moment& moment, const std::optional<Question>& question, u64 begun_ns,
                  Birth& birth) {
    std::optional<Result<ConsoleTalk>> console;
    birth.done = bear(dir, keeper, source, moment, birth.record, [&] {
        if (question) {
            console =
                ConsoleTalk::open(dir.file(birth.record.name, "console.sock"), console_timeout_ms);
        }
    });
    birth.running_ns = now_ns() - begun_ns;
    if (!birth.done || !console) {
        return;
    }
    birth.answer = ask_child(*console, *question);
    if (birth.answer) {
        birth.answered_ns = now_ns() - begun_ns;
    }
}

/// Reserves the children's names by making their folders.
Result<std::vector<Birth>> conceive(const RuntimeDir& dir, const ForkRequest& request,
                                    const Record& source) {
    std::vector<Birth> births;
    const auto give_up = [&] {
        for (const Birth& birth : births) {
            discard_machine(dir, birth.record);
        }
    };
    for (unsigned i = 0; i < request.count; ++i) {
        Birth birth;
        Record& child = birth.record;
        child.name =
            request.count == 1 ? request.child : fmt::format("{}-{}", request.child, i + 1);
        if (Result<void> right = check_name(child.name); !right) {
            give_up();
            return pass(right);
        }
        child.parent = source.name;
        child.folder = source.folder;
        child.line = source.line;
        if (::mkdir(dir.folder(child.name).c_str(), 0700) != 0) {
            const int error = errno;
            give_up();
            return fail(ErrorKind::invalid_argument, error,
                        "the machine '{}' exists already; choose another name or remove it",
                        child.name);
        }
        births.push_back(std::move(birth));
    }
    return births;
}

/// The child's own layers, over the source's of that moment.
Result<void> give_disks(const RuntimeDir& dir, const Record& source, const Moment& moment,
                        const std::vector<u64>& bytes, Record& child) {
    child.below = source.below;
    for (std::size_t i = 0; i < moment.disks.size(); ++i) {
        Result<std::string> overlay = make_overlay(dir, child, moment.disks[i], bytes[i]);
        if (!overlay) {
            return pass(overlay);
        }
        child.line.drives[i].file = *overlay;
        child.below.push_back(moment.disks[i]);
    }
    return {};
}

std::vector<u64> sizes_of(const std::vector<Disk>& disks) {
    std::vector<u64> sizes;
    for (const Disk& disk : disks) {
        sizes.push_back(disk.bytes);
    }
    return sizes;
}

Result<void> start_children(const RuntimeDir& dir, const std::string& keeper, const Record& source,
                            const Moment& moment, const std::optional<Question>& question,
                            u64 begun_ns, std::vector<Birth>& births) {
    std::vector<std::thread> threads;
    for (Birth& birth : births) {
        threads.emplace_back(
            [&] { bear_and_ask(dir, keeper, source.name, moment, question, begun_ns, birth); });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    for (Birth& birth : births) {
        if (!birth.done) {
            return pass(birth.done);
        }
    }
    return {};
}

Result<void> run_hook(const RuntimeDir& dir, const std::string& hook, const Record& child) {
    return run_helper(
        {"env", "VERSO_VM=" + child.name, "VERSO_VM_PARENT=" + child.parent,
         "VERSO_VM_FOLDER=" + dir.folder(child.name),
         "VERSO_VM_CONSOLE=" + dir.file(child.name, "console.sock"), "sh", "-c", hook},
        dir.folder(child.name));
}

/// The moment to fork from: one that was kept, or now.
Result<Moment> moment_for(const RuntimeDir& dir, const FileLock& lock, const ForkRequest& request,
                          Record& source, Qmp& qmp, const std::string& keeper, Forked& forked) {
    if (!request.from.empty()) {
        return *source.moment(request.from);
    }
    Result<Taken> taken = take_moment(dir, lock, source, qmp, keeper, {fork_snapshot, false});
    if (!taken) {
        return pass(taken);
    }
    forked.paused = true;
    forked.pause = taken->pause;
    return taken->moment;
}

Result<Forked> fork_into(const RuntimeDir& dir, const FileLock& lock, const ForkRequest& request,
                         Record& source, std::vector<Birth>& births, u64 begun_ns) {
    bool lent_anew = false;
    Result<std::string> keeper = keeper_of(dir, source, lent_anew);
    if (!keeper) {
        return pass(keeper);
    }
    Result<Qmp> qmp = monitor_of(dir, source);
    if (!qmp) {
        return pass(qmp);
    }
    Result<std::vector<Disk>> disks = writable_disks(*qmp, source);
    if (!disks) {
        return pass(disks);
    }
    Forked forked;
    Result<Moment> moment = moment_for(dir, lock, request, source, *qmp, *keeper, forked);
    if (!moment) {
        return pass(moment);
    }
    Result<void> done;
    for (Birth& birth : births) {
        if (done) {
            done = give_disks(dir, source, *moment, sizes_of(*disks), birth.record);
        }
    }
    if (done) {
        done = start_children(dir, *keeper, source, *moment, request.question, begun_ns, births);
    }
    if (request.from.empty()) {  // the children hold what they need of it
        (void)ask(*keeper,
                  Json{{"do", "release"}, {"region", source.name}, {"snapshot", moment->name}});
        std::error_code ignored;
        std::filesystem::remove(moment->state, ignored);
    }
    if (!done) {
        return pass(done);
    }
    return forked;
}

/// A child's clock goes on from where the source's stood, once the child runs.
void compare_clocks(const RuntimeDir& dir, const std::string& source, Started& child) {
    const Result<ClockReading> its = read_guest_clock(dir.file(child.name, "agent.sock"));
    const Result<ClockReading> sources = read_guest_clock(dir.file(source, "agent.sock"));
    if (its && sources) {
        child.behind_known = true;
        child.behind_ns = behind_ns(*its, *sources);
    }
}

}  // namespace

Result<Forked> fork_machine(const RuntimeDir& dir, const ForkRequest& request) {
    const u64 begun_ns = now_ns();
    if (request.question) {
        if (Result<void> right = check_question(*request.question); !right) {
            return pass(right);
        }
    }
    Result<FileLock> lock = FileLock::take(dir, request.source, lock_timeout_ms);
    if (!lock) {
        return pass(lock);
    }
    Result<Record> source = load_record(dir, request.source);
    if (!source) {
        return pass(source);
    }
    if (!request.from.empty() && source->moment(request.from) == nullptr) {
        return fail(ErrorKind::invalid_argument, 0, "'{}' has no snapshot '{}'", request.source,
                    request.from);
    }
    Result<std::vector<Birth>> births = conceive(dir, request, *source);
    if (!births) {
        return pass(births);
    }
    Result<Forked> forked = fork_into(dir, *lock, request, *source, *births, begun_ns);
    if (!forked) {
        for (const Birth& birth : *births) {
            discard_machine(dir, birth.record);
        }
        return forked;
    }
    for (const Birth& birth : *births) {
        Started child{birth.record.name, birth.record.process, birth.running_ns};
        child.answered_ns = birth.answered_ns;
        forked->children.push_back(child);
        if (request.from.empty()) {
            compare_clocks(dir, request.source, forked->children.back());
        }
        if (!birth.answer) {
            forked->unanswered.push_back(birth.record.name + ": " + birth.answer.error().message);
        }
        if (request.hook.empty()) {
            continue;
        }
        if (Result<void> ran = run_hook(dir, request.hook, birth.record); !ran) {
            forked->hooks_failed.push_back(birth.record.name + ": " + ran.error().message);
        }
    }
    return forked;
}

}  // namespace verso::vm
