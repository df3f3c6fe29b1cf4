// The safe: a process that does nothing but keep what the page server puts away (takeover.hpp), and
// start it again when it was killed.
//
//   verso vm … ──▶ server.sock ◀── held by the safe, so requests wait while a server is started
//                       │
//   safe ──starts──▶ page server ── keep, drop ──▶ safe        killed: the next one gets it all
//
// It holds no memory of guests and touches none; it may be killed like any other process, and then
// the page server ends with it: lenders and children take the safe's end for the server's.
// The conversation, one JSON object a packet, descriptors beside it:
//
//   server ── {"do":"keep","key":K,"numbers":[…]} ──▶ safe   answered, so that it is certain
//          ── {"do":"drop","key":K} ───────────────▶         not answered: read before a server is
//          ── {"do":"serving"} ────────────────────▶         started again
//          ◀── {"key":K,"numbers":[…]} … {"all":true}        once, at the beginning
#pragma once

#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "base/types.h"
#include "verso/takeover.hpp"
#include "vm/runtime_dir.h"

namespace verso::vm {

/// `verso vm-safe`: listens for the verbs, and sees to it that a page server answers them. Returns
/// when one has ended by itself, because it has nothing left to keep.
Result<void> run_safe(const RuntimeDir& dir);

// How a page server finds them.
inline constexpr int server_listening_fd = 3;
inline constexpr int server_safe_fd = 4;
inline constexpr int server_safe_process_fd = 5;

/// The page server's end. The functions of one object may be called by several threads.
class SafeClient final : public Safekeeping {
public:
    struct Kept {
        std::string key;
        std::vector<u64> numbers;
        std::vector<Fd> fds;
    };
    SafeClient(Fd socket, Fd process) : socket_(std::move(socket)), process_(std::move(process)) {}

    /// What the servers before have put away; called once, before anything else.
    Result<std::vector<Kept>> receive_all();
    /// Says that all of it is served again.
    void say_serving();
    bool empty();

    Result<void> keep(const Entry& entry) override;
    void drop(const std::string& key) override;
    int process() const override { return process_.get(); }

private:
    std::mutex mutex_;
    Fd socket_;
    Fd process_;
    std::set<std::string> keys_;  // guarded by mutex_
};

}  // namespace verso::vm
