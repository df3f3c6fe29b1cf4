// What a child does with the memory it was given, whether Verso or fork(2) made it: the same code
// runs in both, so that the comparison is one.
//
//      scan     one word of every page: the first touch, timed
//      check    opens the database (SQLite rolls back): integrity, invariant; commits own writes
//      fork     leaves a transaction half done and is forked in that moment
//      audit    which children's rows can it see?
//      memory   what the kernel says it costs
#pragma once

#include <functional>
#include <span>

#include "cli/demo/bank.h"
#include "cli/demo/channel.h"
#include "cli/demo/figures.h"

namespace verso::cli {

enum class Verb : u32 { scan, check, fork, audit, memory, leave };

struct Question {
    Verb verb{};
    u32 id = 0;  // fork: the grandchild's
};

struct Answer {
    bool done = false;
    char failure[256] = {};  // if not
    u64 since_ns = 0;        // scan: when it could run; fork: when the fork was called
    u64 ids_seen = 0;        // audit: bit i: it sees the row of child i
    bool sound = false;      // check, audit: integrity and invariant hold
    ChildFigures figures;
};

/// Children's ids are bits of a word. This one is written and never committed.
inline constexpr u32 child_ids_max = 60;
inline constexpr u32 uncommitted_id = 61;

class Child {
public:
    /// What Verso and fork(2) do differently.
    struct Means {
        std::function<Result<u64>(u32 id)> fork;  // answers when the fork was called
        std::function<Result<MemoryFigures>()> memory;
    };

    /// `since_ns`: when the memory could first be used.
    Child(Channel& control, std::span<std::byte> span, u32 id, u64 since_ns, Means means)
        : control_(control), span_(span), id_(id), since_ns_(since_ns), means_(std::move(means)) {}

    /// Answers questions until it is told to leave, or until who asks has gone.
    int serve();

private:
    Result<void> answer(const Question& question, Answer& answer);
    void scan(ChildFigures& figures) const;
    Result<void> check(Answer& answer);
    Result<void> commit_own_writes(Connection& connection) const;
    Result<void> fork_in_transaction(u32 id, Answer& answer);
    Result<void> audit(Answer& answer) const;

    Channel& control_;
    std::span<std::byte> span_;
    u32 id_;
    u64 since_ns_;
    Means means_;
};

/// Entry of the processes that Verso's side starts: imports the region that arrives on a socket.
int imported_child(u32 id, Channel control, Channel import, Channel exports);

}  // namespace verso::cli
