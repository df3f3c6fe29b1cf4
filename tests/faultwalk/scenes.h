// Where the scenes are kept, by who takes part in them.
#pragma once

#include "faultwalk/walk.h"

namespace verso::faultwalk {

std::vector<Scene> local_scenes();       // verbs of one process
std::vector<Scene> background_scenes();  // what threads do behind the verbs; endings
std::vector<Scene> remote_scenes();      // export and import, attach and lend, orphans
std::vector<Scene> chain_scenes();       // the verbs on what another process made or lent

// Verbs, and what they are tried on, that more than one of these files needs.
Result<void> snapshot_into(Held& of, Moment& into);
Result<void> rewind(Held& held, Moment& moment);
Result<void> discard(Held& held, PageRange range);
Result<void> show(const Moment& moment);
Result<void> fork_and_use(Moment& moment, Held& into);
Result<void> ask_written(World& world, Held& held);
Result<void> ask_memory(World& world, Held& held);
/// Exports and imports: both ends are played here.
Result<void> exchange(World& world, Moment& moment, Held& into);
void with_imported(World& world);  // region, moment, and its child by export
void with_orphan(World& world);    // child, whose source was killed
void with_loan(World& world);      // region, attached; its memory is world.own
Result<void> snapshot_loan(World& world);

}  // namespace verso::faultwalk
