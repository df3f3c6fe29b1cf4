// The owner's side: lines to processes, and what has become of those that do not answer.
#include "linux/world/host_world.h"

#include <charconv>
#include <csignal>
#include <cstring>

#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

#include "linux/calls.h"
#include "linux/linux_kernel.h"
#include "linux/world/sleep.h"
#include "linux/world/text_file.h"
#include "linux/world/triggers.h"

namespace verso::host {
using kernel::Verdict;

namespace {
const Outcome is_gone{Verdict::closed, ECONNRESET, 0, 0};
const Outcome hangs{Verdict::timed_out, ETIMEDOUT, 0, 0};
}  // namespace

/// One process of a world, as a Kernel. Threads and locks are the owner's; so is what the machine
/// can do, which is the same for both.
class HostProcess final : public kernel::Kernel {
public:
    HostProcess(pid_t number, Fd life, Fd socket, u64 patience_ms)
        : pid(number), line(std::move(socket), patience_ms), life_(std::move(life)) {}

    using Kernel::perform;
    Outcome perform(const Call& call, const Payload& payload) override {
        const Line::Reply reply = line.ask(call, payload);
        return reply.how == Received::whole ? reply.outcome : settle(reply, to_string(call));
    }
    const kernel::Abilities& abilities() override { return linux_kernel().abilities(); }
    std::unique_ptr<kernel::Thread> spawn(const std::string& name,
                                          std::function<void()> body) override {
        return linux_kernel().spawn(name, std::move(body));
    }
    std::unique_ptr<kernel::Mutex> make_mutex() override { return linux_kernel().make_mutex(); }
    std::unique_ptr<kernel::Condition> make_condition() override {
        return linux_kernel().make_condition();
    }
    u64 now_ns() override { return linux_kernel().now_ns(); }
    void relax() override { linux_kernel().relax(); }

    /// A process that hangs is killed: its line is out of step, nothing more can be asked of it.
    Outcome settle(const Line::Reply& reply, const std::string& what) {
        switch (reply.how) {
            case Received::whole: return reply.outcome;
            case Received::closed: static_cast<void>(ready(life_.get(), death_ms)); return is_gone;
            case Received::timed_out:
                kill(fmt::format("did not answer {} in time and was killed", what));
                return hangs;
        }
        return is_gone;
    }
    void kill(const std::string& why) {
        if (alive()) {
            ended_ = why;
            // Why safe: the descriptor names this one process, also after its number was reused.
            ::syscall(SYS_pidfd_send_signal, life_.get(), SIGKILL, nullptr, 0U);
            static_cast<void>(ready(life_.get(), death_ms));
        }
    }
    bool alive() const { return !ready(life_.get(), 0); }
    std::string fate() const {
        if (alive()) {
            return "runs";
        }
        return ended_.empty() ? how_it_ended() : ended_;
    }

    const pid_t pid;
    Line line;
    bool has_further_thread = false;

private:
    static constexpr int death_ms = 10'000;  // freeing 24 GiB takes a second
    /// What a zombie's stat says in its last field. It is nobody's to wait for but its parent's.
    std::string how_it_ended() const;

    const Fd life_;      // a pidfd: readable once the process is dead
    std::string ended_;  // by us, and why
};

std::string HostProcess::how_it_ended() const {
    const std::string stat = read_text(fmt::format("/proc/{}/stat", pid));
    const std::size_t last = stat.rfind(' ');
    int status = 0;
    if (last == std::string::npos ||
        std::from_chars(stat.data() + last + 1, stat.data() + stat.size(), status).ec !=
            std::errc{}) {
        return "is gone";
    }
    if (WIFSIGNALED(status)) {
        return fmt::format("was killed by signal {} ({})", WTERMSIG(status),
                           ::strsignal(WTERMSIG(status)));
    }
    return fmt::format("ended by itself with status {}", WEXITSTATUS(status));
}

struct HostWorld::Executor {
    int process = 0;
    pid_t tid = 0;
    std::unique_ptr<Line> line;
    bool under_way = false;
    std::string call;
    Fd child;  // of a fork that is under way: our end of the new process' socket
};

Result<std::unique_ptr<HostWorld>> HostWorld::create(const Options& options) {
    Result<Keeper*> keeper = Keeper::get();
    if (!keeper) {
        return pass(keeper);
    }
    Result<Pair> pair = new_pair();
    if (!pair) {
        return pass(pair);
    }
    Result<pid_t> pid = (*keeper)->begin(pair->theirs);
    if (!pid) {
        return pass(pid);
    }
    std::unique_ptr<HostWorld> world(new HostWorld(options));
    world->keeper_ = *keeper;
    world->group_ = *pid;
    Result<int> first = world->add(*pid, std::move(pair->ours));
    if (!first) {
        return pass(first);
    }
    return world;
}

HostWorld::HostWorld(const Options& options) : options_(options) {}

HostWorld::~HostWorld() {
    executors_.clear();
    processes_.clear();
    keeper_->end(group_);
    machine_.reset();  // pages out of swap, huge pages back in the pool: nobody has any now
}

Result<int> HostWorld::add(pid_t pid, Fd socket) {
    // Why safe: makes a descriptor. The number is not reused before the process is waited for, and
    // that is the keeper's to do, when the world ends.
    Fd life{static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))};
    if (!life.valid()) {
        return fail(ErrorKind::system, errno, "process {} of a world cannot be watched", pid);
    }
    processes_.push_back(std::make_unique<HostProcess>(pid, std::move(life), std::move(socket),
                                                       options_.patience_ms));
    return static_cast<int>(processes_.size()) - 1;
}

kernel::Kernel& HostWorld::process(int id) { return *processes_.at(static_cast<unsigned>(id)); }

Result<int> HostWorld::fork(int id) {
    Result<Pair> pair = new_pair();
    if (!pair) {
        return pass(pair);
    }
    HostProcess& parent = *processes_.at(static_cast<unsigned>(id));
    const Outcome forked = parent.settle(parent.line.ask_for(Ask::fork, pair->theirs), "fork");
    if (!forked.ok()) {
        return fail(ErrorKind::system, forked.error, "process {} of a world, which {}, cannot fork",
                    id, parent.fate());
    }
    return add(static_cast<pid_t>(forked.value), std::move(pair->ours));
}

void HostWorld::exit(int id) { processes_.at(static_cast<unsigned>(id))->kill("was ended"); }

Result<int> HostWorld::thread(int process) {
    Result<Pair> pair = new_pair();
    if (!pair) {
        return pass(pair);
    }
    HostProcess& owner = *processes_.at(static_cast<unsigned>(process));
    std::unique_ptr<Line> line =
        std::make_unique<Line>(std::move(pair->ours), options_.patience_ms);
    Outcome outcome = owner.settle(owner.line.ask_for(Ask::thread, pair->theirs), "a new thread");
    pair->theirs.reset();
    if (outcome.ok()) {
        outcome = owner.settle(line->end(), "a new thread");  // its first words: who it is
    }
    if (!outcome.ok()) {
        return fail(ErrorKind::system, outcome.error,
                    "process {} of a world, which {}, has no further thread", process,
                    owner.fate());
    }
    owner.has_further_thread = true;
    executors_.push_back(
        std::make_unique<Executor>(process, static_cast<pid_t>(outcome.value), std::move(line)));
    return static_cast<int>(executors_.size()) - 1;
}

Result<void> HostWorld::start_fork(int thread) {
    Executor& executor = *executors_.at(static_cast<unsigned>(thread));
    VERSO_CHECK(!executor.under_way, "thread {} is still in {}", thread, executor.call);
    Result<Pair> pair = new_pair();
    if (!pair) {
        return pass(pair);
    }
    executor.call = "fork";
    executor.under_way = true;
    executor.child = std::move(pair->ours);
    executor.line->begin_fork(pair->theirs);
    return {};
}

void HostWorld::start(int thread, const Call& call) {
    Executor& executor = *executors_.at(static_cast<unsigned>(thread));
    VERSO_CHECK(!executor.under_way, "thread {} is still in {}", thread, executor.call);
    executor.call = to_string(call);
    executor.under_way = true;
    executor.line->begin(call);
}

/// It sleeps for good if a userfaultfd's reader is what it waits for. Any other sleep counts if
/// it was one and the same for a while.
std::optional<Outcome> HostWorld::finished(int thread) {
    constexpr u64 one_sleep_ns = 200'000'000;
    Executor& executor = *executors_.at(static_cast<unsigned>(thread));
    HostProcess& process = *processes_[static_cast<unsigned>(executor.process)];
    VERSO_CHECK(executor.under_way, "thread {} was given nothing to do", thread);
    const u64 begun_ns = linux_kernel().now_ns();
    u64 slept_since_ns = begun_ns;
    u64 sleeps = 0;
    while (!executor.line->answered()) {
        const u64 now_ns = linux_kernel().now_ns();
        const Doing doing = doing_of(process.pid, executor.tid);
        if (executor.line->answered() || doing == Doing::gone ||
            now_ns - begun_ns >= options_.patience_ms * 1'000'000) {
            break;
        }
        if (doing == Doing::is_blocked) {
            return std::nullopt;
        }
        const u64 sleeps_now = sleeps_of(process.pid, executor.tid);
        if (doing == Doing::runs || sleeps_now != sleeps) {
            slept_since_ns = now_ns;
            sleeps = sleeps_now;
        } else if (now_ns - slept_since_ns >= one_sleep_ns) {
            return std::nullopt;
        }
        ::usleep(50);
    }
    executor.under_way = false;
    const Outcome outcome = process.settle(executor.line->end(), executor.call);
    return executor.child.valid() ? adopt(executor, outcome) : outcome;
}

Outcome HostWorld::adopt(Executor& executor, const Outcome& forked) {
    Fd socket = std::move(executor.child);
    if (!forked.ok()) {
        return forked;
    }
    const Result<int> added = add(static_cast<pid_t>(forked.value), std::move(socket));
    return added ? Outcome::done(*added) : failure(added.error().os_error);
}

Result<Machine*> HostWorld::need_machine() {
    if (machine_ == nullptr) {
        Result<std::shared_ptr<Machine>> got = Machine::get();
        if (!got) {
            return pass(got);
        }
        machine_ = std::move(*got);
    }
    return machine_.get();
}

/// The main thread, because the balancer looks at what the thread accessed that it interrupts. A
/// further thread is there and idle: see numa_hint.
Result<void> HostWorld::spin(int id, u64 ms) {
    HostProcess& process = *processes_.at(static_cast<unsigned>(id));
    if (!process.has_further_thread) {
        Result<int> made = thread(id);
        if (!made) {
            return pass(made);
        }
    }
    const Line::Reply reply = process.line.ask_for(Ask::spin, Call{.aux = ms});
    const Outcome spun = process.settle(reply, "a request to spin");
    if (!spun.ok()) {
        return fail(ErrorKind::peer, spun.error, "process {} of the world {}", id, process.fate());
    }
    return {};
}

kernel::Provoked HostWorld::provoke(int id, kernel::Trigger trigger, u64 address, u64 length) {
    Result<Machine*> machine = need_machine();
    if (!machine) {
        return {false, machine.error().message};
    }
    HostProcess& process = *processes_.at(static_cast<unsigned>(id));
    const Target target{process,
                        process.pid,
                        address,
                        length,
                        [this, id](u64 ms) { return spin(id, ms); },
                        [&] {
                            const Call range{.address = address, .length = length};
                            return process.settle(process.line.ask_for(Ask::move, range),
                                                  "a request to move pages");
                        }};
    kernel::Provoked provoked = provoke_on(target, **machine, trigger);
    if (!process.alive()) {
        provoked = {false, fmt::format("process {} of the world {}", id, process.fate())};
    }
    return provoked;
}

u64 HostWorld::huge_page_size() { return huge_page_bytes(); }

/// mmap(2) without an address goes from the top of the address space downwards and takes the first
/// hole that will do: a hole in a program's memory, if that memory lies there. 32 TiB is below all
/// that, above a program that is not position independent, and application memory to sanitizers.
u64 HostWorld::apart() { return u64{1} << 45; }

Result<void> HostWorld::need_huge_pages(u64 count) {
    Result<Machine*> machine = need_machine();
    if (!machine) {
        return pass(machine);
    }
    return (*machine)->huge_pages(count);
}

bool HostWorld::alive(int id) { return processes_.at(static_cast<unsigned>(id))->alive(); }
std::string HostWorld::fate(int id) { return processes_.at(static_cast<unsigned>(id))->fate(); }
pid_t HostWorld::pid_of(int id) { return processes_.at(static_cast<unsigned>(id))->pid; }

}  // namespace verso::host
