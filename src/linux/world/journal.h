// Which settings of the machine are changed at the moment, and what they were before, in a file:
// for whoever has the machine's lock next, if this process and its keeper are killed together.
//
// The file is root's, in a folder where only root may write: settings are for root to change, and
// what stands in it is written to wherever it says. It goes with the machine's next boot, as the
// settings do. Where it cannot be written, there is none.
//
// Locks: one of its own, a leaf. Callers hold the machine's lock (machine.h).
#pragma once

#include <string>

namespace verso::host {

inline constexpr const char* journal_path = "/run/verso-machine.undo";

void journal_enter(const std::string& path, const std::string& before);
void journal_strike(const std::string& path);
/// Puts back what somebody else's journal says, and removes it.
void journal_replay();

}  // namespace verso::host
