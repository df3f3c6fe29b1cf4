// Processes that outlive the verb: see the header.
#include "vm/process.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "vm/socket.h"

extern char** environ;

namespace verso::vm {
namespace {

/// The C form of a list of words, which must outlive it.
std::vector<char*> pointers_to(const std::vector<std::string>& words) {
    std::vector<char*> pointers;
    for (const std::string& word : words) {
        pointers.push_back(const_cast<char*>(word.c_str()));
    }
    pointers.push_back(nullptr);
    return pointers;
}

std::vector<std::string> environment_with(const std::vector<std::string>& more) {
    std::vector<std::string> all;
    for (char** at = environ; *at != nullptr; ++at) {
        const std::string entry = *at;
        const std::string name = entry.substr(0, entry.find('=') + 1);
        bool replaced = false;
        for (const std::string& one : more) {
            replaced = replaced || one.starts_with(name);
        }
        if (!replaced) {
            all.push_back(entry);
        }
    }
    all.insert(all.end(), more.begin(), more.end());
    return all;
}

/// What posix_spawn is told; undone when it goes.
struct SpawnSettings {
    posix_spawn_file_actions_t actions{};
    posix_spawnattr_t attributes{};

    SpawnSettings() {
        ::posix_spawn_file_actions_init(&actions);
        ::posix_spawnattr_init(&attributes);
        sigset_t none;
        sigemptyset(&none);
        sigset_t all;
        sigfillset(&all);
        ::posix_spawnattr_setsigmask(&attributes, &none);
        ::posix_spawnattr_setsigdefault(&attributes, &all);
        ::posix_spawnattr_setflags(
            &attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    }
    ~SpawnSettings() {
        ::posix_spawn_file_actions_destroy(&actions);
        ::posix_spawnattr_destroy(&attributes);
    }
    SpawnSettings(const SpawnSettings&) = delete;
    SpawnSettings& operator=(const SpawnSettings&) = delete;
};

/// Duplicates that no place of another lies on: what is to become 3 may be on 4.
std::vector<Fd> out_of_the_way(const std::vector<std::pair<int, int>>& fds) {
    int above = 0;
    for (const auto& [ours, its] : fds) {
        above = std::max(above, its + 1);
    }
    std::vector<Fd> high;
    for (const auto& [ours, its] : fds) {
        // Why safe: a duplicate of a descriptor that is open.
        high.emplace_back(::fcntl(ours, F_DUPFD_CLOEXEC, above));
    }
    return high;
}

Result<pid_t> spawn(const Launch& what) {
    SpawnSettings settings;
    if (!what.folder.empty()) {
        ::posix_spawn_file_actions_addchdir_np(&settings.actions, what.folder.c_str());
    }
    ::posix_spawn_file_actions_addopen(&settings.actions, 0, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_addopen(&settings.actions, 1, what.log.c_str(),
                                       O_WRONLY | O_CREAT | O_APPEND, 0600);
    ::posix_spawn_file_actions_adddup2(&settings.actions, 1, 2);
    const std::vector<Fd> high = out_of_the_way(what.fds);
    for (std::size_t i = 0; i < what.fds.size(); ++i) {
        if (!high[i].valid()) {
            return fail(ErrorKind::resource, EMFILE,
                        "'{}' could not be started: no descriptor is left", what.command.front());
        }
        ::posix_spawn_file_actions_adddup2(&settings.actions, high[i].get(), what.fds[i].second);
    }
    const std::vector<std::string> environment = environment_with(what.environment);
    pid_t pid = 0;
    const int error =
        ::posix_spawnp(&pid, what.command.front().c_str(), &settings.actions, &settings.attributes,
                       pointers_to(what.command).data(), pointers_to(environment).data());
    if (error == ENOENT) {
        return fail(ErrorKind::invalid_argument, error,
                    "there is no program '{}'; install it or give its path", what.command.front());
    }
    if (error != 0) {
        return fail(ErrorKind::resource, error, "'{}' could not be started: {}",
                    what.command.front(), std::strerror(error));
    }
    return pid;
}

}  // namespace

ProcessId identify(pid_t pid) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
    std::string text;
    std::getline(file, text, '\0');  // which, unlike an iterator, lets a process end meanwhile
    // The name stands in parentheses and may hold anything, so fields are counted after the last.
    const std::size_t end_of_name = text.rfind(')');
    if (pid <= 0 || end_of_name == std::string::npos) {
        return {};
    }
    std::istringstream fields(text.substr(end_of_name + 1));
    std::string state;
    fields >> state;
    constexpr int fields_between = 18;  // from field 4 (ppid) up to field 21
    std::string skipped;
    for (int i = 0; i < fields_between; ++i) {
        fields >> skipped;
    }
    u64 started = 0;
    fields >> started;
    return fields.fail() || state == "Z" || state == "X" ? ProcessId{} : ProcessId{pid, started};
}

bool is_alive(const ProcessId& process) {
    return process.pid > 0 && identify(process.pid) == process;
}

bool wait_until_ended(const ProcessId& process, int timeout_ms) {
    const Deadline deadline(timeout_ms);
    while (is_alive(process)) {
        if (deadline.over()) {
            return false;
        }
        pause_ms(2);
    }
    return true;
}

void kill_process(const ProcessId& process) {
    if (is_alive(process)) {
        // Why safe: it was that process a moment ago, and pids are not given out anew so soon.
        ::kill(process.pid, SIGKILL);
    }
}

Result<ProcessId> launch(const Launch& what) {
    Result<pid_t> pid = spawn(what);
    if (!pid) {
        return pass(pid);
    }
    const ProcessId process = identify(*pid);
    if (process.pid == 0) {
        return fail(ErrorKind::peer, 0, "'{}' ended at once: {}", what.command.front(),
                    last_line_of(what.log));
    }
    return process;
}

Result<void> run_helper(const std::vector<std::string>& command, const std::string& folder) {
    const std::string log = folder + "/helper.log";
    std::error_code ignored;
    std::filesystem::remove(log, ignored);
    Launch what;
    what.command = command;
    what.folder = folder;
    what.log = log;
    Result<pid_t> pid = spawn(what);
    if (!pid) {
        return pass(pid);
    }
    int status = 0;
    pid_t ended = -1;
    do {
        // Why safe: a child of ours that nobody else waits for.
        ended = ::waitpid(*pid, &status, 0);
    } while (ended < 0 && errno == EINTR);
    if (ended != *pid || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        return fail(ErrorKind::system, 0, "{} failed: {}", command.front(), last_line_of(log));
    }
    std::filesystem::remove(log, ignored);
    return {};
}

std::string last_line_of(const std::string& log) {
    std::ifstream file(log);
    std::string last = "(it said nothing)";
    std::string named;  // "program: what is wrong", after which there may come advice
    for (std::string line; std::getline(file, line);) {
        if (line.find_first_not_of(" \t\r") != std::string::npos) {
            last = line;
        }
        if (line.find(": ") != std::string::npos) {
            named = line;
        }
    }
    return named.empty() ? last : named;
}

Result<std::string> own_program() {
    std::array<char, 4096> path{};
    const ssize_t length = ::readlink("/proc/self/exe", path.data(), path.size() - 1);
    if (length <= 0) {
        return fail(ErrorKind::system, errno, "where this program is cannot be told: {}",
                    std::strerror(errno));
    }
    return std::string(path.data(), static_cast<std::size_t>(length));
}

}  // namespace verso::vm
