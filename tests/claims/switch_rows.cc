// Section 15: every switch, with the program that shows it. Those with a claim of their own are
// there again in one line, so that the table is whole.
#include <cerrno>

#include "claims/kept_promises_rows.h"
#include "claims/s2_show.h"

namespace verso::claims {
namespace {

using mm::Rules;

Rules with(bool Rules::*which, bool value) {
    return rules([=](Rules& r) { r.*which = value; });
}

/// A switch that is on in mainline.
Row on_in_mainline(const char* name, bool Rules::*which, const char* claim, const char* program,
                   const char* on, const char* off) {
    return by_program({name, claim, "on (mainline) / off", program, on, off}, mm::mainline(),
                      with(which, false));
}

std::string said(const mm::Outcome& outcome) {
    return outcome.error == 0 ? "done" : outcome.error == EINVAL ? "EINVAL" : "another error";
}

std::string opened_for_user_mode(const mm::Rules& rules) {
    mm::World world(rules);
    return said(world.step({.op = mm::Op::uffd_open, .flags = abi::uffd_user_mode_only}));
}

std::string asked_for_exact_address(const mm::Rules& rules) {
    mm::World world(rules);
    mm::Call api{.op = mm::Op::uffd_api, .address = abi::uffd_api_version};
    api.fd = static_cast<u8>(world.step({.op = mm::Op::uffd_open}).value);
    api.extra = abi::Feature::exact_address;
    return said(world.step(api));
}

/// What PAGEMAP_SCAN or an error says of a call that older kernels lack.
std::vector<Row> release_rows() {
    return {
        by_search(
            {"has_user_mode_only", "5.11: a userfaultfd for faults of the program alone",
             "on (mainline) / off", "userfaultfd(UFFD_USER_MODE_ONLY)", "done", "EINVAL"},
            [] {
                return Verdicts{opened_for_user_mode(mm::mainline()),
                                opened_for_user_mode(with(&Rules::has_user_mode_only, false))};
            },
            "how a program opens its userfaultfd is not in the notation"),
        on_in_mainline("has_minor_hugetlb", &Rules::has_minor_hugetlb,
                       "5.13: MINOR faults of hugetlb memory", "HS: REGISTER(MINOR)", "done",
                       "EINVAL"),
        on_in_mainline("has_minor_shmem", &Rules::has_minor_shmem, "5.14: … of shared memory",
                       "SS: REGISTER(MINOR)", "done", "EINVAL"),
        on_in_mainline("has_file_dontunmap", &Rules::has_file_dontunmap,
                       "5.13: MREMAP_DONTUNMAP of other than anonymous memory",
                       "SS: store; mremap(DONTUNMAP)", "done", "EINVAL"),
        on_in_mainline("has_populate", &Rules::has_populate, "5.14: MADV_POPULATE_READ, _WRITE",
                       "A: POPULATE_WRITE", "done [P]", "EINVAL"),
        on_in_mainline("has_hugetlb_mremap", &Rules::has_hugetlb_mremap,
                       "5.16: hugetlb memory can be moved", "HS: store; mremap", "done", "EINVAL"),
        by_search(
            {"has_exact_address", "5.18: messages that say the address to the byte",
             "on (mainline) / off", "UFFDIO_API(EXACT_ADDRESS)", "done", "EINVAL"},
            [] {
                return Verdicts{asked_for_exact_address(mm::mainline()),
                                asked_for_exact_address(with(&Rules::has_exact_address, false))};
            },
            "no program of the notation asks for that feature"),
        on_in_mainline("has_hugetlb_dontneed", &Rules::has_hugetlb_dontneed,
                       "5.18: MADV_DONTNEED of hugetlb memory", "HS: store; DONTNEED", "done",
                       "EINVAL"),
        on_in_mainline("has_collapse", &Rules::has_collapse, "6.1: MADV_COLLAPSE",
                       "A, huge: store; store@1; COLLAPSE", "done", "EINVAL"),
        on_in_mainline("has_wp_shmem", &Rules::has_wp_shmem, "5.19: shared memory can be protected",
                       "SS: REGISTER(WP)", "done", "EINVAL"),
        on_in_mainline("has_wp_spans_vmas", &Rules::has_wp_spans_vmas,
                       "6.4: one WRITEPROTECT may span mappings",
                       "A, 2 pages: REGISTER(WP); mprotect(READ)@1; WRITEPROTECT", "done",
                       "ENOENT"),
        on_in_mainline("has_continue_wp", &Rules::has_continue_wp, "6.4: CONTINUE can protect",
                       "SS: pwrite; REGISTER(MINOR|WP); CONTINUE(WP)", "done [Pu]", "EINVAL"),
        on_in_mainline("has_pin_check", &Rules::has_pin_check, "6.5: no long pin of shared files",
                       "FS: pin", "EFAULT", "done"),
        on_in_mainline("has_guard_anon", &Rules::has_guard_anon, "6.13: guard regions",
                       "A: GUARD_INSTALL", "done [K(GUARD)]", "EINVAL"),
        on_in_mainline("has_guard_file", &Rules::has_guard_file, "6.15: … in file mappings",
                       "SS: GUARD_INSTALL", "done [K(GUARD)]", "EINVAL"),
        on_in_mainline("has_register_owner_check", &Rules::has_register_owner_check,
                       "about 6.17: another userfaultfd cannot unregister",
                       "A: REGISTER(WP); other UNREGISTER", "EINVAL", "done"),
        on_in_mainline("has_mremap_of_several", &Rules::has_mremap_of_several,
                       "6.17: one mremap may move several mappings",
                       "A, 2 pages: mprotect(READ)@1; mremap", "done", "EFAULT"),
        on_in_mainline("has_wp_unpopulated", &Rules::has_wp_unpopulated,
                       "6.4: feature WP_UNPOPULATED",
                       "A, unpopulated: REGISTER(WP); WRITEPROTECT; store", "msg",
                       "not run: this kernel's userfaultfd lacks features …"),
        on_in_mainline("has_poison", &Rules::has_poison, "6.6: UFFDIO_POISON",
                       "A, poison: REGISTER(MISSING); POISON", "done [K(POISONED)]",
                       "not run: this kernel's userfaultfd lacks features …"),
        on_in_mainline("has_wp_async", &Rules::has_wp_async, "6.7: WP_ASYNC and PAGEMAP_SCAN",
                       "A, async: store; REGISTER(WP); arm", "= 1 [Pu]",
                       "not run: this kernel's userfaultfd lacks features …"),
        on_in_mainline("has_move", &Rules::has_move, "6.8: UFFDIO_MOVE",
                       "A, move: map@'; store@'; REGISTER(MISSING); MOVE", "done [P]",
                       "not run: this kernel's userfaultfd lacks features …"),
    };
}

std::vector<Row> design_rows() {
    return {
        by_program({"prot_wp_writenotify", "design (1)", "on / off, (2) off",
                    "SS: store; REGISTER(WP); WRITEPROTECT; hint; load; store", "msg", "silent"},
                   only_writenotify(), neither()),
        by_program({"mkuffd_wp_clears_w", "design (2), once", "on / off, (1) off",
                    "SS: store; REGISTER(WP); WRITEPROTECT; reclaim; load; store", "msg", "silent"},
                   only_clears_w(), neither()),
        on_model({"wp_site_removal", "design (2), by hand", "complete / without mprotect, (1) off",
                  "SS: store; REGISTER(WP); WRITEPROTECT; mprotect(READ); mprotect(READ|WRITE); "
                  "store",
                  "msg", "silent"},
                 "it has design (1)", by_hand_without(0), by_hand_without(mm::WpSite::mprotect)),
        on_model({"migration_restore", "how a migration ends for an entry that is not WRITE",
                  "by_entry_type / from_vma (mainline), neither design",
                  "SS: store; REGISTER(WP); WRITEPROTECT; migrate; store", "msg", "silent"},
                 "it has design (1)", restoring(mm::MigrationRestore::by_entry_type, neither()),
                 neither()),
        by_search(
            {"migration_two_types", "migration_types: entries say exclusive or not",
             "two / three (mainline)", "A: store; hint; migrate; store", "no fault",
             "one silent fault"},
            [] {
                return Verdicts{
                    store_after_hint_and_migration(with(&Rules::migration_two_types, true)),
                    store_after_hint_and_migration(mm::mainline())};
            },
            needs_model),
        by_search(
            {"migration_o9", "the end of a migration asks can_change_pte_writable()",
             "on / off (mainline)", "A: store; hint; migrate; store", "no fault",
             "one silent fault"},
            [] {
                return Verdicts{store_after_hint_and_migration(with(&Rules::migration_o9, true)),
                                store_after_hint_and_migration(mm::mainline())};
            },
            needs_model),
        by_search(
            {"migration_write_asks_vm_write",
             "a WRITE entry becomes writable only where the mapping may be written (6.1). "
             "No difference can be reached: whatever takes VM_WRITE away turns WRITE entries "
             "into read ones.",
             "on / off (mainline)", "five kinds, all programs of 7 acts, side by side",
             "states are equal"},
            [] {
                u64 differ = 0;
                for (const MemoryKind kind : mm::sync_kinds) {
                    Scope scope{.kind = kind,
                                .registered = false,
                                .acts_max = programs_max,
                                .acts = plain_acts()};
                    const FoundPair found = explore_pair(
                        with(&Rules::migration_write_asks_vm_write, true), mm::mainline(), scope,
                        [](const State& a, const State& b) { return !(a == b); });
                    differ += found.differ + (found.trouble.empty() ? 0U : 1U);
                }
                return only(differ == 0 ? "states are equal" : "states differ");
            },
            needs_model),
        on_model(
            {"migration_clears_sd", "6.16: soft-dirty is cleared where the entry had none",
             "on (mainline) / off", "SS: store; clear_refs; migrate; load", "undirtied", "dirty"},
            no_soft_dirty, mm::mainline(), with(&Rules::migration_clears_sd, false)),
    };
}

/// Whether a page that a load swapped in is writable.
std::string after_swap_in(const mm::Rules& rules) {
    mm::World world(rules);
    world.map(MemoryKind::A, 2);
    world.store(0, 1);
    world.kernel(mm::Op::reclaim, 0);
    world.load(0);
    return world.entry(0).write ? "w=1" : "w=0";
}

std::string after_clear_of(MemoryKind kind, const mm::Rules& rules, bool stored = true) {
    mm::World world(rules);
    world.map(kind, 2);
    stored ? (void)world.store(0, 1) : (void)world.load(0);
    world.open(mm::Feature::sigbus);
    world.register_(0, 2, mm::Mode::wp);
    world.protect(0, 2);
    world.clear(0, 2);
    return world.entry(0).write ? "w=1" : "w=0";
}

Row clear_row(const char* name, bool Rules::*which, bool mainline_value, const char* claim,
              const char* program, MemoryKind kind, bool stored, const char* on, const char* off) {
    return by_search(
        {name, claim, mainline_value ? "on (mainline) / off" : "on / off (mainline)", program, on,
         off},
        [=] {
            return Verdicts{after_clear_of(kind, with(which, true), stored),
                            after_clear_of(kind, with(which, false), stored)};
        },
        "write permission does not show in pagemap");
}

std::vector<Row> protection_rows() {
    return {
        on_model(
            {"unprotect_uses_page_prot", "un-protecting obeys vm_page_prot", "on (mainline) / off",
             "SS: store; clear_refs; REGISTER(WP); UNREGISTER; store", "dirty", "undirtied"},
            no_soft_dirty, mm::mainline(), with(&Rules::unprotect_uses_page_prot, false)),
        clear_row("unprotect_tries_writable", &Rules::unprotect_tries_writable, true,
                  "un-protecting asks can_change_pte_writable()",
                  "A: store; REGISTER(WP); WRITEPROTECT; clear", MemoryKind::A, true, "w=1", "w=0"),
        clear_row("unprotect_upgrades_shared", &Rules::unprotect_upgrades_shared, true,
                  "… also in shared mappings; off in the preset 6.18",
                  "SS: store; REGISTER(WP); WRITEPROTECT; clear", MemoryKind::SS, true, "w=1",
                  "w=0"),
        clear_row("hugetlb_tries_writable", &Rules::hugetlb_tries_writable, false, "… also hugetlb",
                  "HS: store; REGISTER(WP); WRITEPROTECT; clear", MemoryKind::HS, true, "w=1",
                  "w=0"),
        clear_row("o9_shmem_clean_ok", &Rules::o9_shmem_clean_ok, false,
                  "a clean shmem entry may become writable",
                  "SS: load; REGISTER(WP); WRITEPROTECT; clear", MemoryKind::SS, false, "w=1",
                  "w=0"),
        on_model({"can_change_softdirty_test", "the soft-dirty test is the right way round",
                  "on (mainline) / off",
                  "SS: store; clear_refs; mprotect(READ); mprotect(READ|WRITE); store", "dirty",
                  "undirtied"},
                 no_soft_dirty, mm::mainline(), with(&Rules::can_change_softdirty_test, false)),
        by_search(
            {"swapin_w_on_load", "6.12: a load that swaps in may leave the page writable",
             "on (mainline) / off", "A: store; reclaim; load", "w=1", "w=0"},
            [] {
                return Verdicts{after_swap_in(mm::mainline()),
                                after_swap_in(with(&Rules::swapin_w_on_load, false))};
            },
            "write permission does not show in pagemap"),
        on_in_mainline("zap_is_write", &Rules::zap_is_write, "a zap that changes bytes is a write",
                       "A, async: store; REGISTER(WP); arm; DONTNEED; scan", "written", "clean"),
        by_program(
            {"wp_unallocated_excludes_missing", "WP_UNPOPULATED excludes MISSING",
             "off (mainline) / on", "A, unpopulated: REGISTER(MISSING|WP)", "done", "EINVAL"},
            mm::mainline(), with(&Rules::wp_unallocated_excludes_missing, true)),
        on_model({"softdirty_configured", "the kernel tracks soft-dirty pages at all", "on / off",
                  "A: store; clear_refs; store", "silent dirty", "silent undirtied"},
                 "not configured: as off", mm::mainline(),
                 with(&Rules::softdirty_configured, false)),
        on_model({"softdirty_writenotify", "clearing takes write permission out of vm_page_prot",
                  "on (mainline) / off", "SS: clear_refs; load; store", "silent dirty",
                  "silent undirtied"},
                 no_soft_dirty, mm::mainline(), with(&Rules::softdirty_writenotify, false)),
    };
}

Row policy_row(mm::NonePolicy policy, const char* name, const char* program, const char* marker,
               const char* other) {
    return by_program({"none_policy", fmt::format("marker (mainline) / {}", name),
                       fmt::format("marker / {}", name), program, marker, other},
                      mm::mainline(), rules([=](Rules& r) {
                          r.none_policy_anon = policy;
                          r.none_policy_file = policy;
                      }));
}

std::vector<Row> policy_rows() {
    using mm::NonePolicy;
    return {
        policy_row(NonePolicy::unprotected, "unprotected",
                   "A, unpopulated: REGISTER(WP); WRITEPROTECT; store", "msg [Pu]", "silent [P]"),
        policy_row(NonePolicy::fault_path, "fault_path", "A, unpopulated: REGISTER(WP); store",
                   "silent [P]", "msg [Pu]"),
        policy_row(NonePolicy::protected_, "protected", "SS: REGISTER(WP); store", "silent [P]",
                   "msg [Pu]"),
        policy_row(NonePolicy::protected_one, "protected_one", "SS: REGISTER(WP); clear",
                   "done [N]", "done [K(WRITTEN)]"),
    };
}

/// The historic fixes, each with the program of its own row.
std::vector<Row> fix_rows() {
    constexpr std::pair<const char*, const char*> names[] = {{"u_bit_exists", "FX-14"},
                                                             {"markers_exist", "FX-15"},
                                                             {"copy_wp_ignores_vm_write", "FX-4"},
                                                             {"swap_compare_ignores_u", "FX-5"},
                                                             {"unregister_clears_u", "FX-6"},
                                                             {"close_clears_u", "FX-7"},
                                                             {"fork_drops_markers", "FX-8"},
                                                             {"huge_zero_split_keeps_u", "FX-9"},
                                                             {"scan_reads_swap_u", "FX-10"},
                                                             {"mremap_clears_u", "FX-11"}};
    const Table all = fixes();
    std::vector<Row> rows;
    for (const auto& [name, id] : names) {
        for (Row row : all.rows) {
            if (row.id == id) {
                row.id = name;
                row.claim = fmt::format("{}", id);
                row.rule = "on (mainline) / off";
                rows.push_back(std::move(row));
            }
        }
    }
    return rows;
}

}  // namespace

Table switches() {
    Table table{"Every switch", "", design_rows()};
    for (const std::vector<Row>& more :
         {protection_rows(), policy_rows(), fix_rows(), release_rows(), kept_promises_rows()}) {
        table.rows.insert(table.rows.end(), more.begin(), more.end());
    }
    return table;
}

}  // namespace verso::claims
