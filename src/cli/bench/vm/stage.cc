// Where the guests of a run live: see the header. Signals are taken by one thread: what the others
// wait for is mostly a QEMU, so it ends the QEMUs, and the waiting ends with an error.
#include "cli/bench/vm/stage.h"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include <fmt/core.h>
#include <nlohmann/json.hpp>
#include <pthread.h>
#include <unistd.h>

#include "vm/keeper.h"
#include "vm/record.h"
#include "vm/server.h"
#include "vm/socket.h"

namespace verso::cli::bench {
namespace fs = std::filesystem;

namespace {

constexpr int exit_interrupted = 130;
constexpr int unwinding_ms = 5'000;  // after that the run is ended where it stands

sigset_t ending_signals() {
    sigset_t set;
    sigemptyset(&set);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
        sigaddset(&set, signal);
    }
    return set;
}

/// $TMPDIR if the user has set it, else in memory, else where temporary files go.
fs::path base_folder() {
    std::error_code error;
    // Why safe: only asks.
    const bool in_memory = ::access("/dev/shm", W_OK) == 0 && std::getenv("TMPDIR") == nullptr;
    return in_memory ? fs::path("/dev/shm") : fs::temp_directory_path(error);
}

}  // namespace

Result<std::unique_ptr<Stage>> Stage::open(const std::string& guest) {
    const fs::path base = base_folder();
    std::string folder = base / "verso-bench-vm-XXXXXX";
    if (::mkdtemp(folder.data()) == nullptr) {
        return fail(ErrorKind::resource, errno, "no folder can be made in {}: {}", base.string(),
                    std::strerror(errno));
    }
    Result<vm::RuntimeDir> dir = vm::RuntimeDir::open_at(folder + "/verso");
    if (!dir) {
        std::error_code ignored;
        fs::remove_all(folder, ignored);
        return pass(dir);
    }
    return std::unique_ptr<Stage>(new Stage(std::move(folder), std::move(*dir), guest));
}

Stage::Stage(std::string folder, vm::RuntimeDir dir, std::string guest)
    : folder_(std::move(folder)), dir_(std::move(dir)), guest_(std::move(guest)) {
    const sigset_t signals = ending_signals();
    ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    watcher_ = std::thread([this] { watch(); });
}

Stage::~Stage() {
    over_.store(true);
    watcher_.join();
    end_machines();
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
    // Ctrl-C that came twice (as it does through timeout(1), to the process and to its group) would
    // end the run here, before it has said that all has been ended.
    const sigset_t signals = ending_signals();
    const timespec now{0, 0};
    while (interrupted_.load() && ::sigtimedwait(&signals, nullptr, &now) > 0) {}
    ::pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
}

void Stage::watch() {
    const sigset_t signals = ending_signals();
    const timespec soon{0, 200'000'000};
    while (!over_.load()) {
        if (::sigtimedwait(&signals, nullptr, &soon) < 0) {
            continue;
        }
        interrupted_.store(true);
        fmt::print(stderr, "\nbench: ending all guests …\n");
        const vm::Deadline deadline(unwinding_ms);
        while (!over_.load() && !deadline.over()) {
            end_machines();  // again and again: the run may have been starting one
            vm::pause_ms(100);
        }
        if (!over_.load()) {
            std::error_code ignored;
            fs::remove_all(folder_, ignored);
            ::_exit(exit_interrupted);
        }
    }
}

void Stage::end_machines() {
    const std::scoped_lock lock(mutex_);
    std::vector<vm::ProcessId> ending = adopted_;
    for (const std::string& name : dir_.names()) {
        if (const Result<vm::Record> record = vm::load_record(dir_, name)) {
            ending.push_back(record->process);
        }
    }
    for (const vm::ProcessId& process : ending) {
        vm::kill_process(process);
    }
    for (const vm::ProcessId& process : ending) {  // one that is ending might still make a file
        (void)vm::wait_until_ended(process, 2'000);
    }
    adopted_.clear();
    vm::end_server(dir_);
}

std::string Stage::fresh(const std::string& kind) {
    const std::scoped_lock lock(mutex_);
    return fmt::format("{}-{}", kind, ++machines_);
}

void Stage::adopt(const vm::ProcessId& process) {
    const std::scoped_lock lock(mutex_);
    adopted_.push_back(process);
}

Result<void> Stage::wanted() const {
    if (interrupted_.load()) {
        return fail(ErrorKind::system, EINTR, "interrupted");
    }
    return {};
}

Result<void> Stage::rest_ms(u64 ms) const {
    const vm::Deadline deadline(static_cast<int>(ms));
    while (!deadline.over()) {
        if (Result<void> still = wanted(); !still) {
            return still;
        }
        vm::pause_ms(10);
    }
    return wanted();
}

}  // namespace verso::cli::bench
