// One running QEMU: starting it with the agent, and finding whom to ask about its memory.
#pragma once

#include <string>

#include "base/result.h"
#include "vm/qmp.h"
#include "vm/record.h"
#include "vm/runtime_dir.h"

namespace verso::vm {

/// Starts QEMU for a machine whose folder exists; `import_socket` is where a child's memory is
/// offered, -1 for a root. Fills record.process.
Result<void> start_machine(const RuntimeDir& dir, Record& record, int import_socket);

/// A running machine's monitor. The error says which of "it has ended" and "it does not answer".
Result<Qmp> monitor_of(const RuntimeDir& dir, const Record& record);

/// Waits until a root's QEMU has mapped its memory, and says so if it never will.
Result<void> await_memory(const RuntimeDir& dir, const Record& record);

/// The socket of whoever keeps this machine's memory. A root's is lent to the page server first if
/// it is not (any more): `lent_anew` tells, because snapshots that an earlier server kept are gone.
Result<std::string> keeper_of(const RuntimeDir& dir, const Record& record, bool& lent_anew);

/// Ends a QEMU that was only just started, and its folder.
void discard_machine(const RuntimeDir& dir, const Record& record);

/// Why a QEMU that has ended ended: the last line that it said.
std::string last_words(const RuntimeDir& dir, const Record& record);

}  // namespace verso::vm
