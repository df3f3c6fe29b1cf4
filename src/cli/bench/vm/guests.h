// Guests of scripts/guest, under Verso and in plain QEMU, and what is done with either: booted,
// given a load, asked, saved.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/bench/vm/stage.h"
#include "vm/process.h"
#include "vm/qmp.h"
#include "vm/verbs.h"

namespace verso::cli::bench {

/// What a guest of that size is given to hold and to do, so that there is something to save.
struct Load {
    u64 held_mib = 0;     // memory that is not empty and only lies there
    u64 written_mib = 0;  // memory that is rewritten over and over, a MiB a round
};
Load load_for(u64 size_mib);

/// A guest that can be talked to, whoever started its QEMU.
struct Seat {
    std::string name;
    std::string folder;  // with qmp.sock, console.sock, console.log
    vm::ProcessId process;
    std::string file(const char* what) const { return folder + "/" + what; }
};

/// The line that the guest answers, and how its answer begins.
vm::Question who();
Result<void> ask_seat(const Seat& seat, const vm::Question& question);
/// Until the guest has booted and answers.
Result<void> await_boot(const Stage& stage, const Seat& seat);
Result<void> give_load(const Seat& seat, const Load& load, bool working);
Result<vm::Qmp> monitor(const Seat& seat);

// ── under Verso ──────────────────────────────────────────────────────────────────────────────────

Result<Seat> boot_ours(Stage& stage, u64 size_mib);
Result<void> end_ours(const Stage& stage, const std::string& name);

// ── in plain QEMU ────────────────────────────────────────────────────────────────────────────────

enum class Ram {
    own,    // QEMU's default: private anonymous memory
    memfd,  // a shared memfd, as Verso's guests have it
    file,   // a shared file
};
struct PlainPlan {
    u64 size_mib = 0;
    Ram ram = Ram::own;
    std::string memory_file = {};  // Ram::file
    bool incoming = false;         // waits for a device state
};
Result<Seat> start_plain(Stage& stage, const PlainPlan& plan);
void end_plain(const Seat& seat);

}  // namespace verso::cli::bench
