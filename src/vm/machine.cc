// One running QEMU: see the header.
#include "vm/machine.h"

#include <array>
#include <filesystem>
#include <thread>

#include <nlohmann/json.hpp>

#include "vm/agent/agent.h"
#include "vm/keeper.h"
#include "vm/server.h"
#include "vm/socket.h"

namespace verso::vm {
namespace fs = std::filesystem;

namespace {

constexpr int start_timeout_ms = 60'000;
constexpr int monitor_wait_ms = 200;

/// Beside the program where both were built, or where they were installed.
Result<std::string> find_agent() {
    Result<std::string> program = own_program();
    if (!program) {
        return program;
    }
    const fs::path here = fs::path(*program).parent_path();
    for (const fs::path& path : {here / agent_file, here / VERSO_BIN_TO_LIB / agent_file}) {
        std::error_code ignored;
        if (fs::is_regular_file(path, ignored)) {
            return path.lexically_normal().string();
        }
    }
    return fail(ErrorKind::unsupported, 0,
                "{} is neither beside '{}' nor in {}; build or install it with Verso", agent_file,
                *program, (here / VERSO_BIN_TO_LIB).lexically_normal().string());
}

}  // namespace

Result<void> start_machine(const RuntimeDir& dir, Record& record, int import_socket) {
    Result<std::string> agent = find_agent();
    if (!agent) {
        return pass(agent);
    }
    Launch what;
    what.command =
        command_for(record.line, dir.folder(record.name), record.line.drives, import_socket >= 0);
    what.folder = record.folder;
    what.log = dir.file(record.name, "qemu.log");
    what.environment = {
        "LD_PRELOAD=" + *agent,
        std::string(agent_socket_variable) + "=" + dir.file(record.name, "agent.sock"),
        std::string(agent_name_variable) + "=" + record.name};
    if (import_socket >= 0) {
        what.environment.push_back(std::string(agent_import_variable) + "=1");
        what.fds.emplace_back(import_socket, agent_import_fd);
    }
    Result<ProcessId> process = launch(what);
    if (!process) {
        return pass(process);
    }
    record.process = *process;
    return {};
}

std::string last_words(const RuntimeDir& dir, const Record& record) {
    return last_line_of(dir.file(record.name, "qemu.log"));
}

Result<Qmp> monitor_of(const RuntimeDir& dir, const Record& record) {
    if (!is_alive(record.process)) {
        return fail(ErrorKind::peer, 0, "'{}' is not running; `verso vm rm {}` removes it",
                    record.name, record.name);
    }
    return Qmp::connect(dir.file(record.name, "qmp.sock"));
}

Result<void> await_memory(const RuntimeDir& dir, const Record& record) {
    const Deadline deadline(start_timeout_ms);
    const std::string socket = dir.file(record.name, "agent.sock");
    while (is_alive(record.process) && !deadline.over()) {
        if (Result<Json> memory = ask(socket, Json{{"do", "memory"}})) {
            const u64 bytes = number_at(*memory, "bytes");
            if (bytes == record.line.memory_bytes) {
                return {};
            }
            return fail(ErrorKind::unsupported, 0,
                        "QEMU mapped {} bytes of guest memory as a memfd, not {}", bytes,
                        record.line.memory_bytes);
        }
        // QEMU has set up its machine once its monitor answers: no mapping will come any more.
        if (Qmp::connect(dir.file(record.name, "qmp.sock"), monitor_wait_ms)) {
            if (ask(socket, Json{{"do", "memory"}})) {
                continue;
            }
            return fail(ErrorKind::unsupported, 0,
                        "QEMU runs, but this machine type maps no memory-backend-memfd");
        }
        pause_ms(5);
    }
    if (!is_alive(record.process)) {
        return fail(ErrorKind::system, 0, "QEMU ended: {}", last_words(dir, record));
    }
    return fail(ErrorKind::peer, 0, "QEMU mapped no guest memory in {} s", start_timeout_ms / 1000);
}

namespace {

Result<void> lend_to_server(const RuntimeDir& dir, const std::string& name) {
    Result<std::pair<Fd, Fd>> pair = packet_pair();
    if (!pair) {
        return pass(pair);
    }
    const std::array<int, 1> ours{pair->first.get()};
    const std::array<int, 1> its{pair->second.get()};
    Result<Json> attached;
    std::thread attaching([&] {
        attached = ask(dir.server_socket(), Json{{"do", "attach"}, {"region", name}}, ours);
    });
    Result<Json> lent = ask(dir.file(name, "agent.sock"), Json{{"do", "lend"}}, its);
    pair->second.reset();  // if it was not lent, nobody will write there
    attaching.join();
    if (!lent) {
        return pass(lent, "lending the memory of '" + name + "'");
    }
    if (!attached) {
        return pass(attached, "attaching the memory of '" + name + "'");
    }
    return {};
}

}  // namespace

Result<std::string> keeper_of(const RuntimeDir& dir, const Record& record, bool& lent_anew) {
    lent_anew = false;
    const std::string agent = dir.file(record.name, "agent.sock");
    if (record.is_child()) {
        return agent;
    }
    if (Result<void> server = ensure_server(dir); !server) {
        return pass(server);
    }
    const Result<Json> known =
        ask(dir.server_socket(), Json{{"do", "figures"}, {"region", record.name}});
    if (known || !is_alive(record.process)) {
        return dir.server_socket();
    }
    if (known.error().kind == ErrorKind::peer) {  // only an answer can say that it is not known
        return tl::unexpected<Error>(known.error());
    }
    constexpr unsigned tries_max = 5;
    for (unsigned tries = 1;; ++tries) {
        Result<void> lent = lend_to_server(dir, record.name);
        if (lent) {
            lent_anew = true;
            return dir.server_socket();
        }
        // A page server that is killed while it attaches has forgotten it.
        if (lent.error().kind != ErrorKind::peer || tries == tries_max) {
            return pass(lent);
        }
    }
}

void discard_machine(const RuntimeDir& dir, const Record& record) {
    kill_process(record.process);
    constexpr int end_timeout_ms = 10'000;
    (void)wait_until_ended(record.process, end_timeout_ms);
    std::error_code ignored;
    fs::remove_all(dir.folder(record.name), ignored);
}

}  // namespace verso::vm
