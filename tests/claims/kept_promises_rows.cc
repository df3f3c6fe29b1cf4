// The rules that no release has yet: what the running kernel does is the verdict with the rule off,
// and docs/findings.md tells what is wrong with it.
#include "claims/kept_promises_rows.h"

#include "check/conform/known.h"
#include "claims/s2_show.h"

namespace verso::claims {
namespace {

using mm::Rules;

struct Verdict {
    bool Rules::*rule;
    const char* kept;
    const char* as_on_618;
    const char* program = nullptr;  // another than that of the finding
};

constexpr Verdict verdicts[] = {
    {&Rules::merge_keeps_u, "msg", "silent"},
    {&Rules::dontunmap_keeps_u, "msg", "silent",
     "SS: REGISTER(WP); WRITEPROTECT; mremap(DONTUNMAP); store"},
    {&Rules::moved_swap_loses_u, "done [S]", "done [Su]"},
    {&Rules::reregister_clears_u, "done [P]", "done [Pu]"},
    {&Rules::unregister_wakes_all, "t1:done", "t1:blocked"},
    {&Rules::ioctls_ask_owner, "ENOENT [Pu]", "done [P]"},
    {&Rules::dropped_copy_is_written, "written [N]", "clean [K(WP)]"},
    {&Rules::empty_hugetlb_is_written, "= 1", "= 0"},
    {&Rules::blind_scan_selects, "done [N]", "done [K(WP)]"},
    {&Rules::failed_scan_arms_nothing, "EPERM [N N]", "EPERM [K(WP) N]"},
    {&Rules::guard_install_ends, "done [K(GUARD)]", "hangs"},
    {&Rules::locked_marker_fault_ends, "done [Puf]", "hangs"},
    {&Rules::fills_leave_guards, "EEXIST [K(GUARD)]", "done [P]"},
    {&Rules::fills_end_with_file, "EFAULT", "done [P]"},
    {&Rules::scan_leaves_guards, "written [K(GUARD)]", "clean [K(GUARD)]"},
    {&Rules::scan_leaves_poison, "written [N]", "clean [K(WP)]"},
    {&Rules::mremap_leaves_neighbour, "msg", "silent",
     "A, 2 pages: store@1; REGISTER(WP); mremap@1; REGISTER(WP)@'; WRITEPROTECT@'; mremap@0; "
     "store@1'"},
    {&Rules::hugetlb_truncation_keeps_u, "done [K(WP)]", "done [N]"},
    {&Rules::huge_shmem_keeps_u, "silent [Pf K(WP)]", "silent [Pf Pf]"},
    {&Rules::huge_shmem_stays_mapped, "silent", "msg"},
    {&Rules::fork_copies_poison, "SIGBUS", "= 0",
     "SS, poison: REGISTER(MISSING); POISON; fork; child load"},
};

const check::Known& finding_of(bool Rules::*rule) {
    for (const check::Known& one : check::known_differences()) {
        if (one.rule == rule) {
            return one;
        }
    }
    VERSO_CHECK(false, "a rule of which nothing is known");
    return check::known_differences().front();
}

const mm::Switch& switch_of(bool Rules::*rule) {
    for (const mm::Switch& one : mm::switches()) {
        if (one.value == rule) {
            return one;
        }
    }
    VERSO_CHECK(false, "a rule without a switch");
    return mm::switches().front();
}

std::string write_under_a_hint(const mm::Rules& rules) {
    mm::World world(rules);
    world.map(MemoryKind::SS, 2);
    world.store(0, 1);
    world.state().threads.push_back(world.state().threads.front());
    world.kernel(mm::Op::numa_scan, 0);
    return world.entry(0).write ? "w=1" : "w=0";
}

}  // namespace

std::vector<Row> kept_promises_rows() {
    std::vector<Row> rows;
    for (const Verdict& one : verdicts) {
        const check::Known& finding = finding_of(one.rule);
        Row row;
        row.id = switch_of(one.rule).name;
        row.claim = fmt::format("{}: {}", finding.name, finding.what);
        row.rule = "on (mended) / off (6.18)";
        row.program = one.program != nullptr ? one.program : std::string(finding.program);
        row.on = one.kept;
        row.off = one.as_on_618;
        row.kernel = row.off;
        Rules off = mm::mainline();
        off.*one.rule = false;
        rows.push_back(by_program(std::move(row), mm::mainline(), off));
    }
    rows.push_back(by_search(
        {"numa_asks_o9", "6.2: a hint keeps no write bit for its fault to bring back",
         "on (mainline) / off", "SS: store; hint", "w=0", "w=1"},
        [] {
            Rules off = mm::mainline();
            off.numa_asks_o9 = false;
            return Verdicts{write_under_a_hint(mm::mainline()), write_under_a_hint(off)};
        },
        "write permission does not show in pagemap"));
    return rows;
}

}  // namespace verso::claims
