// QEMU's own ways of saving a whole running guest, to a file, and how long it stands still for it.
#pragma once

#include <string>

#include "base/result.h"
#include "cli/bench/vm/guests.h"

namespace verso::cli::bench {

enum class Save {
    stopped,     // stop, migrate, cont: what is saved is the moment at which it was asked
    live,        // migrate, cont: the guest runs on meanwhile, and is saved at the end
    background,  // the capability background-snapshot: userfaultfd, as here
};
const char* name_of(Save save);

struct Saved {
    u64 pause_ns = 0;
    u64 whole_ns = 0;  // until the file was complete
    u64 file_bytes = 0;
};
/// The guest goes on afterwards. An error has QEMU's own sentence.
Result<Saved> save_guest(const Stage& stage, const Seat& seat, Save save);

}  // namespace verso::cli::bench
