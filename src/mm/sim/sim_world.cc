// SimWorld: processes and their threads.
#include "mm/sim/sim_world.h"

#include <algorithm>
#include <bit>

#include "kernel/outcome.h"
#include "mm/folio.h"

namespace verso::mm::sim {

SimWorld::SimWorld(const Rules& rules, const Shape& shape, Choice& choice, Options options)
    : options_(std::move(options)),
      memory_(rules, shape, choice),
      scheduler_(choice, options_.limits),
      descriptors_([this] { return running_process(); }) {
    memory_.watch(options_.watcher);
    memory_.versions().ask_who_writes(&scheduler_.running());
    scheduler_.on_finish = [this](Scheduler::TaskId task) { task_ends(task); };
    const int first = start_process();
    VERSO_CHECK(first == 0, "the first process is {}", first);
}

SimWorld::~SimWorld() {
    for (const std::unique_ptr<Process>& one : processes_) {
        if (one->alive) {
            exit(one->id);
        }
    }
}

SimWorld::Process& SimWorld::at(int id) {
    VERSO_CHECK(id >= 0 && id < static_cast<int>(processes_.size()), "no process {}", id);
    return *processes_[static_cast<std::size_t>(id)];
}

const SimWorld::Process& SimWorld::at(int id) const {
    VERSO_CHECK(id >= 0 && id < static_cast<int>(processes_.size()), "no process {}", id);
    return *processes_[static_cast<std::size_t>(id)];
}

kernel::Kernel& SimWorld::process(int id) { return *at(id).kernel; }
bool SimWorld::alive(int id) const { return at(id).alive; }
u64 SimWorld::huge_page_size() { return to_bytes(state().shape.huge_pages); }

u64 SimWorld::to_model(int process, u64 address) const {
    return memory_.to_model(at(process).space, address);
}

u64 SimWorld::from_model(int process, u64 address) const {
    return memory_.from_model(at(process).space, address);
}

u64 SimWorld::trace() const {
    return std::rotl(memory_.trace(), 17) ^ scheduler_.decisions() * 0x9e3779b97f4a7c15 ^
           scheduler_.now_ns();
}

SimWorld::Process& SimWorld::add_process(u8 space) {
    auto process = std::make_unique<Process>();
    process->id = static_cast<int>(processes_.size());
    process->space = space;
    process->kernel = std::make_unique<SimKernel>(*this, process->id);
    processes_.push_back(std::move(process));
    return *processes_.back();
}

int SimWorld::start_process() {
    const u8 space = memory_.new_space();
    memory_.open_window(space);
    Process& process = add_process(space);
    thread_of(process);
    return process.id;
}

u8 SimWorld::thread_of(Process& process) {
    const auto [place, fresh] = process.threads.try_emplace(scheduler_.current(), nobody);
    if (fresh) {
        place->second = memory_.new_thread(process.space);
    }
    return place->second;
}

void SimWorld::task_ends(Scheduler::TaskId task) {
    for (const std::unique_ptr<Process>& process : processes_) {
        const auto found = process->threads.find(task);
        if (found != process->threads.end()) {
            memory_.thread_ends(found->second);
            process->threads.erase(found);
        }
    }
}

int SimWorld::running_process() const { return scheduler_.process_of(scheduler_.current()); }

Result<int> SimWorld::fork(int id) {
    Process& parent = at(id);
    VERSO_CHECK(parent.alive, "process {} has ended", id);
    scheduler_.yield();
    Call call{.op = Op::fork, .thread = thread_of(parent)};
    memory_.pull_all();
    const Outcome outcome = memory_.step(call);
    if (outcome.verdict != Verdict::done) {
        return fail(ErrorKind::resource, outcome.error,
                    "the simulated machine has no room for another process: make its Shape larger");
    }
    const auto thread = static_cast<u8>(outcome.value);
    Process& child = add_process(state().threads[thread].space);
    child.threads[scheduler_.current()] = thread;
    memory_.inherit_window(child.space, at(id).space);
    descriptors_.copy_all(id, child.id);
    const auto& threads = memory_.state().threads;
    const u8 self = call.thread;
    if (threads[self].waiting == Waiting::event) {
        scheduler_.block([&] { return threads[self].waiting != Waiting::event; },
                         {"its fork to be read from userfaultfd", threads[self].context});
    }
    return child.id;
}

/// exit_mm() first, then exit_files().
void SimWorld::exit(int id) {
    Process& process = at(id);
    VERSO_CHECK(process.alive, "process {} has ended already", id);
    process.alive = false;
    memory_.pull_all();
    const Call call{.op = Op::exit, .thread = thread_of(process)};
    const Outcome outcome = memory_.step(call);
    VERSO_CHECK(outcome.verdict == Verdict::done, "exit: {}", to_string(outcome));
    process.threads.clear();
    memory_.close_window(process.space);
    descriptors_.close_all(id);
    process.kernel->let_go();
    memory_.versions().abandon(
        [&](int task) { return task != 0 && scheduler_.process_of(task) == id; });
    memory_.end_orphans();
    *process.ended = true;
    scheduler_.kill_process(id);
}

Result<int> SimWorld::thread(int process) {
    VERSO_CHECK(at(process).alive, "process {} has ended", process);
    helpers_.push_back(std::make_unique<Helper>());
    Helper& helper = *helpers_.back();
    const auto number = static_cast<int>(helpers_.size()) - 1;
    kernel::Kernel& kernel = this->process(process);
    helper.task = scheduler_.spawn(process, fmt::format("thread {}", number), [&, process, this] {
        for (;;) {
            scheduler_.block([&] { return helper.call.has_value(); }, {"its next call"});
            if (std::exchange(helper.forks, false)) {
                const Result<int> forked = fork(process);
                helper.outcome = forked ? kernel::Outcome::done(*forked)
                                        : kernel::failure(forked.error().os_error);
            } else {
                helper.outcome = kernel.perform(*helper.call);
            }
            helper.call.reset();
        }
    });
    return number;
}

void SimWorld::start(int thread, const kernel::Call& call) {
    Helper& helper = *helpers_.at(static_cast<std::size_t>(thread));
    VERSO_CHECK(!helper.call, "thread {} is at {}", thread, to_string(*helper.call));
    helper.call = call;
}

Result<void> SimWorld::start_fork(int thread) {
    start(thread, {});
    helpers_.at(static_cast<std::size_t>(thread))->forks = true;
    return {};
}

std::optional<kernel::Outcome> SimWorld::finished(int thread) {
    Helper& helper = *helpers_.at(static_cast<std::size_t>(thread));
    scheduler_.block([&] { return !helper.call || scheduler_.asleep(helper.task); },
                     {"another thread's call", 0, helper.task});
    return helper.call ? std::nullopt : std::optional(helper.outcome);
}

std::optional<u8> SimWorld::model_thread(int thread) const {
    const Scheduler::TaskId task = helpers_.at(static_cast<std::size_t>(thread))->task;
    for (const std::unique_ptr<Process>& process : processes_) {
        const auto found = process->threads.find(task);
        if (found != process->threads.end()) {
            return found->second;
        }
    }
    return std::nullopt;
}

std::pair<int, int> SimWorld::socket_pair(int one, int other) {
    auto first = std::make_shared<SocketObject>();
    auto second = std::make_shared<SocketObject>();
    first->peer = second;
    second->peer = first;
    sockets_.push_back(first);
    const int a = descriptors_.add(one, std::move(first));
    return {a, descriptors_.add(other, std::move(second))};
}

bool SimWorld::has_open_socket() const {
    return std::ranges::any_of(sockets_, [](const std::weak_ptr<SocketObject>& one) {
        const auto end = one.lock();
        return end != nullptr && !end->hung_up();
    });
}

bool SimWorld::shut_down_socket(u32 which) {
    std::erase_if(sockets_, [](const std::weak_ptr<SocketObject>& one) {
        const auto end = one.lock();
        return end == nullptr || end->hung_up();
    });
    if (sockets_.empty()) {
        return false;
    }
    const auto one = sockets_[which % sockets_.size()].lock();
    one->peer.lock()->peer.reset();
    one->peer.reset();
    return true;
}

Outcome SimWorld::step(int process, Call call) {
    call.thread = thread_of(at(process));
    return memory_.step_anywhere(call);
}

std::optional<PageId> SimWorld::begin_migration(int process, u64 address) {
    Call begin{.op = Op::migrate_begin};
    begin.address = to_model(process, address);
    if (step(process, begin).verdict != Verdict::done) {
        return std::nullopt;
    }
    const auto at = static_cast<Vpn>(to_pages(begin.address));
    return head_of(state(), entry_at(state(), space_of(process), at).target);
}

void SimWorld::end_migration(PageId folio) {
    Call end{.op = Op::migrate_end};
    u8 space = nobody;  // nobody waits any more: the model ends that without a place
    for (const Mapping& one : folio_mappings(state(), folio)) {
        if (mapping_entry(state(), one).kind == EntryKind::migration) {
            space = one.space;
            end.address = to_bytes(one.at);
        }
    }
    const auto acts = std::ranges::find_if(processes_, [&](const std::unique_ptr<Process>& one) {
        return one->alive && (space == nobody || one->space == space);
    });
    VERSO_CHECK(acts != processes_.end(), "a migration in a space without a process");
    (void)step((*acts)->id, end);
    memory_.end_orphans();  // a file whose last name went meanwhile could not go
}

u64 SimWorld::end() { return memory_.from_model(at(0).space, memory_.limit()); }

}  // namespace verso::mm::sim
