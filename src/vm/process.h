// Processes that outlive the verb that started them, known by pid and start time: a pid alone may
// have been given to somebody else meanwhile.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <sys/types.h>

#include "base/result.h"
#include "base/types.h"

namespace verso::vm {

struct ProcessId {
    pid_t pid = 0;
    u64 started = 0;  // clock ticks since boot, as /proc/PID/stat has it
    friend bool operator==(const ProcessId&, const ProcessId&) = default;
};

/// {0, 0} if there is no such process, or only its remains (a zombie).
ProcessId identify(pid_t pid);
bool is_alive(const ProcessId& process);
/// False: it is still there after that time.
bool wait_until_ended(const ProcessId& process, int timeout_ms);
/// SIGKILL, if it is still the same process.
void kill_process(const ProcessId& process);

struct Launch {
    std::vector<std::string> command;
    std::vector<std::string> environment;  // NAME=VALUE, beside this process' own
    std::string folder;                    // where it runs; empty: here
    std::string log;                       // gets its stdout and stderr; stdin is /dev/null
    std::vector<std::pair<int, int>> fds;  // {ours, its}
};
/// Starts it in a session of its own, so that a terminal that closes does not end it.
Result<ProcessId> launch(const Launch& what);

/// Runs a helper to its end; an error carries what it printed.
Result<void> run_helper(const std::vector<std::string>& command, const std::string& folder);

/// The last line of the form "who: what", else the last that is not empty, for messages about a
/// process that has ended.
std::string last_line_of(const std::string& log);

/// Where this program is, whatever it was called by.
Result<std::string> own_program();

}  // namespace verso::vm
