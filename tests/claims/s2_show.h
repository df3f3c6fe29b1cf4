// What the rows of S2 need that is more than a program.
#pragma once

#include <initializer_list>
#include <string>

#include "claims/scopes.h"

namespace verso::claims {

using Holds = std::string (*)(const State&, const mm::Rules&);

inline constexpr mm::MigrationRestore every_restore[] = {mm::MigrationRestore::from_vma,
                                                         mm::MigrationRestore::uffd_special_case,
                                                         mm::MigrationRestore::by_entry_type};
mm::Rules restoring(mm::MigrationRestore how, mm::Rules base = mm::mainline());

/// S2-01: what a snapshot's reader finds that copies a page only when it is written.
std::string snapshot_reads(const mm::Rules& with);
/// S2-02: many spaces, random stores, snapshots and migrations, until a store goes unseen.
std::string under_load(const mm::Rules& with);
/// S2-06: an invariant over all states; "on" is both designs with every way of restoring and either
/// set of entry types, "off" the other designs.
Verdicts bits_under_every_design(Holds holds);
/// S2-10: begin, fail, as before.
std::string failing_restores_everything(std::initializer_list<mm::Rules> designs);
/// S2-11: writeback between the steps of a migration.
std::string writeback_in_between(const mm::Rules& with);
/// S2-13, S2-18, S2-23, S2-25: single paths.
std::string read_entry_comes_back_writable();
std::string merged_soft_dirty();
std::string store_after_hint_and_migration(const mm::Rules& with);
std::string hint_through_migration();
/// S2-15: vm_page_prot is what section 2 says, in every state.
std::string defaults_follow_the_table();
/// S2-26: states without the bit that a way of restoring changes, against from_vma.
std::string changes_without_the_bit(mm::MigrationRestore how);

}  // namespace verso::claims
