// Knobs: all that is drawn before a simulated run begins: how large it is, what may happen in it,
// how often. Swarm style: a seed switches whole features off, because a bug that needs two of them
// shows sooner in a run that has little else, and a run with everything in it is always the same.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/choice.h"

namespace verso::check::swarm {

/// What a process does with what it has. The order is that of `verb_names`.
enum class Verb : u8 {
    snapshot,
    look,     // at some pages of a snapshot
    fork,     // in the same process
    send,     // a fork to another process
    read,     // some pages of a memory, as a program or as the kernel does
    write,    // likewise
    move,     // from one word to another, under a lock
    rewind,   // with all writers of that memory at rest
    discard,  // likewise
    written,  // since the last time
    detach,   // a snapshot
    drop,     // a snapshot
    leave,    // a memory
    create,   // one more memory
    tamper,   // madvise on a memory, behind the engine's back
};
inline constexpr std::size_t verb_count = 15;
std::string_view name_of(Verb verb);

/// What the kernel does on its own account.
enum class Weather : u8 {
    reclaim,
    migrate,
    slow_migrate,  // other tasks run between its beginning and its end
    numa_hint,
    swap_off,
    ksm_merge,
    thp_collapse,
    thp_split,
};
inline constexpr std::size_t weather_count = 8;
std::string_view name_of(Weather weather);

/// Answers that the kernel may give to the engine although nothing is wrong, or because something
/// is.
enum class Fault : u8 {
    layout_changing,  // EAGAIN of a userfaultfd call
    partial,          // a fill stops early
    exists,           // EEXIST, although nobody was woken
    interrupted,      // EINTR
    nothing_yet,      // a read finds nothing, a wait ends early
    stall,            // the thread is not scheduled for a while
    no_room,          // ENOSPC, ENOMEM where bytes are stored: pages may be lost, loudly
    refusal,          // what a verb needs at its beginning cannot be had: the verb fails
    death,            // the process is killed, right before a call of its engine or right after
    linger,           // everybody else goes on while a page is missing that is to be put back
};
inline constexpr std::size_t fault_count = 10;
std::string_view name_of(Fault fault);

struct Knobs {
    u32 pages = 4;  // in each memory
    u32 processes = 1;
    u32 acts = 10;  // of each process
    u32 writers = 2;
    u32 stores = 10;  // of each writer
    u32 kernel_acts = 10;
    u32 kills = 0;
    u32 kill_within = 100;                     // decisions
    u32 hang_ups = 0;                          // sockets that are closed over everybody's head
    u32 switch_one_in = 4;                     // see Scheduler::Limits
    u32 looks_at_most = 4;                     // pages at a time
    u32 kernel_access = 0;                     // of 8 accesses so many are made by the kernel
    u32 by_mprotect = 0;                       // of 8 new memories so many: that backend
    u32 pages_only = 0;                        // likewise: Tracking::pages
    u32 unprivileged = 0;                      // 1: faults of the program alone can be served
    u32 hot_pages = 0;                         // accesses go to so many pages; 0: to all
    u32 late_writes = 0;                       // 1: also while things are given back
    std::array<u32, verb_count> verbs{};       // weights
    std::array<u32, weather_count> weather{};  // weights
    std::array<u32, fault_count> faults{};     // one call in so many, 0: never

    bool kernel_acts_at_all() const;
    bool any_fault() const;
    friend bool operator==(const Knobs&, const Knobs&) = default;
};

inline constexpr u32 pages_max = 20;
inline constexpr u32 processes_max = 3;

Knobs draw_knobs(Choice& choice);
/// Each by its name, to be read or turned: pages, fork, slow_migrate, partial, …
std::vector<std::pair<std::string_view, u32*>> by_name(Knobs& knobs);
/// One line: name=value, and only what is not 0.
std::string to_string(const Knobs& knobs);

}  // namespace verso::check::swarm
