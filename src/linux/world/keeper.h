// The keeper: a small process, forked once, that starts the processes of worlds and outlives their
// owner by a moment, so that nothing stays behind whatever happens to it.
//
//   owner ──begin──▶ keeper ──fork──▶ process 0 of a world (a process group: all its relatives)
//         ──end────▶        ──kill──▶ the group, and waits until it is gone
//         ──died───▶        ──kill──▶ all groups; then what was promised to be undone, is
//
// Why not fork(2) from the owner: it may be large (its page tables are copied, 1 ms and more) and
// have threads (whose locks stay locked in the child). The keeper is small, has one thread, and its
// children all begin with the same layout of addresses.
#pragma once

#include <mutex>
#include <string>

#include <sys/types.h>

#include "base/fd.h"
#include "base/result.h"
#include "linux/world/wire.h"

namespace verso::host {

/// How something on the machine is put back, by the keeper if its owner cannot any more.
struct Undo {
    enum class Kind : u32 {
        write,
        swap_off,
        remove,
        remove_group,  // a control group's folder, once its processes have ended
        hold,          // a descriptor, until then
    };
    Kind kind = Kind::write;
    std::string path;
    std::string text;  // write: what goes into the file
    /// False with errno if it could not be done.
    bool perform() const;
};

class Keeper {
public:
    /// This process' keeper, started by the first call: best while there is one thread only.
    static Result<Keeper*> get();

    /// Starts a world whose first process serves the socket.
    Result<pid_t> begin(const Fd& socket);
    /// Ends it with all its relatives, and returns once they are gone.
    void end(pid_t world);
    /// From here on, the keeper does this if we end without having taken it back; the last of all
    /// promises first. The number is for take_back.
    Result<u64> promise(const Undo& undo, int held = -1);
    void take_back(u64 number);

private:
    explicit Keeper(Fd socket, pid_t pid) : socket_(std::move(socket)), pid_(pid) {}
    static Result<Keeper*> start();
    Result<i64> ask(Message& question, int passed);

    const Fd socket_;
    const pid_t pid_;
    std::mutex guard_;
    bool gone_ = false;  // under guard_
};

}  // namespace verso::host
