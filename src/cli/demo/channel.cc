// Packets and processes. See channel.h.
#include "cli/demo/channel.h"

#include <cerrno>
#include <cstring>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/result.h"
#include "cli/demo/phases.h"

namespace verso::cli {
namespace {

constexpr u64 end_timeout_ns = 30'000'000'000;

}  // namespace

Result<std::pair<Channel, Channel>> Channel::pair() {
    int ends[2] = {-1, -1};
    // Why safe: fills two ints of ours; close-on-exec, so that only spawn() hands them on.
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
        return fail(ErrorKind::resource, errno, "no socket pair for a child process: {}",
                    std::strerror(errno));
    }
    return std::pair(Channel(Fd(ends[0])), Channel(Fd(ends[1])));
}

Result<void> Channel::send_bytes(std::span<const std::byte> packet) {
    ssize_t sent = -1;
    do {
        // Why safe: reads the packet only; MSG_NOSIGNAL turns a dead reader into EPIPE.
        sent = ::send(socket_.get(), packet.data(), packet.size(), MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    if (sent != static_cast<ssize_t>(packet.size())) {
        return fail(ErrorKind::peer, errno, "the other process is gone ({})", std::strerror(errno));
    }
    return {};
}

Result<void> Channel::receive_bytes(std::span<std::byte> packet, int timeout_ms) {
    const u64 deadline = now_ns() + static_cast<u64>(timeout_ms) * 1'000'000;
    while (true) {
        const u64 now = now_ns();
        const int left = now >= deadline ? 0 : static_cast<int>((deadline - now) / 1'000'000) + 1;
        pollfd waiting{.fd = socket_.get(), .events = POLLIN, .revents = 0};
        // Why safe: fills one struct of ours.
        const int ready = ::poll(&waiting, 1, left);
        if (ready < 0 && errno == EINTR) {
            continue;
        }
        if (ready == 0) {
            return fail(ErrorKind::peer, ETIMEDOUT, "the other process did not answer in {} s",
                        timeout_ms / 1000);
        }
        // Why safe: writes at most packet.size() bytes into memory that packet owns.
        const ssize_t got = ::recv(socket_.get(), packet.data(), packet.size(), MSG_TRUNC);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got != static_cast<ssize_t>(packet.size())) {
            return fail(ErrorKind::peer, 0, "the other process {}",
                        got == 0 ? "is gone" : "said something unexpected");
        }
        return {};
    }
}

Process& Process::operator=(Process&& other) noexcept {
    if (this != &other) {
        std::swap(pid_, other.pid_);
    }
    return *this;
}

Process::~Process() {
    if (pid_ > 0) {
        // Why safe: a child of ours that nobody has waited for, so the number is still its own.
        ::kill(pid_, SIGKILL);
        static_cast<void>(wait());
    }
}

namespace {

/// Polls rather than blocks: a process that cannot end must not hang the demo.
pid_t wait_until(pid_t pid, int& status, u64 deadline_ns) {
    while (true) {
        // Why safe: fills an int of ours; the pid is a child that has not been waited for.
        const pid_t ended = ::waitpid(pid, &status, WNOHANG);
        const bool again = ended == 0 || (ended < 0 && errno == EINTR);
        if (!again || now_ns() >= deadline_ns) {
            return ended;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
}

}  // namespace

std::string Process::wait() {
    int status = 0;
    pid_t ended = wait_until(pid_, status, now_ns() + end_timeout_ns);
    const bool stuck = ended == 0;
    if (stuck) {
        // Why safe: a child of ours that nobody has waited for, so the number is still its own.
        ::kill(pid_, SIGKILL);
        ended = wait_until(pid_, status, now_ns() + end_timeout_ns);
    }
    pid_ = -1;
    if (stuck) {
        return fmt::format("did not end in {} s and was killed", end_timeout_ns / 1'000'000'000);
    }
    if (ended < 0) {
        return fmt::format("cannot be waited for: {}", std::strerror(errno));
    }
    if (WIFSIGNALED(status)) {
        return fmt::format("ended by signal {}", WTERMSIG(status));
    }
    return WEXITSTATUS(status) == 0 ? std::string()
                                    : fmt::format("ended with code {}", WEXITSTATUS(status));
}

Result<Process> Process::spawn(const std::vector<std::string>& words,
                               const std::vector<int>& sockets) {
    constexpr int first_fd = 3;
    constexpr int out_of_the_way = 64;  // so that no source is a target that was just overwritten
    std::vector<std::string> texts = {"verso", "demo-child"};
    texts.insert(texts.end(), words.begin(), words.end());
    std::vector<Fd> copies;
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    int refused = 0;
    for (const int socket : sockets) {
        const int target = first_fd + static_cast<int>(copies.size());
        texts.push_back(std::to_string(target));
        // Why safe: a duplicate that we own and close.
        copies.emplace_back(::fcntl(socket, F_DUPFD_CLOEXEC, out_of_the_way));
        refused = copies.back().valid() ? refused : errno;
        ::posix_spawn_file_actions_adddup2(&actions, copies.back().get(), target);
    }
    std::vector<char*> arguments;
    arguments.reserve(texts.size() + 1);
    for (std::string& text : texts) {
        arguments.push_back(text.data());
    }
    arguments.push_back(nullptr);
    pid_t pid = -1;
    if (refused == 0) {
        // Why safe: does not run our code in the child; everything it reads outlives the call.
        refused =
            ::posix_spawn(&pid, "/proc/self/exe", &actions, nullptr, arguments.data(), environ);
    }
    ::posix_spawn_file_actions_destroy(&actions);
    if (refused != 0) {
        return fail(ErrorKind::resource, refused, "cannot start a child process: {}",
                    std::strerror(refused));
    }
    return Process(pid);
}

void die_with_parent() {
    // Why safe: concerns only this process; SIGKILL needs no handler.
    ::prctl(PR_SET_PDEATHSIG, static_cast<unsigned long>(SIGKILL), 0UL, 0UL, 0UL);
}

}  // namespace verso::cli
