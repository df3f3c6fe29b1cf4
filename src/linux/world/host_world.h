// HostWorld: the running kernel as a World. Every process of it is a real one; calls travel to it
// over a socket and are performed there, so a program that crashes, hangs or exhausts a process
// costs that world and nothing else.
//
//   process(i).perform(call) ──▶ its main thread      15 µs a call, 60,000 a second and core
//   start(t, call), finished(t) ▶ thread t of a process, which may sleep in a fault meanwhile
//
// A process that died answers `closed` to every call; one that did not answer within the patience
// is killed and answers `timed_out`, then `closed`. fate() says in words what came of it.
//
// What of Payload cannot leave a process stays in it: descriptors are numbers of that process'
// table, `sink` and `received` are refused (a bug of the caller's). Locks: one per socket, a leaf;
// distinct processes and threads of a world may be used from distinct threads of the owner.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "kernel/world.h"
#include "linux/world/keeper.h"
#include "linux/world/machine.h"
#include "linux/world/wire.h"

namespace verso::host {

/// The owner's end of a socket: one question at a time.
class Line {
public:
    struct Reply {
        Received how = Received::closed;
        kernel::Outcome outcome{};  // if whole
    };
    Line(Fd socket, u64 patience_ms);
    Reply ask(const kernel::Call& call, const kernel::Payload& payload);
    Reply ask_for(Ask ask, const Fd& passed);
    Reply ask_for(Ask ask, const kernel::Call& call);
    /// The two halves of a question. `answered` does not wait if the answer is not there.
    void begin(const kernel::Call& call);
    Reply end();
    bool answered() const;

private:
    Reply ask_with(const Question& question, int passed);
    Reply end_into(const kernel::Payload& payload);  // under guard_

    const Fd socket_;
    std::mutex guard_;
    Message message_;  // under guard_
};

class HostProcess;

class HostWorld final : public kernel::World {
public:
    struct Options {
        u64 patience_ms = 10'000;  // that a call may take
    };
    static Result<std::unique_ptr<HostWorld>> create(const Options& options);
    static Result<std::unique_ptr<HostWorld>> create() { return create(Options{}); }
    ~HostWorld() override;
    HostWorld(const HostWorld&) = delete;
    HostWorld& operator=(const HostWorld&) = delete;

    kernel::Kernel& process(int id) override;
    Result<int> fork(int id) override;
    void exit(int id) override;
    Result<int> thread(int process) override;
    void start(int thread, const kernel::Call& call) override;
    std::optional<kernel::Outcome> finished(int thread) override;
    kernel::Provoked provoke(int id, kernel::Trigger trigger, u64 address, u64 length) override;
    u64 huge_page_size() override;

    /// So many huge pages in the machine's pool, while this world lives.
    Result<void> need_huge_pages(u64 count);
    bool alive(int id);
    /// "runs", "was ended", "was killed by signal 11 (Segmentation fault)", …
    std::string fate(int id);
    pid_t pid_of(int id);

private:
    struct Executor;
    explicit HostWorld(const Options& options);
    Result<int> add(pid_t pid, Fd socket);
    Result<Machine*> need_machine();
    Result<void> spin(int id, u64 ms);

    const Options options_;
    Keeper* keeper_ = nullptr;
    pid_t group_ = 0;
    std::shared_ptr<Machine> machine_;  // from the first trigger on
    std::vector<std::unique_ptr<HostProcess>> processes_;
    std::vector<std::unique_ptr<Executor>> executors_;
};

}  // namespace verso::host
