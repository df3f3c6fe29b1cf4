// Everything of a guest that is not its memory: see the header.
#include "vm/device_state.h"

#include <cerrno>
#include <cstring>
#include <filesystem>

#include <fcntl.h>
#include <nlohmann/json.hpp>

#include "vm/guard.h"
#include "vm/process.h"
#include "vm/socket.h"

namespace verso::vm {
namespace {

constexpr int state_timeout_ms = 120'000;
constexpr const char* fd_name = "verso-state";
constexpr const char* job_id = "verso-job";

Result<void> leave_memory_out(Qmp& qmp) {
    Result<Json> set =
        qmp.execute("migrate-set-capabilities",
                    Json{{"capabilities", {{{"capability", "x-ignore-shared"}, {"state", true}}}}});
    return set ? Result<void>() : pass(set);
}

Result<void> hand_over(Qmp& qmp, const std::string& file, int flags) {
    // Why safe: a file in the machine's own folder.
    const Fd opened(::open(file.c_str(), flags | O_CLOEXEC, 0600));
    if (!opened.valid()) {
        return fail(ErrorKind::system, errno, "'{}' cannot be opened: {}", file,
                    std::strerror(errno));
    }
    Result<Json> given =
        qmp.execute("getfd", Json{{"fdname", fd_name}}, qmp_timeout_ms, opened.get());
    return given ? Result<void>() : pass(given);
}

/// null: QEMU knows of none.
Result<Json> find_job(Qmp& qmp) {
    Result<Json> jobs = qmp.execute("query-jobs");
    if (!jobs) {
        return jobs;
    }
    for (const Json& job : jobs->is_array() ? *jobs : Json::array()) {
        if (text_at(job, "id") == job_id) {
            return job;
        }
    }
    return Json();
}

bool has_ended(const Json& job) { return text_at(job, "status") == "concluded"; }

/// So that the next one may have its name.
void dismiss_job(Qmp& qmp) { (void)qmp.execute("job-dismiss", Json{{"id", job_id}}); }

/// Runs snapshot-save or snapshot-load to its end.
Result<void> run_job(Qmp& qmp, const char* command, const StateStore& store,
                     const std::string& tag) {
    Result<Json> begun = qmp.execute(
        command,
        Json{{"job-id", job_id}, {"tag", tag}, {"vmstate", store.node}, {"devices", {store.node}}});
    if (!begun) {
        return pass(begun);
    }
    const Deadline deadline(state_timeout_ms);
    while (!deadline.over()) {
        Result<Json> job = find_job(qmp);
        if (!job) {
            return pass(job);
        }
        if (has_ended(*job)) {
            dismiss_job(qmp);
            const std::string error = text_at(*job, "error");
            if (!error.empty()) {
                return fail(ErrorKind::system, 0, "QEMU's {} failed: {}", command, error);
            }
            return {};
        }
        pause_ms(1);
    }
    return fail(ErrorKind::peer, ETIMEDOUT, "QEMU's {} does not end", command);
}

}  // namespace

Result<Stillness> Stillness::begin(Qmp& qmp, Guard* guard) {
    Result<Json> status = qmp.execute("query-status");
    if (!status) {
        return pass(status);
    }
    if (!flag_at(*status, "running")) {
        return fail(ErrorKind::invalid_argument, 0,
                    "the guest is not running (QEMU says: {}); let it go on first",
                    text_at(*status, "status"));
    }
    if (guard != nullptr) {
        guard->say_stopping();
    }
    const u64 begun_ns = now_ns();
    Result<Json> stopped = qmp.execute("stop");
    if (!stopped) {
        return pass(stopped);
    }
    return Stillness(qmp, begun_ns, now_ns());
}

Result<u64> Stillness::end() {
    Qmp& qmp = *std::exchange(qmp_, nullptr);
    Result<Json> continued = qmp.execute("cont");
    if (!continued) {
        return pass(continued, "the guest could not go on");
    }
    return now_ns() - begun_ns_;
}

Stillness::~Stillness() {
    if (qmp_ != nullptr) {
        (void)qmp_->execute("cont");
    }
}

Result<void> write_state(Qmp& qmp, const std::string& file) {
    Result<void> ready = leave_memory_out(qmp);
    if (ready) {
        ready = hand_over(qmp, file, O_RDWR | O_CREAT | O_TRUNC);
    }
    if (!ready) {
        return ready;
    }
    Result<Json> begun = qmp.execute("migrate", Json{{"uri", std::string("fd:") + fd_name}});
    if (!begun) {
        return pass(begun);
    }
    const Deadline deadline(state_timeout_ms);
    while (!deadline.over()) {
        Result<Json> migration = qmp.execute("query-migrate");
        if (!migration) {
            return pass(migration);
        }
        const std::string status = text_at(*migration, "status");
        if (status == "completed") {
            return {};
        }
        if (status == "failed" || status == "cancelled") {
            return fail(ErrorKind::system, 0, "QEMU could not write its device state: {}",
                        text_at(*migration, "error-desc", status));
        }
        pause_ms(1);
    }
    (void)qmp.execute("migrate_cancel");
    return fail(ErrorKind::peer, ETIMEDOUT, "QEMU does not finish writing its device state");
}

Result<void> load_state(Qmp& qmp, const std::string& file) {
    Result<void> ready = leave_memory_out(qmp);
    if (ready) {
        ready = hand_over(qmp, file, O_RDONLY);
    }
    if (!ready) {
        return ready;
    }
    Result<Json> begun =
        qmp.execute("migrate-incoming", Json{{"uri", std::string("fd:") + fd_name}});
    if (!begun) {
        return pass(begun);
    }
    const Deadline deadline(state_timeout_ms);
    while (!deadline.over()) {
        Result<Json> status = qmp.execute("query-status");
        if (!status) {
            return pass(status);
        }
        if (flag_at(*status, "running")) {
            return {};
        }
        // The state says of itself that its guest stood still, and so does this one then.
        if (text_at(*status, "status") != "inmigrate") {
            if (Result<Json> continued = qmp.execute("cont"); !continued) {
                return pass(continued);
            }
        } else {
            pause_ms(1);
        }
    }
    return fail(ErrorKind::peer, ETIMEDOUT, "the device state is not loaded to its end");
}

StateStore moments_store(const RuntimeDir& dir, const std::string& machine) {
    return {"verso-store", dir.file(machine, "store.qcow2")};
}

StateStore before_store(const RuntimeDir& dir, const std::string& machine) {
    return {"verso-before", dir.file(machine, "before.qcow2")};
}

Result<void> prepare_store(Qmp& qmp, const StateStore& store) {
    std::error_code ignored;
    if (std::filesystem::exists(store.file, ignored)) {
        return {};
    }
    const std::string folder = std::filesystem::path(store.file).parent_path().string();
    if (Result<void> made =
            run_helper({"qemu-img", "create", "-q", "-f", "qcow2", store.file, "1M"}, folder);
        !made) {
        return pass(made, "a place for device states (qemu-img is in Debian's qemu-utils)");
    }
    // Nobody needs it after a power failure: the memory that belongs to it would be gone, too.
    Result<Json> added =
        qmp.execute("blockdev-add", Json{{"driver", "qcow2"},
                                         {"node-name", store.node},
                                         {"cache", {{"no-flush", true}}},
                                         {"file", {{"driver", "file"}, {"filename", store.file}}}});
    if (!added) {
        std::filesystem::remove(store.file, ignored);
        return pass(added);
    }
    return {};
}

void drop_store(Qmp& qmp, const StateStore& store) {
    std::error_code ignored;
    if (std::filesystem::exists(store.file, ignored)) {
        (void)qmp.execute("blockdev-del", Json{{"node-name", store.node}});
        std::filesystem::remove(store.file, ignored);
    }
}

Result<void> keep_state(Qmp& qmp, const StateStore& store, const std::string& tag) {
    Result<void> ready = leave_memory_out(qmp);
    return ready ? run_job(qmp, "snapshot-save", store, tag) : ready;
}

Result<bool> is_state_kept(Qmp& qmp, const StateStore& store, const std::string& tag) {
    Result<Json> nodes = qmp.execute("query-named-block-nodes");
    if (!nodes) {
        return pass(nodes);
    }
    for (const Json& node : nodes->is_array() ? *nodes : Json::array()) {
        if (text_at(node, "node-name") != store.node) {
            continue;
        }
        const Json& kept = part_at(part_at(node, "image"), "snapshots");
        for (const Json& one : kept.is_array() ? kept : Json::array()) {
            if (text_at(one, "name") == tag) {
                return true;
            }
        }
    }
    return false;
}

Result<void> take_state_back(Qmp& qmp, const StateStore& store, const std::string& tag) {
    Result<void> ready = leave_memory_out(qmp);
    return ready ? run_job(qmp, "snapshot-load", store, tag) : ready;
}

Result<bool> has_job_at_work(Qmp& qmp) {
    Result<Json> job = find_job(qmp);
    if (!job) {
        return pass(job);
    }
    if (has_ended(*job)) {
        dismiss_job(qmp);
        return false;
    }
    return !job->is_null();
}

}  // namespace verso::vm
