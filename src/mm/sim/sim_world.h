// SimWorld: a machine of simulated processes over one State: the model's side of kernel::World.
//
//   process(i): SimKernel ─┐                    Scheduler   who runs
//   provoke, step ─────────┼──▶ Memory ──▶ State, Versions, windows
//   start_process, fork ───┘    Descriptors     numbers, sockets, events
//
// Whoever makes a world is its first task, "main", in process 0, and may call any process' kernel:
// it is then a thread of that process, too. Threads that a kernel spawns are fibers beside it; they
// run whenever main asks for something. One world belongs to one host thread; several may exist.
//
// Everything that could go either way is asked of the Choice that the world was made with: same
// program, same answers, same trace().
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kernel/half.h"
#include "kernel/world.h"
#include "mm/sim/sim_kernel.h"

namespace verso::mm::sim {

struct Options {
    bool privileged = true;  ///< processes have CAP_SYS_PTRACE: kernel-mode faults, EVENT_FORK
    Scheduler::Limits limits{};
    Watcher* watcher = nullptr;  ///< must outlive the world; none: nobody looks
};

class SimWorld final : public kernel::World {
public:
    SimWorld(const Rules& rules, const Shape& shape, Choice& choice, Options options = {});
    ~SimWorld() override;
    SimWorld(const SimWorld&) = delete;
    SimWorld& operator=(const SimWorld&) = delete;

    kernel::Kernel& process(int id) override;
    /// Memory and descriptors are copies; its addresses are its parent's, so that only the seam
    /// reaches what they show (memory.h). Threads: the calling one alone.
    Result<int> fork(int id) override;
    void exit(int id) override;
    Result<int> thread(int process) override;
    void start(int thread, const kernel::Call& call) override;
    Result<void> start_fork(int thread) override;
    std::optional<kernel::Outcome> finished(int thread) override;
    kernel::Provoked provoke(int id, kernel::Trigger trigger, u64 address, u64 length) override;
    u64 huge_page_size() override;
    u64 end() override;

    /// A process with nothing in it and addresses of its own, as after fork and exec.
    int start_process();
    bool alive(int id) const;
    /// Two ends of a SOCK_SEQPACKET socket, one for each process.
    std::pair<int, int> socket_pair(int one, int other);
    /// shutdown(2), for both directions, of one of the sockets that are open at both ends. What is
    /// on the way still arrives. False: there is none.
    bool shut_down_socket(u32 which);
    bool has_open_socket() const;

    /// A step of the model, by the thread that process' main task is (Call::thread is set):
    /// device migration, a slot that fails, a migration that stays open. Addresses are the model's.
    Outcome step(int process, Call call);
    /// The folio that begins to migrate, at an address of the process'; none: it cannot be now.
    std::optional<PageId> begin_migration(int process, u64 address);
    /// The end of its migration, wherever this folio is waited for by now: the
    /// entry where it began may have been unmapped since, or its process have ended.
    void end_migration(PageId folio);
    u64 to_model(int process, u64 address) const;
    u64 from_model(int process, u64 address) const;
    /// The address space that the process runs in: an index into State::spaces.
    u8 space_of(int process) const { return at(process).space; }
    /// The model's thread that a further thread is: an index into State::threads. None: it made no
    /// call yet.
    std::optional<u8> model_thread(int thread) const;
    const State& state() const { return memory_.state(); }
    const Rules& rules() const { return memory_.rules(); }
    /// The bytes that a page of these contents has.
    PageSpan bytes(Contents version) const { return versions().bytes(version); }

    /// Descriptors that a process has: 0 if nothing leaks.
    std::size_t open_descriptors(int process) const { return descriptors_.open(process); }
    std::size_t versions_kept() const { return versions().count(); }
    Scheduler& scheduler() { return scheduler_; }
    /// All that happened, in one number: equal for equal seeds.
    u64 trace() const;
    bool privileged() const { return options_.privileged; }

private:
    friend class SimKernel;
    struct Process {
        int id = 0;
        bool alive = true;
        u8 space = nobody;
        std::shared_ptr<bool> ended = std::make_shared<bool>(false);
        std::unique_ptr<SimKernel> kernel;
        std::map<Scheduler::TaskId, u8> threads;  ///< of the model, by task that acts here
    };
    /// A further thread: a fiber that makes one call after another.
    struct Helper {
        Scheduler::TaskId task = 0;
        std::optional<kernel::Call> call;  ///< to be made, or being made
        bool forks = false;                ///< fork(2) instead
        kernel::Outcome outcome;
    };
    const Versions& versions() const { return memory_.versions(); }
    Process& at(int id);
    const Process& at(int id) const;
    Process& add_process(u8 space);
    /// The model's thread for the running task in that process; made when first needed.
    u8 thread_of(Process& process);
    void task_ends(Scheduler::TaskId task);
    int running_process() const;
    Verdict attempt(Process& process, Op op, u64 address, u64 source);
    bool act(Process& process, Op op, u64 address, u64 source = 0);
    bool act_all(Process& process, kernel::Trigger trigger, u64 address, u64 length);
    bool merge_all(Process& process, u64 address, u64 length);
    bool is_merged(const Process& process, u64 address) const;
    bool take_or_give_back(kernel::Half half);

    Options options_;
    Memory memory_;
    Scheduler scheduler_;
    Descriptors descriptors_;
    std::vector<std::weak_ptr<SocketObject>> sockets_;  ///< one end of each
    std::vector<std::unique_ptr<Process>> processes_;
    std::vector<std::unique_ptr<Helper>> helpers_;
    std::vector<PageId> taken_;  ///< pages that somebody else has (Half::memory_full)
};

}  // namespace verso::mm::sim
