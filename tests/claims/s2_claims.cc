// S2: a read-only page becomes writable when its migration ends.
#include "claims/engine_show.h"
#include "claims/s2_show.h"

namespace verso::claims {
namespace {

using mm::MigrationRestore;

const char* const outside = "a search, made on the model";

std::vector<Row> report_rows() {
    return {
        by_search(
            {"S2-01",
             "Memory of snapshots does not match: a reader finds what was stored "
             "after its snapshot.",
             "both designs / neither",
             "SS: store(1); REGISTER(WP); WRITEPROTECT; migrate; store(2); read the snapshot",
             "told, the snapshot reads 1", "not told, the snapshot reads 2"},
            [] {
                return Verdicts{snapshot_reads(mm::mainline()), snapshot_reads(neither())};
            },
            "its steps are FX-1, which is run there"),
        by_search(
            {"S2-01", "… and by the engine itself, unmodified, on a kernel of these rules.",
             "both designs / neither",
             "a region: store(1); snapshot; migrate; store(2); fork; the child loads",
             "the child reads 1", "the child reads 2"},
            [] {
                return Verdicts{child_of_the_engine_reads(mm::mainline()),
                                child_of_the_engine_reads(neither())};
            },
            "as above"),
        by_search(
            {"S2-02",
             "Many machines that snapshot all the time fail within minutes. Scaled "
             "down: 80 spaces of 16 pages, a snapshot every 64 stores, a migration "
             "every 200.",
             "both designs / neither", "SS, 200000 random stores", "no mismatch in … stores",
             "the first mismatch after … stores"},
            [] {
                return Verdicts{under_load(mm::mainline()), under_load(neither())};
            },
            "its load is 20 GiB of memfd for minutes"),
        by_search(
            {"S2-02", "… either design alone is enough for migration.", "only (1) / only (2)",
             "SS, 200000 random stores", "no mismatch in … stores", "no mismatch in … stores"},
            [] {
                return Verdicts{under_load(only_writenotify()), under_load(only_clears_w())};
            },
            "as above"),
        by_search(
            {"S2-03", "Pages were written through although the bit was set in their entries.",
             "both designs / neither", "SS, all programs of 7 acts: P(w=1, u=1)",
             "nothing in … states", "P(w=1, u=1): WRITEPROTECT; migrate"},
            [] {
                Scope scope = sync_scope(MemoryKind::SS);
                scope.holds = no_writable_protected;
                const Found off = explore(neither(), scope);
                return Verdicts{said(explore(mm::mainline(), scope)),
                                off.trouble + ": " + off.program};
            },
            "write permission does not show in pagemap"),
        by_program({"S2-04",
                    "The end of a migration took care of write permission for WRITE "
                    "entries only.",
                    "preset 6.2 / preset 5.19",
                    "SS: store; REGISTER(WP); WRITEPROTECT; migrate; store", "msg", "silent"},
                   *mm::preset("6.2"), *mm::preset("5.19")),
        by_program({"S2-04", "… the same for hugetlb.", "preset 6.2 / preset 5.19",
                    "HS: store; REGISTER(WP); WRITEPROTECT; migrate; store", "msg", "silent"},
                   *mm::preset("6.2"), *mm::preset("5.19")),
        by_program(
            {"S2-04", "… a THP of anonymous memory does not suffer, by its private default.",
             "preset 6.2 / preset 5.19",
             "A, huge: HUGEPAGE; store; REGISTER(WP); WRITEPROTECT; migrate; store", "msg", "msg"},
            *mm::preset("6.2"), *mm::preset("5.19")),
    };
}

std::vector<Row> remedy_rows() {
    const mm::Rules by_type = restoring(MigrationRestore::by_entry_type, neither());
    const mm::Rules special = restoring(MigrationRestore::uffd_special_case, neither());
    return {
        by_program({"S2-05",
                    "First remedy: take write permission away for every entry that is not "
                    "WRITE. It cures migration …",
                    "migration_restore: by_entry_type / from_vma (neither design)",
                    "SS: store; REGISTER(WP); WRITEPROTECT; migrate; store", "msg", "silent"},
                   by_type, neither()),
        on_model({"S2-05", "… and not the NUMA path.",
                  "migration_restore: by_entry_type / from_vma (neither design)",
                  "SS: store; REGISTER(WP); WRITEPROTECT; hint; load; store", "silent", "silent"},
                 "no release has neither design", by_type, neither()),
        by_search(
            {"S2-06", "No entry is both protected and writable (I1) …",
             "both, each way to restore / neither · only (1) · only (2)",
             "five kinds, all programs of 7 acts: P(w=1, u=1)", "nothing in … states",
             "WRITEPROTECT; migrate · nothing in … states · WRITEPROTECT; mprotect(READ); "
             "mprotect(READ|WRITE)"},
            [] { return bits_under_every_design(no_writable_protected); }, outside),
        by_search(
            {"S2-06", "… and no migration entry that remembers write permission is protected (I2).",
             "both, each way to restore / neither · only (1) · only (2)",
             "five kinds, all programs of 7 acts: M(WRITE, u=1)", "nothing in … states",
             "WRITEPROTECT; migrate; migrate begins · nothing in … states · WRITEPROTECT; "
             "mprotect(READ); mprotect(READ|WRITE); migrate begins"},
            [] { return bits_under_every_design(no_protected_write_entry); }, outside),
        by_program({"S2-07",
                    "mprotect is a property of the mapping, and vm_page_prot follows it: "
                    "the signal never fails to come …",
                    "both designs / neither",
                    "SS: store; REGISTER(WP); WRITEPROTECT; mprotect(READ); migrate; store",
                    "SIGSEGV", "SIGSEGV"},
                   mm::mainline(), neither()),
        by_program({"S2-07",
                    "… the other direction was real: mprotect over protected entries gave "
                    "write permission.",
                    "both designs / neither",
                    "SS: store; REGISTER(WP); WRITEPROTECT; mprotect(READ); mprotect(READ|WRITE); "
                    "store",
                    "msg", "silent"},
                   mm::mainline(), neither()),
        by_program({"S2-08", "Anonymous memory cannot suffer.", "both designs / neither",
                    "A: store; REGISTER(WP); WRITEPROTECT; migrate; store", "msg", "msg"},
                   mm::mainline(), neither()),
        by_program(
            {"S2-08", "… nor can private copies of a file's pages.", "both designs / neither",
             "SP: store; REGISTER(WP); WRITEPROTECT; migrate; store", "msg", "msg"},
            mm::mainline(), neither()),
        by_program({"S2-09", "It begins with 5.19; before, shared memory cannot be protected.",
                    "preset 5.19 / preset 5.7", "SS: REGISTER(WP)", "done", "EINVAL"},
                   *mm::preset("5.19"), *mm::preset("5.7")),
        by_program({"S2-12",
                    "Counter-proposal: take write permission away only where the bit is "
                    "set.",
                    "migration_restore: uffd_special_case / from_vma (neither design)",
                    "SS: store; REGISTER(WP); WRITEPROTECT; migrate; store", "msg", "silent"},
                   special, neither()),
    };
}

std::vector<Row> window_rows() {
    return {
        by_search(
            {"S2-10",
             "A failed migration, also to a device, leaves the entry as it was, whether the device "
             "finds the page held or gives it up at the end. (Drivers take no hugetlb pages.)",
             "each design that keeps I9 / neither",
             "seven kinds (files: async), armed or not, three ways to fail",
             "the entry as before in 102 runs; hugetlb refused in 24",
             "SS, armed, migration: w 0 → 1, u 1 → 1"},
            [] {
                return Verdicts{failing_restores_everything(
                                    {only_writenotify(), only_clears_w(), mm::mainline()}),
                                failing_restores_everything({neither()})};
            },
            needs_model),
        by_search(
            {"S2-11",
             "Cleaning a page for writeback in the middle of a migration loses nothing, also where "
             "a driver unlocks the page before its entries are restored.",
             "both designs / neither",
             "SS and FS (async), all programs of 7 acts with the steps of a driver's migration",
             "nothing in … states; in … a waiting entry's page is being written", "…; store"},
            [] {
                return Verdicts{writeback_in_between(mm::mainline()),
                                writeback_in_between(neither())};
            },
            outside),
    };
}

std::vector<Row> default_rows() {
    return {
        by_search(
            {"S2-13",
             "A READ entry may rightly come back writable, when the mapping was "
             "changed meanwhile.",
             "–", "SS: store; migrate begins; mprotect(READ); mprotect(READ|WRITE); migrate ends",
             "entry READ, then w=1, no invariant broken"},
            [] { return only(read_entry_comes_back_writable()); }, needs_model),
        by_search(
            {"S2-14",
             "Restoring exactly what was there is safest? Both ways agree on all that "
             "can be observed where nothing is protected.",
             "migration_restore: from_vma and by_entry_type, side by side",
             "five kinds, all programs of 7 acts without protection",
             "outcomes are equal in … states"},
            [] {
                u64 states = 0;
                for (const MemoryKind kind : mm::sync_kinds) {
                    Scope scope{.kind = kind,
                                .registered = false,
                                .acts_max = programs_max,
                                .acts = plain_acts()};
                    scope.holds = invariant;
                    const FoundPair pair = explore_pair(
                        mm::mainline(), restoring(MigrationRestore::by_entry_type), scope);
                    const Found one = explore(mm::mainline(), scope);
                    const Found two = explore(restoring(MigrationRestore::by_entry_type), scope);
                    for (const Found& found : {Found(pair), one, two}) {
                        if (!found.trouble.empty()) {
                            return only(found.trouble + ": " + found.program);
                        }
                    }
                    states += pair.states;
                }
                return only(fmt::format("outcomes are equal in {} states", states));
            },
            outside),
        by_search(
            {"S2-15",
             "vm_page_prot is the default: private never has write permission, "
             "shared memory with write notification neither.",
             "–", "seven kinds, all programs of 7 acts that change mappings",
             "nothing in … states"},
            [] { return only(defaults_follow_the_table()); }, needs_model),
        by_search(
            {"S2-16",
             "Protection is the exception: the default says write, single entries "
             "must not.",
             "prot_wp_writenotify (the other design on)",
             "SS, all programs of 7 acts: W in vm_page_prot", "nothing in … states", "store"},
            [] {
                Scope scope = sync_scope(MemoryKind::SS);
                scope.holds = no_default_write;
                return Verdicts{said(explore(mm::mainline(), scope)),
                                said(explore(only_clears_w(), scope))};
            },
            needs_model),
    };
}

std::vector<Row> swap_rows() {
    return {
        on_model({"S2-17", "Soft-dirty is no exception, its tracking is in the default.",
                  "migration_restore: from_vma / by_entry_type",
                  "SS: store; clear_refs; migrate; store", "silent dirty", "silent dirty"},
                 no_soft_dirty, mm::mainline(), restoring(MigrationRestore::by_entry_type)),
        by_search(
            {"S2-18",
             "A merge may make a mapping soft-dirty again and so writable by "
             "default; that misses nothing.",
             "–", "SS: store; clear_refs; map a part anew, so that it merges; migrate; store",
             "clean, merged and soft-dirty, w=1 after migration, the store shows"},
            [] { return only(merged_soft_dirty()); }, no_soft_dirty),
        by_program({"S2-19",
                    "swapoff rebuilds entries in the same way, but only in private "
                    "mappings.",
                    "both designs / neither",
                    "A: store; REGISTER(WP); WRITEPROTECT; reclaim; swapoff; store", "msg [Pu]",
                    "msg [Pu]"},
                   mm::mainline(), neither()),
        by_program({"S2-19", "… private copies of shmem pages are such.", "both designs / neither",
                    "SP: store; REGISTER(WP); WRITEPROTECT; reclaim; swapoff; store", "msg [Pu]",
                    "msg [Pu]"},
                   mm::mainline(), neither()),
        by_program({"S2-20",
                    "shmem has its own swap: a shared mapping's entry is a marker or "
                    "empty, never a swap entry …",
                    "both designs / neither", "SS: store; REGISTER(WP); WRITEPROTECT; reclaim",
                    "done [K(WP)]", "done [K(WP)]"},
                   mm::mainline(), neither()),
        on_model({"S2-20", "… and swapoff has no entry to rebuild.", "both designs / neither",
                  "SS: store; REGISTER(WP); WRITEPROTECT; reclaim; swapoff", "done [K(WP)]",
                  "done [K(WP)]"},
                 "its trigger looks for entries in swap, and there are none", mm::mainline(),
                 neither()),
    };
}

std::vector<Row> type_rows() {
    return {
        not_shown({"S2-21",
                   "READ and WRITE entries exist because write permission is meant to "
                   "come from the entry."},
                  "An opinion about intent; what hangs on it is S2-14."),
        by_search(
            {"S2-22",
             "The types could be folded into plain and exclusive, and "
             "can_change_pte_writable() asked.",
             "migration_types: two / three (mainline)",
             "five kinds, all programs of 7 acts, side by side",
             "outcomes are equal in … states; … with one silent fault more"},
            [] {
                mm::Rules two = mm::mainline();
                two.migration_two_types = true;
                u64 states = 0;
                u64 slower = 0;
                for (const MemoryKind kind : mm::sync_kinds) {
                    const FoundPair found = explore_pair(mm::mainline(), two, sync_scope(kind));
                    if (!found.trouble.empty()) {
                        return only(found.program);
                    }
                    states += found.states;
                    slower += found.slower;
                }
                return only(
                    fmt::format("outcomes are equal in {} states; {} with one silent fault more",
                                states, slower));
            },
            outside),
        by_search(
            {"S2-23",
             "After a hint and a migration the entry is not writable, though it "
             "might be.",
             "migration_o9: on / off (mainline)", "A: store; hint; migrate; store", "no fault",
             "one silent fault"},
            [] {
                const mm::Rules asks = rules([](mm::Rules& r) { r.migration_o9 = true; });
                return Verdicts{store_after_hint_and_migration(asks),
                                store_after_hint_and_migration(mm::mainline())};
            },
            "write permission does not show in pagemap"),
        by_program({"S2-24", "\"Readable\" is a misnomer: the page may allow no access at all.",
                    "–", "SS: store; REGISTER(WP); WRITEPROTECT; mprotect(NONE); migrate; load",
                    "SIGSEGV [Pu]"},
                   mm::mainline(), std::nullopt),
        by_search(
            {"S2-25", "A migration loses a hint that was on the entry, and nothing else.", "–",
             "A: store; REGISTER(WP); WRITEPROTECT; hint; migrate", "PN → M → P, u and sd kept"},
            [] { return only(hint_through_migration()); }, "a hint does not show in pagemap"),
        by_search(
            {"S2-26",
             "A fix for protection should change nothing where nothing is protected. "
             "States without the bit that end otherwise than by from_vma:",
             "migration_restore: uffd_special_case / by_entry_type",
             "five kinds, all programs of 7 acts without protection", "0 of … differ",
             "… of … differ"},
            [] {
                return Verdicts{changes_without_the_bit(MigrationRestore::uffd_special_case),
                                changes_without_the_bit(MigrationRestore::by_entry_type)};
            },
            outside),
    };
}

}  // namespace

Table migration() {
    Table table{"S2: a read-only page becomes writable when its migration ends", "", report_rows()};
    for (const std::vector<Row>& more :
         {remedy_rows(), window_rows(), default_rows(), swap_rows(), type_rows()}) {
        table.rows.insert(table.rows.end(), more.begin(), more.end());
    }
    return table;
}

}  // namespace verso::claims
