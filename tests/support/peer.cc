// Starting a peer and talking to it: see the header.
#include "support/peer.h"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace verso::test {
namespace {

constexpr int peer_socket = 3;
constexpr const char* peer_sign = "VERSO_TEST_PEER=1";

template <class Packet>
void send_packet(int socket, const Packet& packet, int fd) {
    iovec part{const_cast<Packet*>(&packet), sizeof packet};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (fd >= 0) {
        message.msg_control = control.data();
        message.msg_controllen = control.size();
        cmsghdr* const header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
    }
    (void)::sendmsg(socket, &message, MSG_NOSIGNAL);  // a dead peer shows when it is heard
}

template <class Packet>
bool receive_packet(int socket, Packet& packet, Fd& fd) {
    iovec part{&packet, sizeof packet};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    ssize_t count = -1;
    do {
        count = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    } while (count < 0 && errno == EINTR);
    const cmsghdr* const header = CMSG_FIRSTHDR(&message);
    if (count > 0 && header != nullptr && header->cmsg_type == SCM_RIGHTS) {
        int received = -1;
        std::memcpy(&received, CMSG_DATA(header), sizeof received);
        fd = Fd(received);
    }
    return count == static_cast<ssize_t>(sizeof packet);
}

/// Runs before main: a process that was started as a peer never gets there.
const bool not_a_peer = [] {
    if (std::getenv("VERSO_TEST_PEER") != nullptr) {
        (void)::prctl(PR_SET_PDEATHSIG, SIGKILL);
        detail::be_a_peer(peer_socket);
    }
    return true;
}();

}  // namespace

std::pair<Fd, Fd> socket_pair() {
    std::array<int, 2> ends{-1, -1};
    VERSO_CHECK(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) == 0,
                "socketpair: errno {}", errno);
    return {Fd(ends[0]), Fd(ends[1])};
}

Peer::Peer() {
    VERSO_CHECK(not_a_peer, "peers start no peers");
    auto [ours, theirs] = socket_pair();
    // dup2 onto itself would keep close-on-exec, so the number must differ.
    const Fd high(::fcntl(theirs.get(), F_DUPFD_CLOEXEC, 100));
    posix_spawn_file_actions_t actions;
    (void)::posix_spawn_file_actions_init(&actions);
    (void)::posix_spawn_file_actions_adddup2(&actions, high.get(), peer_socket);
    std::string name = "verso-test-peer";
    std::string sign = peer_sign;
    std::array<char*, 2> arguments{name.data(), nullptr};
    std::vector<char*> environment{sign.data()};  // and ours: a sanitizer's options are in it
    for (char** each = environ; *each != nullptr; ++each) {
        environment.push_back(*each);
    }
    environment.push_back(nullptr);
    const int error = ::posix_spawn(&pid_, "/proc/self/exe", &actions, nullptr, arguments.data(),
                                    environment.data());
    (void)::posix_spawn_file_actions_destroy(&actions);
    VERSO_CHECK(error == 0, "starting a peer: errno {}", error);
    socket_ = std::move(ours);
}

Peer::~Peer() {
    if (pid_ > 0) {
        kill();
        (void)wait();
    }
}

void Peer::tell(const Order& order, int fd) { send_packet(socket_.get(), order, fd); }

Answer Peer::hear() {
    Answer answer;
    Fd none;
    if (!receive_packet(socket_.get(), answer, none)) {
        answer = Answer{};
        std::strncpy(answer.text.data(), "gone", answer.text.size() - 1);
    }
    return answer;
}

bool Peer::answers_within(unsigned looks) const {
    for (unsigned look = 0; look < looks; ++look) {
        pollfd poll_for{socket_.get(), POLLIN, 0};
        if (::poll(&poll_for, 1, 10) > 0) {
            return true;
        }
    }
    return false;
}

void Peer::kill() { (void)::kill(pid_, SIGKILL); }

int Peer::wait() {
    int status = 0;
    (void)::waitpid(std::exchange(pid_, -1), &status, 0);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

Answer hand_over(Peer& from, u32 snapshot, Peer& to, u64 seed, Answer* exported) {
    const auto [source_end, child_end] = socket_pair();
    from.tell({.verb = Verb::export_fork, .snapshot = snapshot}, source_end.get());
    const Answer imported = to.ask({.verb = Verb::import, .seed = seed}, child_end.get());
    const Answer sent = from.hear();
    if (exported != nullptr) {
        *exported = sent;
    }
    return imported;
}

namespace detail {
bool receive_order(int socket, Order& order, Fd& fd) { return receive_packet(socket, order, fd); }
void send_answer(int socket, const Answer& answer) { send_packet(socket, answer, -1); }
}  // namespace detail

}  // namespace verso::test
