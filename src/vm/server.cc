// The page server: see the header.
#include "vm/server.h"

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <memory>
#include <thread>

#include <nlohmann/json.hpp>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vm/keeper.h"
#include "vm/process.h"
#include "vm/safe.h"
#include "vm/socket.h"

namespace verso::vm {
namespace {

constexpr int look_every_ms = 250;
constexpr int request_timeout_ms = 10'000;
constexpr int idle_ms_max = 60'000;
constexpr int start_timeout_ms = 60'000;

using Answer = std::function<Json(const Json&, const std::vector<Fd>&)>;

void serve_one(const Fd& client, const Answer& answer) {
    while (true) {
        Result<Packet> packet = receive_packet(client.get(), request_timeout_ms);
        if (!packet) {
            return;
        }
        const Json request = parse_json(packet->text);
        const Json said = request.is_object()
                              ? answer(request, packet->fds)
                              : Json{{"ok", false}, {"error", "that is not a JSON object"}};
        if (!send_packet(client.get(), to_line(said))) {
            return;
        }
    }
}

}  // namespace

void serve_requests(int listening, const Answer& answer, const std::function<bool()>& over) {
    const auto busy = std::make_shared<std::atomic<unsigned>>(0);
    while (true) {
        if (!wait_readable(listening, look_every_ms)) {
            if (busy->load() == 0 && over()) {
                return;
            }
            continue;
        }
        Fd client(::accept4(listening, nullptr, nullptr, SOCK_CLOEXEC));
        if (!client.valid()) {
            pause_ms(1);  // out of descriptors: whoever asked may try again
            continue;
        }
        busy->fetch_add(1);
        std::thread([busy, answer, kept = std::make_shared<Fd>(std::move(client))] {
            serve_one(*kept, answer);
            busy->fetch_sub(1);
        }).detach();
    }
}

Result<void> page_server() {
    Fd listening(server_listening_fd);
    SafeClient safe{Fd(server_safe_fd), Fd(server_safe_process_fd)};
    // Who has no safe cannot be taken over from. Asked after, because it may have ended before.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (wait_readable(safe.process(), 0)) {
        return fail(ErrorKind::peer, 0, "the process that started this one has ended");
    }
    Keeper keeper(&safe);
    Result<std::vector<SafeClient::Kept>> kept = safe.receive_all();
    if (!kept) {
        return pass(kept);
    }
    if (Result<void> resumed = keeper.take_over(*kept); !resumed) {
        return resumed;
    }
    kept->clear();  // duplicates of what is in use
    safe.say_serving();
    Deadline idle(idle_ms_max);
    serve_requests(
        listening.get(),
        [&keeper](const Json& request, const std::vector<Fd>& fds) {
            if (text_at(request, "do") == "hello") {
                return Json{{"ok", true}, {"pid", ::getpid()}, {"safe", ::getppid()}};
            }
            return keeper.answer(request, fds);
        },
        [&] {
            if (!keeper.empty() || !safe.empty()) {  // a machine that is gone may have children
                idle = Deadline(idle_ms_max);
            }
            return idle.over();
        });
    return {};
}

void end_server(const RuntimeDir& dir) {
    const Result<Json> server = ask(dir.server_socket(), Json{{"do", "hello"}}, {}, 1'000);
    if (!server) {
        return;
    }
    kill_process(identify(static_cast<pid_t>(number_at(*server, "safe"))));
    const ProcessId process = identify(static_cast<pid_t>(number_at(*server, "pid")));
    kill_process(process);
    (void)wait_until_ended(process, start_timeout_ms);
}

Result<void> ensure_server(const RuntimeDir& dir) {
    if (ask(dir.server_socket(), Json{{"do", "hello"}}, {}, start_timeout_ms)) {
        return {};
    }
    Result<std::string> program = own_program();
    if (!program) {
        return pass(program);
    }
    Launch what;
    what.command = {*program, "vm-safe", dir.path()};
    what.folder = "/";
    what.log = dir.server_log();
    Result<ProcessId> started = launch(what);
    if (!started) {
        return pass(started, "the page server");
    }
    const Deadline deadline(start_timeout_ms);
    while (!deadline.over()) {
        // Two may have been started at once: one listens, and the other has ended.
        if (ask(dir.server_socket(), Json{{"do", "hello"}}, {}, start_timeout_ms)) {
            return {};
        }
        pause_ms(5);
    }
    return fail(ErrorKind::peer, ETIMEDOUT, "the page server does not answer: {}",
                last_line_of(dir.server_log()));
}

}  // namespace verso::vm
