// Both halves of the keeper: the process, and what its owner says to it.
#include "linux/world/keeper.h"

#include <cerrno>
#include <csignal>

#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "linux/calls.h"
#include "linux/world/resident.h"
#include "linux/world/text_file.h"

namespace verso::host {
namespace {
enum class Order : u32 { begin, end, promise, take_back };

std::string take_text(Message& message) {
    std::string text(message.take_one<u64>(), '\0');
    message.take(std::span<char>(text));
    return text;
}

void put_text(Message& message, const std::string& text) {
    message.put_one<u64>(text.size());
    message.put(std::span<const char>(text));
}

void end_group(pid_t group) {
    ::kill(-group, SIGKILL);
    while (::waitpid(-group, nullptr, 0) > 0) {}  // relatives are ours too: subreaper
}

class KeeperProcess {
public:
    explicit KeeperProcess(int socket) : socket_(socket) {}

    [[noreturn]] void run() {
        Message message;
        Fd passed;
        while (receive(socket_, message, &passed) == Received::whole) {
            const i64 result = obey(message, std::move(passed));
            message.clear();
            message.put_one(result);
            static_cast<void>(send(socket_, message));
        }
        for (const pid_t world : worlds_) {
            end_group(world);
        }
        while (!promises_.empty()) {
            static_cast<void>(promises_.back().undo.perform());  // nobody is left to be told
            promises_.pop_back();
        }
        ::_exit(0);
    }

private:
    /// A pid, 0, or -errno.
    i64 obey(Message& message, Fd passed) {
        switch (message.take_one<Order>()) {
            case Order::begin: return begin(std::move(passed));
            case Order::end: {
                const pid_t world = message.take_one<pid_t>();
                end_group(world);
                std::erase(worlds_, world);
                return 0;
            }
            case Order::promise: {
                Undo undo;
                undo.kind = message.take_one<Undo::Kind>();
                undo.path = take_text(message);
                undo.text = take_text(message);
                promises_.push_back({++last_promise_, std::move(undo), std::move(passed)});
                return last_promise_;
            }
            case Order::take_back: {
                const i64 number = message.take_one<i64>();
                std::erase_if(promises_, [&](const Promised& p) { return p.number == number; });
                return 0;
            }
        }
        return -EINVAL;
    }
    i64 begin(Fd passed) {
        const pid_t child = ::fork();
        if (child == 0) {
            ::close(socket_);
            promises_.clear();  // the keeper's to hold and to do
            ::setpgid(0, 0);
            reside(std::move(passed));
        }
        if (child < 0) {
            return -errno;
        }
        ::setpgid(child, child);  // by both, so that it holds when either goes on
        worlds_.push_back(child);
        return child;
    }

    const int socket_;
    std::vector<pid_t> worlds_;
    struct Promised {
        i64 number = 0;
        Undo undo;
        Fd held;
    };
    std::vector<Promised> promises_;
    i64 last_promise_ = 0;
};

/// The life of the keeper's process, in the child of fork(2).
[[noreturn]] void keep(Fd socket) {
    constexpr int first = 3;
    // Why safe: this process is new and has one thread; number 3 is somebody else's copy or free.
    const int ours = socket.get() == first ? socket.release() : ::dup2(socket.get(), first);
    // Why safe: what the owner has open is none of ours, and would hide that it was closed.
    ::syscall(SYS_close_range, static_cast<unsigned>(first) + 1, ~0U, 0U);
    static_cast<void>(socket.release());  // closed with all others
    ::setpgid(0, 0);                      // a terminal's Ctrl-C is for the owner; we see it end
    ::signal(SIGCHLD, SIG_DFL);           // children stay to be waited for
    ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    KeeperProcess(ours).run();
}

/// Processes that were killed take a moment to give back what they had.
bool remove_group(const std::string& folder) {
    constexpr int tries_max = 2000;
    for (int tries = 0; tries < tries_max; ++tries) {
        if (::rmdir(folder.c_str()) == 0) {
            return true;
        }
        if (errno != EBUSY) {
            return false;
        }
        ::usleep(5000);
    }
    return false;
}
}  // namespace

bool Undo::perform() const {
    switch (kind) {
        case Kind::write: return write_text(path, text).has_value();
        case Kind::swap_off: return ::swapoff(path.c_str()) == 0;
        case Kind::remove: return ::unlink(path.c_str()) == 0;
        case Kind::remove_group: return remove_group(path);
        case Kind::hold: return true;
    }
    return false;
}

Result<Keeper*> Keeper::start() {
    int pair[2] = {-1, -1};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        return fail(ErrorKind::resource, errno, "no socket for the process that keeps worlds");
    }
    Fd ours(pair[0]);
    Fd theirs(pair[1]);
    const pid_t child = ::fork();
    if (child < 0) {
        return fail(ErrorKind::resource, errno, "no process could be made to keep worlds");
    }
    if (child == 0) {
        static_cast<void>(ours.release());
        keep(std::move(theirs));
    }
    return new Keeper(std::move(ours), child);  // lives as long as this process
}

Result<Keeper*> Keeper::get() {
    static std::mutex guard;
    static Keeper* keeper = nullptr;
    static pid_t owner = 0;
    const std::lock_guard lock(guard);
    // A child of fork(2) has its parent's socket, on which only one may speak.
    if (keeper == nullptr || owner != ::getpid() || keeper->gone_) {
        Result<Keeper*> started = start();
        if (!started) {
            return pass(started);
        }
        keeper = *started;
        owner = ::getpid();
    }
    return keeper;
}

Result<i64> Keeper::ask(Message& question, int passed) {
    const std::lock_guard lock(guard_);
    if (!gone_ && send(socket_.get(), question, passed) &&
        receive(socket_.get(), question, nullptr) == Received::whole) {
        return question.take_one<i64>();
    }
    gone_ = true;
    return fail(ErrorKind::peer, 0,
                "process {}, which starts and ends the processes of worlds, is gone; somebody "
                "killed it",
                pid_);
}

Result<pid_t> Keeper::begin(const Fd& socket) {
    Message order;
    order.put_one(Order::begin);
    const Result<i64> pid = ask(order, socket.get());
    if (!pid) {
        return tl::unexpected(pid.error());
    }
    if (*pid < 0) {
        return fail(ErrorKind::resource, static_cast<int>(-*pid), "no process for a world");
    }
    return static_cast<pid_t>(*pid);
}

void Keeper::end(pid_t world) {
    Message order;
    order.put_one(Order::end);
    order.put_one(world);
    if (!ask(order, -1)) {
        ::kill(-world, SIGKILL);  // the keeper cannot any more
    }
}

Result<u64> Keeper::promise(const Undo& undo, int held) {
    Message order;
    order.put_one(Order::promise);
    order.put_one(undo.kind);
    put_text(order, undo.path);
    put_text(order, undo.text);
    const Result<i64> number = ask(order, held);
    if (!number) {
        return tl::unexpected(number.error());
    }
    return static_cast<u64>(*number);
}

void Keeper::take_back(u64 number) {
    Message order;
    order.put_one(Order::take_back);
    order.put_one(number);
    static_cast<void>(ask(order, -1));  // a keeper that is gone undoes nothing any more
}

}  // namespace verso::host
