// A second process for tests: it runs Verso's verbs when told to, and can be killed at any moment.
//
//   test ──Order (+ a descriptor)──▶ peer    one packet each way; the peer is this same binary,
//        ◀──Answer────────────────           started anew, so nothing of the test's state is in it
//
// Regions, snapshots and loans live in the peer under numbers, in the order in which they were
// made.
#pragma once

#include <array>
#include <string>
#include <utility>

#include <sys/types.h>

#include "base/base.h"

namespace verso::test {

enum class Verb : u32 {
    create,          // pages, seed: a region with version 0 everywhere → region
    write,           // region, version: all pages
    churn,           // region: a thread writes versions 1, 2, … to random pages until the end
    rest,            // the churning ends → pages written
    snapshot,        // region → snapshot
    fork,            // snapshot → region, here
    export_fork,     // snapshot, socket
    import,          // seed, socket → region
    check,           // region, version → right, wrong, lost
    check_snapshot,  // snapshot, version → right, wrong, lost
    rewind,          // region, snapshot
    detach,          // snapshot
    lend,            // pages, seed, version = 1: die with the engine; socket
    check_lent,      // version → right, wrong, lost: the lent memory itself
    whole_lent,      // → right: pages of the lent memory that are one version or another
    churn_lent,      // as churn, of the lent memory
    end_loan,
    attach,  // seed, socket → region
    drop_region,
    drop_snapshot,
    services,  // → children being served

    // What this peer is, before anything else is asked of it:
    drop_privilege,  // from now on an ordinary user → 1 if the kernel's own faults are not served
    lack_poison,     // its kernel is as old as 6.5
    die_at,          // version n: SIGKILL at the engine's n-th call of the kernel from now on

    fork_bystander,  // fork(2): a process that sleeps and holds copies of all descriptors → pid
    lose,            // region: from now on old bytes cannot be stored; writes version 1 everywhere
};

struct Order {
    Verb verb{};
    u32 region = 0;
    u32 snapshot = 0;
    u64 pages = 0;
    u64 seed = 0;
    u64 version = 0;
};

struct Answer {
    bool ok = false;
    u64 value = 0;  // the number of what was made
    u64 right = 0;
    u64 wrong = 0;
    u64 lost = 0;
    std::array<char, 400> text{};  // the error, if !ok
    std::string error() const { return text.data(); }
};

class Peer {
public:
    Peer();
    ~Peer();  // kills it
    Peer(const Peer&) = delete;
    Peer& operator=(const Peer&) = delete;

    pid_t pid() const { return pid_; }
    void tell(const Order& order, int fd = -1);
    /// Waits for the answer to the last order; !ok with "gone" if the peer died first.
    Answer hear();
    /// Whether the answer is there after at most this many looks, 10 ms apart.
    bool answers_within(unsigned looks) const;
    Answer ask(const Order& order, int fd = -1) {
        tell(order, fd);
        return hear();
    }
    void kill();
    /// Waits until it has ended; the signal that ended it, or 0.
    int wait();

private:
    pid_t pid_ = -1;
    Fd socket_;
};

/// A connected pair of the sockets that export and lend want.
std::pair<Fd, Fd> socket_pair();

/// Exports from one peer to another. Returns the importer's answer; `exported` gets the exporter's.
Answer hand_over(Peer& from, u32 snapshot, Peer& to, u64 seed, Answer* exported = nullptr);

namespace detail {
bool receive_order(int socket, Order& order, Fd& fd);
void send_answer(int socket, const Answer& answer);
/// What a process does that was started as a peer.
[[noreturn]] void be_a_peer(int socket);
}  // namespace detail

}  // namespace verso::test
