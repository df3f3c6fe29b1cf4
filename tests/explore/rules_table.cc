// The searches of docs/explore.md.
#include "explore/rules_table.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "check/explore/token.h"

namespace verso::check::explore {
namespace {

const std::string usual = "kinds=all,modes=sync+async,steps=6";
const std::string neither = "mended,-prot_wp_writenotify,-mkuffd_wp_clears_w";

const char* const introduction = R"(# What the explorer finds

`verso explore` searches all programs of a scope on the model of the kernel (`src/mm`), breadth
first: a state is met once, whatever led there, and what is found first is as short as can be. The
programs are in the notation of `src/check/program/program.h`; docs/mm.md says what the kinds of
memory and the rows (I1 to I10, E-SD8, SC) are. This file is written by `tests/explore`, which
fails if a search comes to something else: `VERSO_UPDATE_DOCS=1 build/release/test_explore`. Times
are of one core of the machine that wrote it, and are not compared.

    verso explore --rules mended,-markers_exist --scope kinds=all,modes=sync+async,steps=6

Before a search is long it says how large it will be, from what the levels so far have
(`--estimate` says only that), and then how far it is. `--checkpoint FILE` is written whenever all
programs of a length are done; after a kill, the same command with `--resume FILE` goes on from
there, to the same counts and findings, and may go further (`steps`) than it was meant to.
`--memory` bounds it: exit code 3 says that the search did not fit. `--coverage` says which rules
would have made a difference. `threads=2` lets a second thread make every call, between any two of
the first one's; it matters with `modes=messages`, where a thread that faults waits. States that
differ in nothing but the numbers of physical pages and swap slots, in which of two threads is
which, or in which of several values was stored (`values=2`), are one state. Pages of the area are
not renamed: a call that walks a range goes upwards, so the first page is not like the last. Every
counterexample comes as a line in the notation and as a token, which `--replay` makes again;
`--write DIR` keeps each as a litmus text that forbids what was seen, and as a C program that tries
it on a running kernel (docs/litmus.md). How fast it is, and SPIN on the same small model:
docs/performance.md.

)";

std::string cell(const std::string& text) {
    std::string escaped;
    for (const char c : text) {
        escaped += c == '|' ? "\\|" : std::string(1, c);
    }
    return escaped;
}

std::string program_of(const Counterexample& one) {
    const std::string text = one.litmus.empty()
                                 ? fmt::format("{}: {}", one.beginning, fmt::join(one.acts, "; "))
                                 : one.litmus;
    return "`" + cell(text) + "`";
}

std::string row_of(const std::string& sentence) { return sentence.substr(0, sentence.find(':')); }

std::string time_of(const Report& report) {
    return report.seconds < 0.001 ? "< 1 ms" : fmt::format("{:.0f} ms", report.seconds * 1000);
}

std::string line_of(const Row& row, const Report& report) {
    const Counterexample& one = report.found.front();
    return fmt::format("| {} | {} | {} | {} | {} | {} | {} |\n", row.about, row_of(one.sentence),
                       program_of(one), one.acts.size(), report.states, row.scope, time_of(report));
}

std::string line_of_difference(const Row& row, const Report& report) {
    if (report.found.empty()) {
        return fmt::format(
            "| {} | nothing differs in any program of {} steps | – | {} | {} | {} "
            "|\n",
            row.about, report.depth, report.states, row.scope, time_of(report));
    }
    const Counterexample& one = report.found.front();
    return fmt::format("| {} | {} | {} | {} | {} | {} |\n", row.about,
                       cell(one.sentence.substr(one.sentence.find(':') + 2)), program_of(one),
                       report.states, row.scope, time_of(report));
}

/// "v1/6.18/…" with other rules.
std::string under(const std::string& rules, const std::string& token) {
    const std::string old = "/6.18/";
    const std::size_t at = token.find(old);
    return token.substr(0, at) + "/" + rules + "/" + token.substr(at + old.size());
}

/// The rule that 6.18 lacks: with it on, the same program breaks nothing. Where several are the
/// reason, each of which is enough, "several".
std::string missing_rule(const Counterexample& one) {
    const auto is_kept = [&](const std::string& rules) {
        const Result<Replay> made = replay(under(rules, one.token));
        return made && made->broken.empty();
    };
    for (const mm::Switch& rule : mm::switches()) {
        if (rule.since == mm::not_yet && is_kept(fmt::format("6.18,+{}", rule.name))) {
            return std::string(rule.name);
        }
    }
    return is_kept("mended") ? "several" : "?";
}

/// Each program once, with every beginning from which it does the same.
std::string lines_of_618(const Row& row, const Report& report) {
    std::vector<std::string> order;
    std::map<std::string, std::vector<std::string>> beginnings;
    for (const Counterexample& one : report.found) {
        const std::string key =
            fmt::format("| {} | {} | {} ", row_of(one.sentence),
                        one.exception ? "known, allowed" : "**broken:** " + missing_rule(one),
                        "`" + cell(fmt::format("{}", fmt::join(one.acts, "; "))) + "`");
        if (!beginnings.contains(key)) {
            order.push_back(key);
        }
        beginnings[key].push_back(one.beginning);
    }
    std::string text;
    for (const std::string& key : order) {
        text += fmt::format("{}| {} |\n", key, fmt::join(beginnings[key], "; "));
    }
    return fmt::format(
        "### `{}`\n\nAll programs of {} steps, {} states; {} steps led out of the "
        "scope's room.\n\n| row | rule that 6.18 lacks | program | begins with "
        "|\n|---|---|---|---|\n{}"
        "\n",
        row.scope, report.depth, report.states, report.outside, text);
}

Row off(const std::string& name, const std::string& scope = usual) {
    return {name, "mended,-" + name, scope};
}
Row differs(const std::string& change, const std::string& scope = usual) {
    return {change, "mended," + change + ":mended", scope};
}

std::vector<Row> rows_of_sites() {
    constexpr std::pair<const char*, unsigned> sites[] = {
        {"migration", 1}, {"NUMA hint", 2}, {"mprotect", 4}, {"refault", 8}, {"COPY", 16}};
    std::vector<Row> rows;
    for (const auto& [name, bit] : sites) {
        rows.push_back({fmt::format("wp_site_removal without {}, neither design", name),
                        fmt::format("{},wp_site_removal={}", neither, 31U & ~bit),
                        "kinds=SS,modes=sync,steps=6", "I9"});
    }
    return rows;
}

}  // namespace

std::vector<Row> rows_of_kept_promises() {
    return {
        off("merge_keeps_u",
            "kinds=A,modes=sync,pages=2,steps=6,"
            "calls=MERGEABLE+POPULATE_WRITE+REGISTER(WP)+WRITEPROTECT+merge+store"),
        off("dontunmap_keeps_u", "kinds=all,modes=sync+async,areas=2,steps=4"),
        off("moved_swap_loses_u",
            "kinds=A,modes=sync,areas=2,steps=7,calls=map+store+REGISTER(WP) there+WRITEPROTECT "
            "there+reclaim there+REGISTER(MISSING)+MOVE"),
        off("reregister_clears_u"),
        off("unregister_wakes_all", "kinds=A,modes=messages,threads=2,steps=5,without=COPY"),
        off("dropped_copy_is_written"),
        off("empty_hugetlb_is_written"),
        off("guard_install_ends"),
        off("scan_leaves_guards"),
        off("scan_leaves_poison"),
        off("mremap_leaves_neighbour",
            "kinds=A,modes=sync,pages=2,areas=2,steps=6,calls=REGISTER(WP)+mremap of a "
            "page+REGISTER(WP) there+WRITEPROTECT there+store"),
    };
}

std::vector<Row> rows_of_rights() {
    return {
        differs("-ioctls_ask_owner", "kinds=A,modes=sync,descriptors=2,steps=5"),
        differs("-blind_scan_selects"),
        differs("-failed_scan_arms_nothing",
                "kinds=SS,modes=async,pages=2,steps=4,calls=REGISTER(WP) of a page+arm+store"),
        differs("-fills_leave_guards"),
        differs("-fills_end_with_file"),
        differs("-hugetlb_truncation_keeps_u"),
        differs("-huge_shmem_keeps_u",
                "kinds=SS,modes=async,pages=2,steps=6,thp=1,calls=store+COLLAPSE+REGISTER(WP)+arm"),
        differs("-huge_shmem_stays_mapped",
                "kinds=SS,modes=sync,pages=2,thp=1,steps=7,"
                "calls=store+COLLAPSE+REGISTER(WP)+UNREGISTER+REGISTER(MINOR)"),
        differs("-fork_copies_poison", "kinds=all,modes=sync+async,processes=2,steps=4"),
        differs("-locked_marker_fault_ends", "kinds=FS+FP,modes=async,steps=4"),
    };
}

std::vector<Row> rows_of_rules() {
    std::vector<Row> rows = {
        off("prot_wp_writenotify"),
        {"prot_wp_writenotify: a lost write", "mended,-prot_wp_writenotify", usual, "I9"},
        {"mkuffd_wp_clears_w, the other design off", neither, usual, "I9"},
        {"migration_restore: by_entry_type, neither design",
         neither + ",migration_restore=by_entry_type", usual, "I9"},
        {"migration_restore: uffd_special_case, neither design",
         neither + ",migration_restore=uffd_special_case", usual, "I9"},
        off("unprotect_uses_page_prot"),
        off("can_change_softdirty_test"),
        off("zap_is_write"),
        off("softdirty_writenotify"),
        off("u_bit_exists"),
        off("markers_exist"),
        off("copy_wp_ignores_vm_write"),
        off("swap_compare_ignores_u"),
        off("unregister_clears_u"),
        off("close_clears_u"),
        off("fork_drops_markers", "kinds=all,modes=sync+async,processes=2,steps=4"),
        off("huge_zero_split_keeps_u", "kinds=A,modes=sync+async,pages=2,steps=6,thp=1"),
        off("scan_reads_swap_u"),
        off("mremap_clears_u", "kinds=all,modes=sync+async,areas=2,steps=4"),
    };
    for (const char* const policy : {"unprotected", "fault_path", "protected", "protected_one"}) {
        const std::string change = fmt::format("none_policy={}", policy);
        rows.push_back({change, "mended," + change, usual});
    }
    for (Row& site : rows_of_sites()) {
        rows.push_back(std::move(site));
    }
    rows.push_back({"the loss of the documents: 5.19, shmem, migration", "5.19",
                    "kinds=SS,modes=sync,steps=6,without=COPY", "I9"});
    return rows;
}

std::vector<Row> rows_of_differences() {
    const std::string two_pages = "kinds=A,modes=sync,pages=2,steps=5";
    return {
        differs("-mkuffd_wp_clears_w"),
        differs("+migration_two_types"),
        differs("+migration_o9"),
        differs("+migration_write_asks_vm_write"),
        differs("-migration_clears_sd"),
        differs("-unprotect_tries_writable"),
        differs("+unprotect_upgrades_shared"),
        differs("+hugetlb_tries_writable"),
        differs("+o9_shmem_clean_ok"),
        differs("-swapin_w_on_load"),
        differs("-numa_asks_o9"),
        differs("+wp_unallocated_excludes_missing"),
        differs("-softdirty_configured"),
        differs("-has_user_mode_only", "kinds=A,modes=sync,descriptors=2,steps=3"),
        differs("-has_minor_hugetlb", "kinds=HS,modes=plain,steps=4"),
        differs("-has_minor_shmem", "kinds=SS,modes=plain,steps=4"),
        differs("-has_file_dontunmap", "kinds=SS,modes=sync,areas=2,steps=3"),
        differs("-has_populate", "kinds=A,modes=sync,steps=4"),
        differs("-has_hugetlb_mremap", "kinds=HS,modes=sync,areas=2,steps=3"),
        differs("-has_exact_address", "kinds=A,modes=sync,steps=3"),
        differs("-has_hugetlb_dontneed", "kinds=HS,modes=sync,steps=4"),
        differs("-has_collapse", "kinds=A,modes=sync,pages=2,steps=4,thp=1"),
        differs("-has_wp_shmem"),
        differs("-has_wp_unpopulated", "kinds=A,modes=plain,steps=4"),
        differs("-has_wp_spans_vmas", two_pages),
        differs("-has_continue_wp"),
        differs("-has_poison"),
        differs("-has_pin_check", "kinds=FS,modes=async,steps=3"),
        differs("-has_wp_async", "kinds=A,modes=sync,steps=4"),
        differs("-has_move", "kinds=A,modes=sync,areas=2,steps=4"),
        differs("-has_guard_anon"),
        differs("-has_guard_file"),
        differs("-has_register_owner_check", "kinds=A,modes=sync,descriptors=2,steps=4"),
        differs("-has_mremap_of_several", "kinds=A,modes=sync,pages=2,areas=2,steps=4"),
    };
}

std::vector<Row> rows_of_618() {
    return {
        {"", "6.18", "kinds=all,modes=sync+async,steps=6"},
        {"", "6.18", "kinds=all,modes=sync+async,fine=1,steps=5"},
        {"", "6.18", "kinds=A+SS+SP,modes=sync+async,areas=2,processes=2,steps=4"},
        {"", "6.18", "kinds=all,modes=sync,pages=2,steps=4,thp=1"},
        {"", "6.18",
         "kinds=A+SS,modes=messages,threads=2,areas=2,steps=7,calls=store+load+"
         "REGISTER+UNREGISTER+WRITEPROTECT+clear+COPY+close+munmap+mremap+messages+"
         "goes on+WAKE+migrate"},
    };
}

Report run(const Row& row) {
    Request request;
    request.rules = row.rules;
    request.scope = parse_scope(row.scope).value();
    request.oracles = parse_oracles(row.oracles).value();
    request.workers = 1;
    request.every = row.about.empty();
    return explore(request).value();
}

std::string document(const std::vector<Report>& reports) {
    std::string text = introduction;
    auto report = reports.begin();
    text +=
        "## A rule off, and the shortest program that shows it\n\n"
        "\"mended\" is 6.18 if it kept every promise, so that what is found is the rule's. "
        "Each search looks at everything that its scope allows and stops at the first program that "
        "breaks an oracle; where the row is I9 alone, the search was for lost writes only, and "
        "passed the invariants that break on the way there.\n\n"
        "| rule that is off | breaks | shortest program | steps | states | scope | time |\n"
        "|---|---|---|---|---|---|---|\n";
    for (const Row& row : rows_of_rules()) {
        text += line_of(row, *report++);
    }
    text +=
        "\n## Rules that break nothing\n\n"
        "They are designs, or say what a release has; whichever way they are, every oracle holds "
        "in the scope. The program is the shortest one whose last step comes to something else "
        "than under plain \"mended\", in its outcome or in the machine. has_wp_unpopulated decides "
        "what a "
        "userfaultfd may be opened with, which is before a program begins.\n\n"
        "| change | last step | shortest program | states | scope | time |\n"
        "|---|---|---|---|---|---|\n";
    for (const Row& row : rows_of_differences()) {
        text += line_of_difference(row, *report++);
    }
    text +=
        "\n## What 6.18 breaks, rule by rule\n\n"
        "The rules that no release has yet (docs/findings.md tells of each; docs/mm.md says what "
        "the "
        "running kernel makes of them), each alone off: the shortest program by which an oracle "
        "finds it.\n\n"
        "| rule that is off | breaks | shortest program | steps | states | scope | time |\n"
        "|---|---|---|---|---|---|---|\n";
    for (const Row& row : rows_of_kept_promises()) {
        text += line_of(row, *report++);
    }
    text +=
        "\nThe others take nothing away that an oracle counts as lost: who may ask for something, "
        "what a guard or a scan is for, false alarms. They are found as the first step that comes "
        "to "
        "something else than under \"mended\". Only locked_marker_fault_ends is out of reach: no "
        "step of a search locks memory (`litmus/findings/locked-marker-hangs.litmus` does).\n\n"
        "| change | last step | shortest program | states | scope | time |\n"
        "|---|---|---|---|---|---|\n";
    for (const Row& row : rows_of_rights()) {
        text += line_of_difference(row, *report++);
    }
    text +=
        "\n## What 6.18 itself does\n\n"
        "Everything that the oracles have to say of the preset 6.18, with the shortest program for "
        "each, the rule with which the same program breaks nothing, and what it begins with. "
        "\"Known, allowed\" are the exceptions that the oracles know "
        "and look away from (`src/mm/history_exceptions.cc`): SD-1 and SD-2 about soft-dirty, "
        "PR-1 about "
        "threads whose range is unmapped as they wait, FG-6 about devices that write through a pin."
        "\n\n";
    for (const Row& row : rows_of_618()) {
        text += lines_of_618(row, *report++);
    }
    return text;
}

std::string without_times(const std::string& document) {
    std::string text;
    for (std::size_t at = 0; at < document.size();) {
        const std::size_t end = std::min(document.find('\n', at), document.size());
        std::string line = document.substr(at, end - at);
        if (line.ends_with(" ms |")) {
            line = line.substr(0, line.rfind("| ", line.size() - 2));
        }
        text += line + "\n";
        at = end + 1;
    }
    return text;
}

}  // namespace verso::check::explore
