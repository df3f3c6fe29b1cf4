// Asking and waiting for the answer.
#include "linux/world/line.h"

#include <cerrno>

#include <poll.h>
#include <sys/socket.h>

namespace verso::host {
using kernel::Call;
using kernel::Outcome;
using kernel::Payload;

Result<Pair> new_pair() {
    int pair[2] = {-1, -1};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        return fail(ErrorKind::resource, errno, "no socket for a process of a world");
    }
    return Pair{Fd(pair[0]), Fd(pair[1])};
}

bool ready(int fd, int timeout_ms) {
    pollfd waited{fd, POLLIN, 0};
    // Why safe: one entry, as the call is told.
    return ::poll(&waited, 1, timeout_ms) == 1;
}

Line::Line(Fd socket, u64 patience_ms) : socket_(std::move(socket)) {
    const timeval patience{static_cast<time_t>(patience_ms / 1000),
                           static_cast<suseconds_t>(patience_ms % 1000 * 1000)};
    const int set =
        ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    VERSO_CHECK(set == 0, "setsockopt: errno {}", errno);
}

Line::Reply Line::end_into(const Payload& payload) {
    const Received how = receive(socket_.get(), message_, nullptr);
    return {how, how == Received::whole ? take_answer(message_, payload) : Outcome{}};
}

Line::Reply Line::ask(const Call& call, const Payload& payload) {
    const std::lock_guard lock(guard_);
    put_question(message_, call, payload);
    return send(socket_.get(), message_) ? end_into(payload) : Reply{};
}

Line::Reply Line::ask_with(const Question& question, int passed) {
    const std::lock_guard lock(guard_);
    message_.clear();
    message_.put_one(question);
    return send(socket_.get(), message_, passed) ? end_into({}) : Reply{};
}

Line::Reply Line::ask_for(Ask ask, const Fd& passed) {
    Question question;
    question.ask = ask;
    return ask_with(question, passed.get());
}

Line::Reply Line::ask_for(Ask ask, const Call& call) {
    Question question;
    question.ask = ask;
    question.call = call;
    return ask_with(question, -1);
}

void Line::begin(const Call& call) {
    const std::lock_guard lock(guard_);
    put_question(message_, call, {});
    static_cast<void>(send(socket_.get(), message_));  // who is gone does not answer either
}

void Line::begin_fork(const Fd& passed) {
    const std::lock_guard lock(guard_);
    Question question;
    question.ask = Ask::fork;
    message_.clear();
    message_.put_one(question);
    static_cast<void>(send(socket_.get(), message_, passed.get()));
}

Line::Reply Line::end() {
    const std::lock_guard lock(guard_);
    return end_into({});
}

bool Line::answered() const { return ready(socket_.get(), 0); }

}  // namespace verso::host
