// The page server: see the header.
#include "vm/server.h"

#include <atomic>
#include <cerrno>
#include <cstring>
#include <memory>
#include <thread>

#include <nlohmann/json.hpp>
#include <sys/socket.h>
#include <unistd.h>

#include "vm/keeper.h"
#include "vm/process.h"
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

Result<void> page_server(const RuntimeDir& dir) {
    Result<Fd> listening = [&]() -> Result<Fd> {
        Result<FileLock> lock = FileLock::take(dir, "server", start_timeout_ms);
        if (!lock) {
            return pass(lock);
        }
        return listen_at(dir.server_socket(), SocketKind::packets);
    }();
    if (!listening) {
        return pass(listening);
    }
    Keeper keeper;
    Deadline idle(idle_ms_max);
    serve_requests(
        listening->get(),
        [&keeper](const Json& request, const std::vector<Fd>& fds) {
            return text_at(request, "do") == "hello" ? Json{{"ok", true}, {"pid", ::getpid()}}
                                                     : keeper.answer(request, fds);
        },
        [&] {
            if (!keeper.empty()) {
                idle = Deadline(idle_ms_max);
            }
            return idle.over();
        });
    // Whoever connects from here on is refused, and starts another server.
    ::unlink(dir.server_socket().c_str());
    return {};
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
    what.command = {*program, "vm-server", dir.path()};
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
