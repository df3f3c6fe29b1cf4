// What processes say to each other, one message a packet (SOCK_SEQPACKET), descriptors beside it.
//
//   exporter                                importer
//      │── offer (+ 2 to 5 descriptors a level) ──▶│   maps, opens its userfaultfd
//      │◀── ready (+ userfaultfd, pidfd) ──────────│
//      │── accepted ──────────────────────────────▶│   runs
//      │◀── serve page … serve page … barrier ─────│
//      │◀── adopt (+ userfaultfd) … disown ────────│   a child of the child, served by its number
//      │◀── heirs ─────────────────────────────────│   its children read the exporter's layer:
//      │                                           │   keep it while this socket is open anywhere
//      │── lost ──────────────────────────────────▶│   the page asked for is lost: hide it
//      │── move (page: first of a chunk) ─────────▶│   map the layer there; until the answer the
//      │◀── moved | stayed ────────────────────────│   exporter fills nothing in that chunk
//      │── barrier_done ──────────────────────────▶│   either end hangs up: the other knows
//      │── resumed ───────────────────────────────▶│   somebody else exports now (takeover.hpp):
//      │◀── all that still holds, once more ───────│   what was not answered is asked again
//
//   lender                                  engine
//      │── lend (+ memfd, userfaultfd) ───────────▶│   maps, protects, serves
//      │◀── accepted (+ pidfd) | refused(text) ────│
//      │── barrier 0: the loan ends ──────────────▶│   stores what snapshots still need
//      │◀── barrier_done ──────────────────────────│   then the lender unprotects its memory
//      │── barrier 1: I have waited enough ───────▶│   only if no answer came in time: said before
//      │                                           │   unprotecting, so nothing newer is shown
//
// The pidfds are there where the kernel has them (5.3): a socket whose owner was killed stays open
// while a copy of it lives in a process that the owner made by fork(2).
//
// Both ends are the same build of Verso on one machine; the version is checked and everything else
// is validated all the same: what arrives is bytes (there is a fuzz target for decode).
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/filler.h"

namespace verso::engine::wire {

enum class Kind : u32 {
    offer = 1,
    ready,
    accepted,
    refused,
    serve,
    barrier,
    barrier_done,
    lend,
    adopt,
    disown,
    lost,
    move,
    moved,
    stayed,
    heirs,
    resumed,
};
inline constexpr Kind kind_last = Kind::resumed;

struct LevelInfo {
    u64 seq = 0;
    u32 slot = 0;
    bool has_live = false;
    bool has_pin = false;
    bool has_process = false;
    friend bool operator==(const LevelInfo&, const LevelInfo&) = default;
};

struct Message {
    Kind kind = Kind::refused;
    u64 pages = 0;         // offer, lend
    u64 address = 0;       // ready, lend, adopt: where the memory is mapped
    u64 lifeline = 0;      // ready, adopt: see presence.h
    u64 page = 0;          // serve, lost; move, moved, stayed: the first of the chunk
    PageRange window;      // serve: no page outside it may be filled
    u64 number = 0;        // barrier, barrier_done; adopt, disown, serve, lost: whose (0: own)
    bool protect = false;  // serve; barrier_done: whether it is certain
    BaseFile base_file = BaseFile::live;  // offer
    std::vector<LevelInfo> levels;        // offer
    std::string text;                     // refused
    friend bool operator==(const Message&, const Message&) = default;
};

inline constexpr std::size_t message_bytes_max = 8192;
inline constexpr std::size_t text_bytes_max = 1024;

std::vector<std::byte> encode(const Message& message);
Result<Message> decode(std::span<const std::byte> bytes);

/// Sends one message and, beside it, descriptors (borrowed).
kernel::Outcome send(kernel::Kernel& kernel, int socket, const Message& message,
                     std::span<const int> fds = {});

/// The same to somebody who waits for it: whatever else is in the way is tried again, until the
/// message is sent (true) or the other end has hung up (false).
bool send_or_gone(kernel::Kernel& kernel, int socket, const Message& message,
                  std::span<const int> fds = {});
/// Whether the other end has hung up: asked of the socket, because errors also come from this end.
bool has_hung_up(kernel::Kernel& kernel, int socket);
/// Whether the process of a pidfd has ended; -1: not known to have.
bool has_ended(kernel::Kernel& kernel, int process);
/// Waits for it, two seconds at most: who dies closes its sockets some time before its process has
/// ended. False: it lives on, so somebody else closed the socket.
bool ends_soon(kernel::Kernel& kernel, int process);
/// This process, as others may wait for its end; none where the kernel has no pidfds.
Fd this_process(kernel::Kernel& kernel);

struct Received {
    Message message;
    std::vector<Fd> fds;
};
/// Waits up to timeout_ms for one message of `wanted`; a `refused` becomes its text as an error.
Result<Received> receive(kernel::Kernel& kernel, int socket, Kind wanted, int timeout_ms);
/// Takes a message that is there; if none is, an error whose os_error is EAGAIN.
Result<Received> receive_now(kernel::Kernel& kernel, int socket);

}  // namespace verso::engine::wire
