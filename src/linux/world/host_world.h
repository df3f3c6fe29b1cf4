// HostWorld: the running kernel as a World. Every process of it is a real one; calls travel to it
// over a socket and are performed there, so a program that crashes, hangs or exhausts a process
// costs that world and nothing else.
//
//   process(i).perform(call) ──▶ its main thread        5 µs a call if both share a processor
//   start(t, call), finished(t) ▶ thread t of a process,  (ordinary scheduling), 40 µs if not
//                                 which may sleep in a fault meanwhile
//
// A world with a program of ten calls, begun and ended, takes 1 ms, nearly all of it idle: two
// owners on two processors have 6,000 a second.
//
// A process that died answers `closed` to every call; one that did not answer within the patience
// is killed and answers `timed_out`, then `closed`. fate() says in words what came of it.
//
// What of Payload cannot leave a process stays in it: descriptors are numbers of that process'
// table, `sink` and `received` are refused (a bug of the caller's). Locks: one per socket, a leaf;
// what process() gave may be used from several threads of the owner, the world itself by one.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "kernel/world.h"
#include "linux/world/keeper.h"
#include "linux/world/line.h"
#include "linux/world/machine.h"

namespace verso::host {

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
    Result<void> start_fork(int thread) override;
    std::optional<kernel::Outcome> finished(int thread) override;
    kernel::Provoked provoke(int id, kernel::Trigger trigger, u64 address, u64 length) override;
    u64 huge_page_size() override;
    u64 apart() override;

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
    kernel::Outcome adopt(Executor& executor, const kernel::Outcome& forked);
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
