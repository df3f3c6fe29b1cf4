// S0: obey vm_page_prot, or take write permission away site by site.
#include "claims/scopes.h"

namespace verso::claims {
namespace {

/// States under `with` that taking the bit away by hand at every site would change.
std::string needless(const mm::Rules& with) {
    u64 pairs = 0;
    u64 differ = 0;
    for (const MemoryKind kind : mm::sync_kinds) {
        const FoundPair found =
            explore_pair(with, by_hand_without(0, with), sync_scope(kind),
                         [](const State& one, const State& two) { return !(one == two); });
        pairs += found.states;
        differ += found.differ;
    }
    return differ == 0 ? fmt::format("no state of {} changes", pairs) : "states change";
}

std::string four_on(MemoryKind kind) {
    u64 states = 0;
    for (const mm::Rules& with : four_designs) {
        const Found found = explore(with, sync_scope(kind));
        if (!found.trouble.empty()) {
            return found.program;
        }
        states += found.states;
    }
    return fmt::format("nothing in {} states", states);
}

/// What each site left out alone lets through.
std::string each_site_left_out() {
    std::string text;
    for (const Site& site : sites) {
        const Found found =
            explore(by_hand_without(site.bit), Scope{.kind = MemoryKind::SS,
                                                     .stored_first = site.bit != mm::WpSite::copy,
                                                     .acts = sync_acts()});
        text += fmt::format("{}{}: {}", text.empty() ? "" : " · ", site.name, said(found));
    }
    return text;
}

struct Adder {
    const char* name;
    u8 bit;
    std::vector<std::string_view> more;  ///< acts without which nobody comes past it
};

/// Paths that add write permission, each left out: nothing changes but faults, and each is met. The
/// fault that VP12 saves comes within the same store, so that no state shows it.
std::string each_adder_left_out() {
    using Site = mm::WriteSite;
    const Adder adders[] = {
        {"VP12", Site::first_write, {}},   {"VP13", Site::swap_in, {}},
        {"VP14", Site::file_fault, {}},    {"VP15", Site::fill, {"COPY"}},
        {"VP16", Site::migration_end, {}}, {"VP17", Site::unprotect, {}},
        {"VP18", Site::numa_hint, {}},     {"VP19", Site::move, {"MOVE away and back"}}};
    std::string without_faults;
    for (const Adder& adder : adders) {
        u64 faults = 0;
        for (const MemoryKind kind : mm::sync_kinds) {
            Scope scope = sync_scope(kind);
            for (const std::string_view name : adder.more) {
                scope.acts.push_back(acts_named({name}).front());
            }
            scope.features |= adder.bit == Site::move ? abi::Feature::move : 0;
            mm::Rules lazy = only_writenotify();
            lazy.write_forgotten = adder.bit;
            const FoundPair found = explore_pair(only_writenotify(), lazy, scope);
            if (!found.trouble.empty()) {
                return fmt::format("{}: {}", adder.name, found.program);
            }
            faults += found.slower;
        }
        without_faults +=
            faults != 0 || adder.bit == Site::first_write ? "" : fmt::format(" {}", adder.name);
    }
    return without_faults.empty() ? "outcomes are equal; only faults are added"
                                  : "nothing changes at all without" + without_faults;
}

/// Which design covers a site that nobody takes care of by hand.
std::string covered_by() {
    std::string text;
    for (const Site& site : sites) {
        Scope scope{.kind = MemoryKind::SS,
                    .stored_first = site.bit != mm::WpSite::copy,
                    .acts = sync_acts()};
        const bool one =
            explore(by_hand_without(site.bit, only_writenotify()), scope).trouble.empty();
        const bool two = explore(by_hand_without(site.bit, only_clears_w()), scope).trouble.empty();
        text += fmt::format("{}{}: {}", text.empty() ? "" : " · ", site.name,
                            one && two ? "(1), (2)"
                            : one      ? "(1)"
                            : two      ? "(2)"
                                       : "nobody");
    }
    return text;
}

Found without_migration(const mm::Rules& with) {
    return explore(with, Scope{.kind = MemoryKind::SS,
                               .acts = acts_named({"store", "load", "WRITEPROTECT", "hint"})});
}

Verdicts default_on_obeyed() { return {needless(only_writenotify()), needless(neither())}; }
Verdicts writable_and_protected() {
    Scope scope = sync_scope(MemoryKind::SS);
    scope.holds = no_writable_protected;
    return {said(explore(mm::mainline(), scope)), said(explore(neither(), scope))};
}
Verdicts price_of_un_protecting() {
    mm::Rules lazy = mm::mainline();
    lazy.unprotect_tries_writable = false;
    u64 faults = 0;
    for (const MemoryKind kind : mm::sync_kinds) {
        const FoundPair found = explore_pair(mm::mainline(), lazy, sync_scope(kind));
        if (!found.trouble.empty()) {
            return only(found.program);
        }
        faults += found.slower;
    }
    return {"outcomes are equal",
            faults != 0 ? "outcomes are equal; stores take faults more" : "no fault more"};
}

const char* const outside = "a search, made on the model";

std::vector<Row> first_half() {
    return {
        by_search({"S0-01",
                   "Nothing but the bit itself ever takes write permission out of an entry "
                   "that was built from vm_page_prot.",
                   "prot_wp_writenotify", "all programs of 7 acts, five kinds",
                   "no state of … changes", "states change"},
                  default_on_obeyed, outside),
        by_search({"S0-02",
                   "Write-protecting shared memory broke that: single entries had to be "
                   "read-only under a writable default.",
                   "both designs / neither", "SS, all programs of 7 acts: P(w=1, u=1)",
                   "nothing in … states", "WRITEPROTECT; migrate"},
                  writable_and_protected, outside),
        by_search(
            {"S0-03",
             "Anonymous memory was never affected: its default has no write "
             "permission.",
             "all four combinations", "A, all programs of 7 acts: a store that goes unseen",
             "nothing in … states"},
            [] { return only(four_on(MemoryKind::A)); }, outside),
        by_program({"S0-04",
                    "Design (1): read-only by default, the paths that may add write "
                    "permission do.",
                    "prot_wp_writenotify (the other design off)",
                    "SS: store; REGISTER(WP); WRITEPROTECT; migrate; store", "msg", "silent"},
                   only_writenotify(), neither()),
        by_program({"S0-04", "… and it covers what has nothing to do with migration.",
                    "prot_wp_writenotify (the other design off)",
                    "SS: store; REGISTER(WP); WRITEPROTECT; hint; load; store", "msg", "silent"},
                   only_writenotify(), neither()),
        by_search({"S0-05",
                   "(1) wants can_change_pte_writable() where keeping write permission "
                   "saves a fault; it changes nothing else.",
                   "unprotect_tries_writable", "all programs of 7 acts, five kinds, side by side",
                   "outcomes are equal", "outcomes are equal; stores take faults more"},
                  price_of_un_protecting, outside),
        by_search(
            {"S0-06",
             "Design (2) by hand: every place that maps a page again takes write "
             "permission away; one that is forgotten loses a write.",
             "wp_site_removal: complete / one site left out", "SS, all programs of 7 acts",
             "nothing in … states", "…"},
            [] {
                return Verdicts{said(explore(by_hand_without(0), sync_scope(MemoryKind::SS))),
                                each_site_left_out()};
            },
            outside),
    };
}

std::vector<Row> second_half() {
    return {
        by_program({"S0-07",
                    "Taking write permission away when the bit is set covers what sets it "
                    "anew …",
                    "mkuffd_wp_clears_w (the other design off)",
                    "SS: store; REGISTER(WP); WRITEPROTECT; migrate; store", "msg", "silent"},
                   only_clears_w(), neither()),
        by_program({"S0-07", "… but not an entry that is rebuilt with the bit already there.",
                    "prot_wp_writenotify on top of it / mkuffd_wp_clears_w alone",
                    "SS: store; REGISTER(WP); WRITEPROTECT; hint; load; store", "msg", "silent"},
                   mm::mainline(), only_clears_w()),
        by_search(
            {"S0-08", "A forgotten site costs a fault under (1) and a write under (2).",
             "(1), an adding path left out, VP12 to VP19 in turn (VP12's fault comes within the "
             "same store) / (2) by hand, a removing site left out",
             "all programs of 7 acts", "outcomes are equal; only faults are added", "…"},
            [] {
                return Verdicts{each_adder_left_out(), each_site_left_out()};
            },
            outside),
        by_search(
            {"S0-09", "(2) can be made to work nevertheless.", "(1) off, wp_site_removal complete",
             "SS and HS, all programs of 7 acts", "nothing in … states"},
            [] {
                Found found = explore(by_hand_without(0), sync_scope(MemoryKind::SS));
                if (found.trouble.empty()) {
                    const Found huge = explore(by_hand_without(0), sync_scope(MemoryKind::HS));
                    found.trouble = huge.trouble;
                    found.program = huge.program;
                    found.states += huge.states;
                }
                return only(said(found));
            },
            outside),
        by_search(
            {"S0-10",
             "What is chosen must be applied wherever a page is mapped again. The "
             "sites, and the design that covers each when nobody does by hand:",
             "wp_site_removal, one site left out, on top of (1) or (2)",
             "SS, all programs of 7 acts",
             "migration: (1), (2) · NUMA hint: (1) · mprotect: (1) · refault: (1), (2) · "
             "COPY: (1), (2)"},
            [] { return only(covered_by()); }, outside),
        by_search(
            {"S0-11",
             "Migration is nothing special: the NUMA path uses the default in the "
             "same way.",
             "prot_wp_writenotify (the other design on)",
             "SS, all programs of 7 acts without migration", "nothing in … states", "…"},
            [] {
                return Verdicts{said(without_migration(mm::mainline())),
                                said(without_migration(only_clears_w()))};
            },
            outside),
        not_shown({"S0-12",
                   "The answer: take (1), for an exception that is written down is no less "
                   "of a trap."},
                  "A judgement; what it rests on is S0-08."),
    };
}

}  // namespace

Table vm_page_prot() {
    Table table{"S0: obey vm_page_prot, or take write permission away site by site", "",
                first_half()};
    const std::vector<Row> rest = second_half();
    table.rows.insert(table.rows.end(), rest.begin(), rest.end());
    return table;
}

}  // namespace verso::claims
