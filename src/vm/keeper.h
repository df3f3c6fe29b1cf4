// Keeper: regions by name and their snapshots by name, and the requests that can be made of them.
// The page server has one, for the memory of all root VMs; the agent in a child's QEMU has one, for
// the child's own memory. Both are asked alike, one JSON object a packet (socket.h):
//
//   {"do":"attach","region":R}            + socket   a lender's memory becomes region R
//   {"do":"ahead","region":R}                        protects what a snapshot would, and keeps
//                                                      none → arm_ns, pages_protected
//   {"do":"snapshot","region":R,"snapshot":S}        → arm_ns, cut_ns, pages_protected,
//                                                      granule_bytes
//   {"do":"export","region":R,"snapshot":S} + socket returns once the child can run
//   {"do":"rewind","region":R,"snapshot":S}          → pages, ns
//   {"do":"release","region":R,"snapshot":S}
//   {"do":"forget","region":R}                       with all its snapshots
//   {"do":"figures","region":R}                      what it costs and has served
//
// Each is answered with {"ok":true,…} or {"ok":false,"error":"one sentence"}. Requests may come on
// several threads; those of different regions do not wait for one another.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "verso/verso.hpp"
#include "vm/json.h"
#include "vm/safe.h"

namespace verso::vm {

class Keeper {
public:
    /// With a safe, what is attached can be taken over by another keeper.
    explicit Keeper(SafeClient* safe = nullptr) : safe_(safe) {}
    Result<void> take_over(std::vector<SafeClient::Kept>& kept);
    void put(const std::string& region, Region memory);
    Json answer(const Json& request, const std::vector<Fd>& fds);
    bool empty();

private:
    struct Kept {
        Kept(Region memory_, std::string key_) : memory(std::move(memory_)), key(std::move(key_)) {}
        Region memory;
        std::string key;   // what its entries in the safe begin with; empty: there are none
        std::mutex mutex;  // of the table
        std::map<std::string, std::shared_ptr<Snapshot>> snapshots;
    };
    std::shared_ptr<Kept> find(const std::string& region);
    static std::shared_ptr<Snapshot> find_in(Kept& kept, const std::string& snapshot);
    Result<Json> attach(const Json& request, const std::vector<Fd>& fds);
    Result<Json> of_region(const Json& request, const std::vector<Fd>& fds);
    Result<Json> of_snapshot(Kept& kept, const Json& request, const std::vector<Fd>& fds);
    static Result<Json> protect_ahead(Kept& kept);
    Result<Json> take(Kept& kept, const std::string& name);
    void release(Kept& kept, const std::string& name);
    void forget(const std::string& region);
    Result<void> take_over_one(std::span<const Safekeeping::Entry> entries);
    Result<void> keep(const std::string& key, u64 id);
    void drop(const std::string& key);

    SafeClient* safe_;
    std::mutex mutex_;  // of the table
    std::map<std::string, std::shared_ptr<Kept>> regions_;
};

/// Asks whoever listens at that socket; an answer that is not ok is an error with its sentence. If
/// it is killed before it has answered, whoever comes after it is asked, unless descriptors went
/// with the request: all other requests may be made twice.
Result<Json> ask(const std::string& socket, const Json& request, std::span<const int> fds = {},
                 int timeout_ms = 60'000);

Json refusal(const Error& error);

}  // namespace verso::vm
