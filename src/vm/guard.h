// Guard: a process that stands by while a verb has stopped a guest. If the verb is killed, the
// guest goes on all the same, and of one moment: none waits for a verb that never says `cont`.
//
//   verb ── starts ───────▶ guard            holds the machine's lock as well
//        ── it is stopped ▶    │             QMP stop
//        ── a way forward ▶    │             a rewind has begun to change things
//        ── all is well ──▶    ends          QMP cont was answered
//        ✗ killed ────────▶    takes the monitor over: waits for what QEMU was told to do, goes the
//                              way forward if there is one, `cont`, ends
//
// The guard itself may be killed; then all is as if there were none. It costs a process' start,
// some 10 ms, before the guest is stopped, and a packet of a few bytes while it stands still.
#pragma once

#include <string>
#include <utility>

#include <sys/types.h>

#include "base/fd.h"
#include "base/result.h"
#include "vm/record.h"
#include "vm/runtime_dir.h"
#include "vm/way_forward.h"

namespace verso::vm {

class Guard {
public:
    /// Starts it; the guest still runs.
    static Result<Guard> post(const RuntimeDir& dir, const Record& record, const FileLock& lock);

    /// Right before the guest is stopped: only from now on the guard may let it go on.
    void say_stopping();
    /// From now on `cont` alone would be wrong.
    void say_way(const WayForward& way);

    Guard(Guard&& other) noexcept
        : socket_(std::move(other.socket_)), pid_(std::exchange(other.pid_, 0)) {}
    Guard& operator=(Guard&&) = delete;
    /// All is well, or all has been done that could be.
    ~Guard();

private:
    Guard(Fd socket, pid_t pid) : socket_(std::move(socket)), pid_(pid) {}
    Fd socket_;
    pid_t pid_;
};

/// `verso vm-guard FOLDER NAME`, started by Guard::post.
Result<void> run_guard(const RuntimeDir& dir, const std::string& name);

}  // namespace verso::vm
