// Starting this program again, and talking to it in fixed-size messages.
#include "cli/bench/rivals/process.h"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace verso::cli::bench {

namespace {

/// Close-on-exec copies well above 3 and 4, so that dup2 into those two never lands on its own
/// source.
Fd lift(Fd low) {
    // Why safe: duplicates a descriptor of ours to a free number.
    return Fd(fcntl(low.get(), F_DUPFD_CLOEXEC, 64));
}

struct Pair {
    Fd ours;
    Fd theirs;
};

Result<Pair> make_pair() {
    int both[2] = {-1, -1};
    // Why safe: makes two new descriptors and touches nothing else.
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, both) != 0) {
        return fail(ErrorKind::resource, errno, "no socket pair ({})", std::strerror(errno));
    }
    Pair pair{Fd(both[0]), lift(Fd(both[1]))};
    if (!pair.theirs.valid()) {
        return fail(ErrorKind::resource, errno, "no descriptor ({})", std::strerror(errno));
    }
    return pair;
}

}  // namespace

bool send_message(int socket, const Message& message) {
    // Why safe: a plain value to a socket of ours; a closed peer is an error, not a signal.
    return send(socket, &message, sizeof message, MSG_NOSIGNAL) ==
           static_cast<ssize_t>(sizeof message);
}

bool receive_message(int socket, Message& message) {
    constexpr int patience_ms = 60'000;
    pollfd one{socket, POLLIN, 0};
    // Why safe: waits for a socket of ours, with an end.
    if (poll(&one, 1, patience_ms) != 1)
        return false;
    // Why safe: the buffer is one message, as is what the other side sends.
    return recv(socket, &message, sizeof message, 0) == static_cast<ssize_t>(sizeof message);
}

Result<ChildProcess> ChildProcess::start(const std::vector<std::string>& arguments) {
    Result<Pair> region = make_pair();
    if (!region)
        return pass(region);
    Result<Pair> orders = make_pair();
    if (!orders)
        return pass(orders);

    std::vector<std::string> words = {"verso", "bench-child"};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    argv.reserve(words.size() + 1);
    for (std::string& word : words)
        argv.push_back(word.data());
    argv.push_back(nullptr);

    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, region->theirs.get(), import_fd);
    posix_spawn_file_actions_adddup2(&actions, orders->theirs.get(), orders_fd);
    pid_t pid = -1;
    // Why safe: runs this very program; all other descriptors of ours are close-on-exec.
    const int error = posix_spawn(&pid, "/proc/self/exe", &actions, nullptr, argv.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    if (error != 0) {
        return fail(ErrorKind::resource, error, "cannot start a child process ({})",
                    std::strerror(error));
    }
    return ChildProcess(pid, std::move(region->ours), std::move(orders->ours));
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      region_(std::move(other.region_)),
      orders_(std::move(other.orders_)) {}

ChildProcess::~ChildProcess() {
    if (pid_ <= 0)
        return;
    // Why safe: pid_ is our own child, not reaped yet, so the number cannot have been given away.
    kill(pid_, SIGKILL);
    while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {}
}

Result<Message> ChildProcess::ask(const Message& order) const {
    if (!send_message(orders_.get(), order)) {
        return fail(ErrorKind::peer, errno, "child process {} is gone", pid_);
    }
    return receive();
}

Result<Message> ChildProcess::receive() const {
    Message answer;
    if (!receive_message(orders_.get(), answer)) {
        return fail(ErrorKind::peer, 0, "child process {} did not answer", pid_);
    }
    if (answer.what == '!')
        return fail(ErrorKind::peer, 0, "child process {} failed", pid_);
    return answer;
}

}  // namespace verso::cli::bench
