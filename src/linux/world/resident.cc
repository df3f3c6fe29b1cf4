// The loop inside a world's process: take a question, perform its call, answer.
//
//   main thread   socket ─▶ perform ─▶ answer        further threads: the same loop, each on a
//                    └─ fork: the child goes on in   socket of its own, so that one may sleep in a
//                       the same loop, on another    fault while the others go on
//
// fork(2) is asked of any thread; the child has that one alone. It closes all control sockets that
// it inherited: an end of a socket that lives on in a relative would hide this process' death.
#include "linux/world/resident.h"

#include <ctime>
#include <mutex>
#include <vector>

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "linux/calls.h"
#include "linux/linux_kernel.h"
#include "linux/world/moving.h"
#include "linux/world/wire.h"

namespace verso::host {
namespace {

/// Control sockets live above the numbers that programs get, so that those begin as usual.
Fd out_of_the_way(Fd socket) {
    constexpr int above = 512;
    // Why safe: makes a second number of a socket of ours; the first is closed by its owner.
    Fd moved(::fcntl(socket.get(), F_DUPFD_CLOEXEC, above));
    return moved.valid() ? std::move(moved) : std::move(socket);
}

u64 processor_ns() {
    timespec used{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return static_cast<u64>(used.tv_sec) * 1'000'000'000 + static_cast<u64>(used.tv_nsec);
}

class Resident {
public:
    void enter(int socket) {
        const std::lock_guard lock(guard_);
        sockets_.push_back(socket);
    }
    void keep(std::unique_ptr<kernel::Thread> thread) {
        const std::lock_guard lock(guard_);
        threads_.push_back(std::move(thread));
    }
    /// fork(2), and in the child what must not be left as it was. 0 there.
    pid_t fork() {
        const std::lock_guard lock(guard_);  // nobody is in the middle of a change
        const pid_t child = ::fork();
        if (child == 0) {
            for (const int socket : sockets_) {
                ::close(socket);
            }
            sockets_.clear();
            for (std::unique_ptr<kernel::Thread>& thread : threads_) {
                static_cast<void>(thread.release());  // it does not exist here: nothing to join
            }
            threads_.clear();
        }
        return child;
    }

private:
    std::mutex guard_;
    std::vector<int> sockets_;                              // under guard_
    std::vector<std::unique_ptr<kernel::Thread>> threads_;  // under guard_; never joined
};

Resident& resident() {
    static Resident* const instance = new Resident;  // deliberately never deleted
    return *instance;
}

/// One thread's loop and its buffers.
class Loop {
public:
    explicit Loop(Fd socket) : socket_(out_of_the_way(std::move(socket))) {
        resident().enter(socket_.get());
        reserve();
    }
    [[noreturn]] void run() {
        Fd passed;
        while (receive(socket_.get(), message_, &passed) == Received::whole) {
            const Question question = message_.take_one<Question>();
            switch (question.ask) {
                case Ask::perform: perform(question); break;
                case Ask::thread: thread(std::move(passed)); break;
                case Ask::fork: fork(std::move(passed)); break;
                case Ask::spin: spin(question.call.aux); break;
                case Ask::move: say(move_pages(question.call.address, question.call.length)); break;
            }
        }
        ::_exit(0);  // the owner is gone: nobody wants this process any more
    }
    void say(const Outcome& outcome) {
        Answer answer;
        answer.outcome = outcome;
        message_.clear();
        message_.put_one(answer);
        static_cast<void>(send(socket_.get(), message_));  // the next receive meets what is wrong
    }

private:
    template <class T>
    std::span<T> sized(std::vector<T>& values, u64 count) {
        values.resize(count);
        return values;
    }
    void perform(const Question& question);
    void thread(Fd passed) {
        std::unique_ptr<kernel::Thread> started =
            linux_kernel().spawn("executor", [socket = passed.release()] {
                Loop loop{Fd(socket)};
                // Why safe: asks for a number.
                loop.say(Outcome::done(::syscall(SYS_gettid)));
                loop.run();
            });
        if (started == nullptr) {
            say(failure(EAGAIN));
            return;
        }
        resident().keep(std::move(started));
        say(Outcome::done());
    }
    /// So much of the processor's time, or what can be had of it in two seconds.
    void spin(u64 ms) {
        const u64 used = processor_ns() + ms * 1'000'000;
        const u64 late = linux_kernel().now_ns() + 2'000'000'000;
        while (processor_ns() < used && linux_kernel().now_ns() < late) {}
        say(Outcome::done());
    }
    void fork(Fd passed) {
        const pid_t child = resident().fork();
        if (child != 0) {
            say(child < 0 ? failure(errno) : Outcome::done(child));
            return;
        }
        static_cast<void>(socket_.release());  // closed with the others
        socket_ = out_of_the_way(std::move(passed));
        resident().enter(socket_.get());
    }

    /// A thread that forks holds every lock of malloc, and sleeps with them for as long as its fork
    /// waits for the event to be read. The thread that is to read it must not want memory: what
    /// usual questions need is there from the beginning.
    void reserve() {
        constexpr std::size_t usual_bytes = 16'384;
        constexpr std::size_t usual_count = 256;
        message_.reserve(usual_bytes);
        in_.reserve(usual_bytes);
        out_.reserve(usual_bytes);
        fds_.reserve(usual_count);
        events_.reserve(usual_count);
        runs_.reserve(usual_count);
        waits_.reserve(usual_count);
        regions_.reserve(usual_count);
    }

    Fd socket_;
    Message message_;
    std::vector<std::byte> in_;
    std::vector<std::byte> out_;
    std::vector<int> fds_;
    std::vector<kernel::Event> events_;
    std::vector<kernel::Run> runs_;
    std::vector<kernel::Wait> waits_;
    std::vector<kernel::ScanRegion> regions_;
};

void Loop::perform(const Question& question) {
    Answer answer;
    Payload payload;
    const std::span<std::byte> in = sized(in_, question.in);
    const std::span<int> fds = sized(fds_, question.fds);
    payload.waits = sized(waits_, question.waits);
    message_.take(in);
    message_.take(fds);
    message_.take(payload.waits);
    kernel::ScanQuestion scan;
    if (question.scan) {
        scan = message_.take_one<kernel::ScanQuestion>();
        scan.regions = sized(regions_, question.regions);
        payload.scan = &scan;
    }
    payload.in = in;
    payload.fds = fds;
    payload.out = sized(out_, question.out);
    payload.events = sized(events_, question.events);
    payload.runs = sized(runs_, question.runs);
    payload.usage = &answer.usage;
    answer.outcome = linux_kernel().perform(question.call, payload);
    const bool ok = answer.outcome.ok();
    const auto filled = [&](std::size_t room) {
        return ok ? std::min(room, static_cast<std::size_t>(answer.outcome.value)) : 0;
    };
    answer.out = ok ? payload.out.size() : 0;
    answer.events = filled(payload.events.size());
    answer.runs = filled(payload.runs.size());
    answer.waits = payload.waits.size();
    answer.regions = filled(question.regions);
    message_.clear();
    message_.put_one(answer);
    message_.put(std::span<const std::byte>(payload.out.first(answer.out)));
    message_.put(std::span<const kernel::Event>(payload.events.first(answer.events)));
    message_.put(std::span<const kernel::Run>(payload.runs.first(answer.runs)));
    message_.put(std::span<const kernel::Wait>(payload.waits));
    message_.put(std::span<const kernel::ScanRegion>(scan.regions.first(answer.regions)));
    static_cast<void>(send(socket_.get(), message_));
}
}  // namespace

void reside(Fd socket) {
    Loop loop(std::move(socket));
    loop.run();
}

}  // namespace verso::host
