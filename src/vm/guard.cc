// A process that stands by while a guest is stopped: see the header.
#include "vm/guard.h"

#include <cerrno>
#include <cstdio>
#include <optional>

#include <fmt/core.h>
#include <nlohmann/json.hpp>
#include <sys/wait.h>

#include "vm/disks.h"
#include "vm/keeper.h"
#include "vm/machine.h"
#include "vm/process.h"
#include "vm/socket.h"

namespace verso::vm {
namespace {

constexpr int socket_fd = 3;
constexpr int lock_fd = 4;  // nobody reads it: having it is enough
constexpr int start_timeout_ms = 10'000;
constexpr int forever_ms = 3'600'000;
constexpr int end_timeout_ms = 50'000;  // less than a verb waits for the machine's lock

bool has_migration_at_work(Qmp& qmp) {
    const Result<Json> migration = qmp.execute("query-migrate");
    const std::string status = migration ? text_at(*migration, "status") : "";
    return !(status.empty() || status == "none" || status == "completed" || status == "failed" ||
             status == "cancelled");
}

/// What QEMU was told to do before the verb ended is done to its end first.
Result<void> settle(Qmp& qmp) {
    const Deadline deadline(end_timeout_ms);
    for (;; pause_ms(2)) {
        Result<bool> job = has_job_at_work(qmp);
        if (!job) {
            return pass(job);
        }
        if (!*job && !has_migration_at_work(qmp)) {
            return {};
        }
        if (deadline.over()) {
            return fail(ErrorKind::peer, ETIMEDOUT, "QEMU does not finish what it was told to do");
        }
    }
}

Result<void> let_go_on(const RuntimeDir& dir, const std::string& name,
                       const std::optional<WayForward>& way) {
    Result<Record> record = load_record(dir, name);
    if (!record) {
        return pass(record);
    }
    Result<Qmp> qmp = monitor_of(dir, *record);
    if (!qmp) {
        return pass(qmp);
    }
    if (Result<void> settled = settle(*qmp); !settled) {
        return settled;
    }
    Result<Json> status = qmp->execute("query-status");
    if (!status || flag_at(*status, "running")) {  // `cont` was the last thing that the verb did
        return status ? Result<void>() : pass(status);
    }
    if (way) {
        if (Result<void> done = finish_or_go_forward(*qmp, *way); !done) {
            return pass(done, "it stays stopped");
        }
    }
    Result<Json> continued = qmp->execute("cont");
    if (!continued) {
        return pass(continued);
    }
    if (way) {
        close_below(*qmp, way->overlays);  // QEMU refuses where they are in use
        drop_store(*qmp, way->before);
        (void)ask(way->keeper,
                  Json{{"do", "release"}, {"region", way->region}, {"snapshot", before_rewind}});
    }
    return {};
}

}  // namespace

Result<Guard> Guard::post(const RuntimeDir& dir, const Record& record, const FileLock& lock) {
    Result<std::string> program = own_program();
    if (!program) {
        return pass(program);
    }
    Result<std::pair<Fd, Fd>> pair = packet_pair();
    if (!pair) {
        return pass(pair);
    }
    Launch what;
    what.command = {*program, "vm-guard", dir.path(), record.name};
    what.folder = "/";
    what.log = dir.server_log();
    what.fds = {{pair->second.get(), socket_fd}, {lock.fd(), lock_fd}};
    Result<ProcessId> started = launch(what);
    if (!started) {
        return pass(started, "the guard of '" + record.name + "'");
    }
    pair->second.reset();
    Guard guard(std::move(pair->first), started->pid);
    // Its start is not to take processor time from what the guest stands still for.
    if (Result<Packet> ready = receive_packet(guard.socket_.get(), start_timeout_ms); !ready) {
        return pass(ready, "the guard of '" + record.name + "'");
    }
    return guard;
}

// A guard that was killed hears nothing, and the verb goes on without it.
void Guard::say_stopping() { (void)send_packet(socket_.get(), to_line(Json{{"say", "stopping"}})); }

void Guard::say_way(const WayForward& way) {
    (void)send_packet(socket_.get(), to_line(Json{{"say", "way"}, {"way", json_of(way)}}));
}

Guard::~Guard() {
    if (pid_ == 0) {
        return;
    }
    (void)send_packet(socket_.get(), to_line(Json{{"say", "well"}}));
    pid_t ended = -1;
    do {
        // Why safe: a child of ours that nobody else waits for; it has nothing left to do.
        ended = ::waitpid(pid_, nullptr, 0);
    } while (ended < 0 && errno == EINTR);
}

Result<void> run_guard(const RuntimeDir& dir, const std::string& name) {
    const Fd socket(socket_fd);
    if (!send_packet(socket.get(), to_line(Json{{"say", "ready"}}))) {
        return {};  // the verb was killed, and has stopped nothing
    }
    bool stopped = false;
    std::optional<WayForward> way;
    for (;;) {
        if (!wait_readable(socket.get(), forever_ms)) {
            continue;
        }
        Result<Packet> packet = receive_packet(socket.get(), forever_ms);
        if (!packet) {
            break;
        }
        const Json said = parse_json(packet->text);
        const std::string what = text_at(said, "say");
        if (what == "well") {
            return {};
        }
        stopped = true;
        if (what == "way") {
            way = way_forward_of(part_at(said, "way"));
        }
    }
    if (!stopped) {
        return {};
    }
    Result<void> done = let_go_on(dir, name, way);
    fmt::print(stderr, "the verb that had stopped '{}' was killed; {}\n", name,
               done ? "it goes on" : "and then: " + done.error().message);
    return done;
}

}  // namespace verso::vm
