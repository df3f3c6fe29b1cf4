// Section 13: what each historic fix ended, in the shortest program that shows it.
#include "claims/claim.h"

namespace verso::claims {
namespace {

using mm::Rules;

Rules without(bool Rules::*fix) {
    return rules([fix](Rules& r) { r.*fix = false; });
}

std::vector<Row> fixes_of_the_designs() {
    return {
        by_program({"FX-1",
                    "A shared mapping that may be write-protected must not have write "
                    "permission in vm_page_prot, or the end of a migration hands it out.",
                    "prot_wp_writenotify (the other design off)",
                    "SS: store; REGISTER(WP); WRITEPROTECT; migrate; store", "msg", "silent"},
                   only_writenotify(), neither()),
        by_program({"FX-1", "… also for hugetlb memory.", "prot_wp_writenotify (the other off)",
                    "HS: store; REGISTER(WP); WRITEPROTECT; migrate; store", "msg", "silent"},
                   only_writenotify(), neither()),
        by_program({"FX-1b", "The end of a NUMA hint rebuilds the entry from vm_page_prot, too.",
                    "prot_wp_writenotify (the other design on)",
                    "SS: store; REGISTER(WP); WRITEPROTECT; hint; load; store", "msg", "silent"},
                   mm::mainline(), only_clears_w()),
        by_program({"FX-3",
                    "Setting the bit takes write permission away: a second line of "
                    "defence where a migration ends.",
                    "mkuffd_wp_clears_w (the other design off)",
                    "SS: store; REGISTER(WP); WRITEPROTECT; migrate; store", "msg", "silent"},
                   only_clears_w(), neither()),
        by_program({"FX-3", "… where a marker becomes a page again.",
                    "mkuffd_wp_clears_w (the other design off)",
                    "SS: store; REGISTER(WP); WRITEPROTECT; reclaim; load; store", "msg", "silent"},
                   only_clears_w(), neither()),
        by_program({"FX-3", "… and where COPY brings a protected page.",
                    "mkuffd_wp_clears_w (the other design off)",
                    "SS: REGISTER(MISSING|WP); COPY(WP); store", "msg", "silent"},
                   only_clears_w(), neither()),
    };
}

std::vector<Row> fixes_of_leftovers() {
    return {
        by_program(
            {"FX-4",
             "COPY with MODE_WP protects the page although the mapping may not be "
             "written at the moment.",
             "copy_wp_ignores_vm_write",
             "A: mprotect(READ); REGISTER(MISSING|WP); COPY(WP); mprotect(READ|WRITE); store",
             "msg", "silent"},
            mm::mainline(), without(&Rules::copy_wp_ignores_vm_write)),
        by_program(
            {"FX-5",
             "swapoff finds the entries of a slot although they are protected; it "
             "never ends otherwise.",
             "swap_compare_ignores_u", "A: store; REGISTER(WP); WRITEPROTECT; reclaim; swapoff",
             "done [Pu]", "not run: swapoff: it never ends"},
            mm::mainline(), without(&Rules::swap_compare_ignores_u)),
        by_program({"FX-6",
                    "Protection ends with the registration and does not come back with the "
                    "next one.",
                    "unregister_clears_u",
                    "A: store; REGISTER(WP); WRITEPROTECT; UNREGISTER; REGISTER(WP); store",
                    "silent", "msg"},
                   mm::mainline(), without(&Rules::unregister_clears_u)),
        by_program({"FX-7", "Protection ends with the descriptor: no entry keeps the bit.",
                    "close_clears_u", "A: store; REGISTER(WP); WRITEPROTECT; close; store",
                    "silent [P]", "silent [Pu]"},
                   mm::mainline(), without(&Rules::close_clears_u)),
        by_program(
            {"FX-8", "A child that has no context inherits no protection markers.",
             "fork_drops_markers",
             "SS: store; REGISTER(WP); WRITEPROTECT; DONTNEED; fork; child scan", "[N]", "[K(WP)]"},
            mm::mainline(), without(&Rules::fork_drops_markers)),
        by_program({"FX-9", "Splitting the huge zero page keeps protection for every part.",
                    "huge_zero_split_keeps_u",
                    "A, huge: HUGEPAGE; load; REGISTER(WP); WRITEPROTECT; clear@0; store@1", "msg",
                    "silent"},
                   mm::mainline(), without(&Rules::huge_zero_split_keeps_u)),
        by_program({"FX-10",
                    "A scan finds the bit of a page in swap where it is, and calls the "
                    "page clean.",
                    "scan_reads_swap_u",
                    "A, async: store; REGISTER(WP); arm; reclaim; scan(WRITTEN)", "= 0", "= 1"},
                   mm::mainline(), without(&Rules::scan_reads_swap_u)),
        by_program({"FX-11",
                    "Memory that is moved out of its registration leaves protection "
                    "behind.",
                    "mremap_clears_u", "A: store; REGISTER(WP); WRITEPROTECT; mremap; load@'",
                    "= 1 [P]", "= 1 [Pu]"},
                   mm::mainline(), without(&Rules::mremap_clears_u)),
        by_program({"FX-14",
                    "Protection is a bit of its own; a missing write bit does not survive "
                    "swap.",
                    "u_bit_exists", "A: store; REGISTER(WP); WRITEPROTECT; reclaim; store", "msg",
                    "silent"},
                   mm::mainline(), without(&Rules::u_bit_exists)),
        by_program({"FX-15",
                    "An entry of shared memory that goes away leaves its protection "
                    "behind as a marker.",
                    "markers_exist", "SS: store; REGISTER(WP); WRITEPROTECT; reclaim; store", "msg",
                    "silent"},
                   mm::mainline(), without(&Rules::markers_exist)),
    };
}

std::vector<Row> fixes_of_soft_dirty() {
    return {
        on_model(
            {"FX-2",
             "Un-protecting obeys vm_page_prot, and so every reason for write "
             "notification, soft-dirty among them.",
             "unprotect_uses_page_prot", "SS: store; clear_refs; REGISTER(WP); UNREGISTER; store",
             "silent dirty", "silent undirtied"},
            no_soft_dirty, mm::mainline(), without(&Rules::unprotect_uses_page_prot)),
        on_model({"FX-12",
                  "A mapping whose soft-dirty bits were cleared has no write permission "
                  "in vm_page_prot.",
                  "softdirty_writenotify", "SS: clear_refs; load; store", "silent dirty",
                  "silent undirtied"},
                 no_soft_dirty, mm::mainline(), without(&Rules::softdirty_writenotify)),
        on_model({"FX-13",
                  "can_change_pte_writable() refuses an entry whose next store must "
                  "become soft-dirty.",
                  "can_change_softdirty_test",
                  "SS: store; clear_refs; mprotect(READ); mprotect(READ|WRITE); store",
                  "silent dirty", "silent undirtied"},
                 no_soft_dirty, mm::mainline(), without(&Rules::can_change_softdirty_test)),
    };
}

}  // namespace

Table fixes() {
    Table table{"Historic fixes",
                "Each is a rule that can be switched off; off, it shows in the program. FX-1 and "
                "FX-3 are the two designs of the table above.",
                fixes_of_the_designs()};
    for (const std::vector<Row>& more : {fixes_of_leftovers(), fixes_of_soft_dirty()}) {
        table.rows.insert(table.rows.end(), more.begin(), more.end());
    }
    return table;
}

}  // namespace verso::claims
