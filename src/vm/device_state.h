// Everything of a guest that is not its memory: registers, devices, the option ROMs; about 1 MB.
// QEMU writes it as a migration that leaves shared memory out (x-ignore-shared), in two forms:
//
//   a file      what a child's QEMU is started with (migrate-incoming)
//   kept        inside the running QEMU, in a qcow2 file that no guest sees (snapshot-save): the
//               only form that a QEMU can take back into itself (snapshot-load, which also throws
//               away the code that TCG translated from the old memory)
//
// The guest stands still whenever one of these is called.
#pragma once

#include <string>

#include "base/result.h"
#include "vm/qmp.h"

namespace verso::vm {

/// Stops the guest, and lets it go on when it goes, whatever happened.
class Stillness {
public:
    /// Refuses a guest that is not running: it would not be going on afterwards.
    static Result<Stillness> begin(Qmp& qmp);
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

/// `store`: the qcow2 file, made if it is not there; before the guest is stopped.
Result<void> prepare_store(Qmp& qmp, const std::string& store);
Result<void> keep_state(Qmp& qmp, const std::string& tag);
Result<bool> is_state_kept(Qmp& qmp, const std::string& tag);
Result<void> take_state_back(Qmp& qmp, const std::string& tag);

}  // namespace verso::vm
