// The safe: see the header.
#include "vm/safe.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <map>

#include <fmt/core.h>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vm/json.h"
#include "vm/process.h"
#include "vm/socket.h"

namespace verso::vm {
namespace {

constexpr int answer_timeout_ms = 30'000;
constexpr int start_timeout_ms = 60'000;
// Servers that end before they serve what was put away: it is not the next that will.
constexpr unsigned failures_max = 5;

std::vector<u64> numbers_of(const Json& packet) {
    std::vector<u64> numbers;
    const auto at = packet.find("numbers");
    for (const Json& one : at != packet.end() && at->is_array() ? *at : Json::array()) {
        numbers.push_back(one.is_number_unsigned() ? one.get<u64>() : 0);
    }
    return numbers;
}

std::vector<int> borrowed(const std::vector<Fd>& fds) {
    std::vector<int> all;
    for (const Fd& fd : fds) {
        all.push_back(fd.get());
    }
    return all;
}

Fd process_fd(pid_t pid) {
    // Why safe: makes a descriptor, or -1.
    return Fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
}

/// Five descriptors for a machine and three for a child: a thousand would be few.
void allow_many_descriptors() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)::setrlimit(RLIMIT_NOFILE, &limit);
    }
}

class Safe {
public:
    Safe(const RuntimeDir& dir, Fd listening, Fd self)
        : dir_(dir), listening_(std::move(listening)), self_(std::move(self)) {}

    /// From one server's start to its end.
    Result<void> keep_for_one_server(const std::string& program);
    bool over() const { return over_; }
    bool served() const { return served_; }

private:
    Result<pid_t> start_server(const std::string& program, int socket) const;
    void hand_over(int socket) const;
    void listen_to(int socket, int process);
    bool hear(int socket, int timeout_ms);

    struct Entry {
        std::vector<u64> numbers;
        std::vector<Fd> fds;
    };
    const RuntimeDir& dir_;
    Fd listening_;
    Fd self_;
    std::map<std::string, Entry> entries_;
    bool over_ = false;    // the last server ended by itself
    bool served_ = false;  // it came so far as to serve
};

Result<pid_t> Safe::start_server(const std::string& program, int socket) const {
    Launch what;
    what.command = {program, "vm-server", dir_.path()};
    what.folder = "/";
    what.log = dir_.server_log();
    what.fds = {{listening_.get(), server_listening_fd},
                {socket, server_safe_fd},
                {self_.get(), server_safe_process_fd}};
    Result<ProcessId> started = launch(what);
    return started ? Result<pid_t>(started->pid) : pass(started);
}

/// Fails only if the server has ended, which is noticed elsewhere.
void Safe::hand_over(int socket) const {
    for (const auto& [key, entry] : entries_) {
        const Json packet = {{"key", key}, {"numbers", entry.numbers}};
        (void)send_packet(socket, to_line(packet), borrowed(entry.fds));
    }
    (void)send_packet(socket, to_line(Json{{"all", true}}));
}

/// One packet. False: none came.
bool Safe::hear(int socket, int timeout_ms) {
    Result<Packet> packet = receive_packet(socket, timeout_ms);
    if (!packet) {
        return false;
    }
    const Json said = parse_json(packet->text);
    const std::string verb = said.is_object() ? text_at(said, "do") : "";
    const std::string key = said.is_object() ? text_at(said, "key") : "";
    if (verb == "keep") {
        entries_.insert_or_assign(key, Entry{numbers_of(said), std::move(packet->fds)});
        (void)send_packet(socket, to_line(Json{{"ok", true}}));
    } else if (verb == "drop") {
        entries_.erase(key);
    } else if (verb == "serving") {
        served_ = true;
    }
    return true;
}

void Safe::listen_to(int socket, int process) {
    while (true) {
        std::array<pollfd, 2> waits{pollfd{.fd = socket, .events = POLLIN, .revents = 0},
                                    pollfd{.fd = process, .events = POLLIN, .revents = 0}};
        // Why safe: fills two structs of ours.
        if (::poll(waits.data(), waits.size(), -1) < 0) {
            continue;  // interrupted
        }
        const bool ended = waits[1].revents != 0;
        if (!ended && !hear(socket, 0)) {
            // Closed before its process has ended, as any process' end begins.
            (void)wait_readable(process, answer_timeout_ms);
        }
        if (ended) {  // what it said last counts
            while (hear(socket, 0)) {}
            return;
        }
    }
}

Result<void> Safe::keep_for_one_server(const std::string& program) {
    Result<std::pair<Fd, Fd>> pair = packet_pair();
    if (!pair) {
        return pass(pair);
    }
    served_ = false;
    Result<pid_t> pid = start_server(program, pair->second.get());
    if (!pid) {
        return pass(pid);
    }
    const Fd process = process_fd(*pid);
    if (!process.valid()) {
        return fail(ErrorKind::unsupported, errno, "the page server cannot be watched: {}",
                    std::strerror(errno));
    }
    pair->second.reset();
    hand_over(pair->first.get());
    listen_to(pair->first.get(), process.get());
    int status = 0;
    // Why safe: a child of ours that nobody else waits for, and that has ended.
    while (::waitpid(*pid, &status, 0) < 0 && errno == EINTR) {}
    over_ = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (!over_) {
        fmt::print(stderr, "verso: the page server was killed; another takes over\n");
        std::fflush(stderr);
    }
    return {};
}

}  // namespace

Result<void> run_safe(const RuntimeDir& dir) {
    allow_many_descriptors();
    Result<std::string> program = own_program();
    if (!program) {
        return pass(program);
    }
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
    Safe safe(dir, std::move(*listening), process_fd(::getpid()));
    Result<void> done;
    for (unsigned failures = 0; done && !safe.over() && failures < failures_max;) {
        done = safe.keep_for_one_server(*program);
        failures = safe.served() ? 0 : failures + 1;
    }
    // Whoever connects from here on is refused, and starts another.
    ::unlink(dir.server_socket().c_str());
    if (done && !safe.over()) {
        return fail(ErrorKind::peer, 0, "{} page servers ended before they served: {}",
                    failures_max, last_line_of(dir.server_log()));
    }
    return done;
}

Result<std::vector<SafeClient::Kept>> SafeClient::receive_all() {
    std::vector<Kept> all;
    while (true) {
        Result<Packet> packet = receive_packet(socket_.get(), answer_timeout_ms);
        if (!packet) {
            return pass(packet, "taking over from another page server");
        }
        const Json said = parse_json(packet->text);
        if (!said.is_object() || flag_at(said, "all")) {
            return all;
        }
        all.push_back({text_at(said, "key"), numbers_of(said), std::move(packet->fds)});
        const std::scoped_lock lock(mutex_);
        keys_.insert(all.back().key);
    }
}

void SafeClient::say_serving() {
    const std::scoped_lock lock(mutex_);
    (void)send_packet(socket_.get(), to_line(Json{{"do", "serving"}}));
}

bool SafeClient::empty() {
    const std::scoped_lock lock(mutex_);
    return keys_.empty();
}

Result<void> SafeClient::keep(const Entry& entry) {
    const std::scoped_lock lock(mutex_);
    const Json packet = {{"do", "keep"}, {"key", entry.key}, {"numbers", entry.numbers}};
    if (Result<void> sent = send_packet(socket_.get(), to_line(packet), entry.fds); !sent) {
        return pass(sent, "putting away what another page server would need");
    }
    if (Result<Packet> answer = receive_packet(socket_.get(), answer_timeout_ms); !answer) {
        return pass(answer, "putting away what another page server would need");
    }
    keys_.insert(entry.key);
    return {};
}

void SafeClient::drop(const std::string& key) {
    const std::scoped_lock lock(mutex_);
    (void)send_packet(socket_.get(), to_line(Json{{"do", "drop"}, {"key", key}}));
    keys_.erase(key);
}

}  // namespace verso::vm
