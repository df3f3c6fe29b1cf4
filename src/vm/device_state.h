// Everything of a guest that is not its memory: registers, devices, the option ROMs; about 1 MB.
// QEMU writes it as a migration that leaves shared memory out (x-ignore-shared), in two forms:
//
//   a file      what a child's QEMU is started with (migrate-incoming)
//   kept        inside the running QEMU, in a store, a qcow2 file that no guest sees
//               (snapshot-save): the only form that a QEMU can take back into itself
//               (snapshot-load, which also throws away the code that TCG translated from the old
//               memory)
//
// snapshot-load resets the machine first and then reads: refused half-way it leaves devices that
// are nobody's. So a rewind keeps what was there right before in a store of its own, which nothing
// that befell the first one can have damaged.
//
// The guest stands still whenever one of these is called.
#pragma once

#include <string>

#include "base/result.h"
#include "vm/qmp.h"
#include "vm/runtime_dir.h"

namespace verso::vm {

class Guard;

/// Stops the guest, and lets it go on when it goes, whatever happened.
class Stillness {
public:
    /// Refuses a guest that is not running: it would not be going on afterwards.
    /// `guard`: who lets it go on if this process is killed.
    static Result<Stillness> begin(Qmp& qmp, Guard* guard = nullptr);
    /// How long the guest stood still, by this machine's clock.
    Result<u64> end();
    /// How long QEMU took to stop it: its vCPUs, and what its disks had begun.
    u64 stopping_ns() const { return stopped_ns_ - begun_ns_; }
    /// The guest stays as it is: it could not go on rightly.
    void leave_stopped() { qmp_ = nullptr; }

    Stillness(Stillness&& other) noexcept
        : qmp_(std::exchange(other.qmp_, nullptr)),
          begun_ns_(other.begun_ns_),
          stopped_ns_(other.stopped_ns_) {}
    Stillness& operator=(Stillness&&) = delete;
    ~Stillness();

private:
    Stillness(Qmp& qmp, u64 begun_ns, u64 stopped_ns)
        : qmp_(&qmp), begun_ns_(begun_ns), stopped_ns_(stopped_ns) {}
    Qmp* qmp_;
    u64 begun_ns_;
    u64 stopped_ns_;
};

Result<void> write_state(Qmp& qmp, const std::string& file);
/// Into a QEMU that waits for it; returns when the guest runs.
Result<void> load_state(Qmp& qmp, const std::string& file);

/// Where device states are kept inside QEMU.
struct StateStore {
    std::string node;  // QEMU's name of it
    std::string file;
};
/// Of a machine's moments.
StateStore moments_store(const RuntimeDir& dir, const std::string& machine);
/// Of what is there right before a rewind; only while that lasts.
StateStore before_store(const RuntimeDir& dir, const std::string& machine);

/// Makes it if it is not there; before the guest is stopped.
Result<void> prepare_store(Qmp& qmp, const StateStore& store);
/// Nothing happens if it is not there.
void drop_store(Qmp& qmp, const StateStore& store);
Result<void> keep_state(Qmp& qmp, const StateStore& store, const std::string& tag);
Result<bool> is_state_kept(Qmp& qmp, const StateStore& store, const std::string& tag);
Result<void> take_state_back(Qmp& qmp, const StateStore& store, const std::string& tag);
/// Whether one of the two is still at work, for a process that was killed. What has ended is
/// forgotten, so that the next can begin.
Result<bool> has_job_at_work(Qmp& qmp);

}  // namespace verso::vm
