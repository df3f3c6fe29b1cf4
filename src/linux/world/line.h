// The owner's end of a socket to a process, or to a thread of one.
#pragma once

#include <mutex>

#include "base/fd.h"
#include "base/result.h"
#include "linux/world/wire.h"

namespace verso::host {

struct Pair {
    Fd ours;
    Fd theirs;
};
Result<Pair> new_pair();
/// Whether the descriptor is readable, now or within the time.
bool ready(int fd, int timeout_ms);

/// One question at a time.
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
    void begin_fork(const Fd& passed);
    Reply end();
    bool answered() const;

private:
    Reply ask_with(const Question& question, int passed);
    Reply end_into(const kernel::Payload& payload);  // under guard_

    const Fd socket_;
    std::mutex guard_;
    Message message_;  // under guard_
};

}  // namespace verso::host
