// S3: an empty entry of protected memory is protected; two markers. The model alone knows it; the
// running kernel shows what mainline made of it.
#include "check/explore/explore.h"
#include "check/explore/token.h"
#include "claims/scopes.h"

namespace verso::claims {
namespace {

using mm::NonePolicy;
using mm::World;

mm::Rules policy(NonePolicy which) {
    return rules([which](mm::Rules& r) {
        r.none_policy_anon = which;
        r.none_policy_file = which;
    });
}
mm::Rules proposal() { return policy(NonePolicy::protected_); }

/// A row of the proposal's table: mainline / proposal.
Row outcome(const char* id, const char* claim, const char* program, const char* mainline,
            const char* proposed) {
    return by_program({id, claim, "none_policy: marker / protected", program, mainline, proposed},
                      mm::mainline(), proposal());
}

std::vector<Row> protect_rows() {
    return {
        outcome("S3-01", "protect a page that is there", "SS: store; REGISTER(WP); WRITEPROTECT",
                "done [Pu]", "done [Pu]"),
        outcome("S3-02", "protect an empty entry: a marker / nothing to do",
                "SS: REGISTER(WP); WRITEPROTECT", "done [K(WP)]", "done [N]"),
        outcome("S3-03", "protect a marker that says protected: nothing to do",
                "SS: store; REGISTER(WP); WRITEPROTECT; reclaim; WRITEPROTECT", "done [K(WP)]",
                "done [K(WP)]"),
        outcome("S3-04", "protect what was unmapped unprotected: its marker changes over",
                "SS: store; REGISTER(WP); clear; reclaim; WRITEPROTECT", "done [K(WP)]",
                "done [K(WP)]"),
        outcome("S3-05", "unmap a protected page: a marker keeps it",
                "SS: store; REGISTER(WP); WRITEPROTECT; reclaim", "done [K(WP)]", "done [K(WP)]"),
        outcome("S3-06", "unmap an unprotected page: nothing / a marker that says so",
                "SS: store; REGISTER(WP); clear; reclaim", "done [N]", "done [K(WRITTEN)]"),
        outcome("S3-07", "map where a marker says protected",
                "SS: store; REGISTER(WP); WRITEPROTECT; reclaim; load", "= 1 [Pu]", "= 1 [Pu]"),
        outcome("S3-07", "map where a marker says unprotected",
                "SS: store; REGISTER(WP); clear; reclaim; load", "= 1 [P]", "= 1 [P]"),
        outcome("S3-08", "map where there is nothing: unprotected / protected",
                "SS: REGISTER(WP); load", "= 0 [P]", "= 0 [Pu]"),
        outcome("S3 (not in the seed)", "un-protect an empty entry", "SS: REGISTER(WP); clear",
                "done [N]", "done [K(WRITTEN)]"),
    };
}

std::vector<Row> scan_rows() {
    return {
        outcome("S3-16", "scan a marker that says protected",
                "SS, async: store; REGISTER(WP); arm; reclaim; scan", "clean [K(WP)]",
                "clean [K(WP)]"),
        outcome("S3-17", "scan what was unmapped after it was written",
                "SS, async: store; REGISTER(WP); arm; store; reclaim; scan", "written [N]",
                "written [K(WRITTEN)]"),
        outcome("S3-18", "scan an empty entry: written / never mapped, so clean",
                "SS, async: REGISTER(WP); scan", "written [N]", "clean [N]"),
        outcome("S3-19", "scan a page: its bit decides",
                "SS, async: store; REGISTER(WP); arm; store; scan", "written [P]", "written [P]"),
    };
}

const MemoryKind all_sync[] = {MemoryKind::A, MemoryKind::SS, MemoryKind::SP, MemoryKind::HS,
                               MemoryKind::HP};

/// I9 under the proposal: every kind; I10: what is stored to never scans as clean.
std::string contracts() {
    u64 states = 0;
    for (const MemoryKind kind : all_sync) {
        Scope scope = sync_scope(kind);
        scope.features = mm::unpopulated;
        const Found sync = explore(proposal(), scope);
        scope.features = mm::async;
        scope.after_store = [](const State& after) { return !mm::entry_at(after, 0, 0).uffd_wp; };
        const Found async = explore(proposal(), scope);
        for (const Found& found : {sync, async}) {
            if (!found.trouble.empty()) {
                return found.program;
            }
            states += found.states;
        }
    }
    return fmt::format("nothing in {} states", states);
}

/// The same asked of the oracles that remember (mm/history.h), with every act of the explorer: a
/// page that is called clean long after it was stored to counts as well. Guards, poison and
/// FREE are left out: where one goes, or a page in swap is freed, an empty address stays, which the
/// proposal calls protected and so clean; that it would need a marker there, too, is not in it.
std::string contracts_of_history() {
    check::explore::Request request;
    request.rules = "mended,none_policy=protected";
    request.scope = check::explore::parse_scope(
                        "kinds=A+SS+SP+HS+HP,modes=sync+async,steps=5,"
                        "without=POISON+GUARD_INSTALL+FREE")
                        .value();
    request.oracles = check::explore::parse_oracles("I9+I10").value();
    request.workers = 1;
    const auto report = check::explore::explore(request);
    if (!report) {
        return report.error().message;
    }
    return report->found.empty() ? fmt::format("nothing in {} states", report->states)
                                 : report->found.front().litmus;
}

FoundPair side_by_side(const mm::Rules& one, const mm::Rules& two, bool armed_first) {
    FoundPair sum;
    for (const MemoryKind kind : all_sync) {
        Scope scope = sync_scope(kind);
        scope.features = mm::unpopulated;
        scope.armed_first = armed_first;
        // clear and DONTNEED speak of pages that were never armed again: left out.
        scope.acts = acts_named({"store", "load", "WRITEPROTECT", "migrate", "hint", "reclaim",
                                 "swapoff", "mprotect(READ); mprotect(READ|WRITE)"});
        const FoundPair found = explore_pair(one, two, scope);
        if (!found.trouble.empty()) {
            return found;
        }
        sum.states += found.states;
        sum.states_one += found.states_one;
        sum.states_two += found.states_two;
    }
    return sum;
}

std::string one_marker_is_enough() {
    FoundPair sum;
    for (const MemoryKind kind : all_sync) {
        Scope scope = sync_scope(kind);
        scope.features = mm::unpopulated;
        const FoundPair found = explore_pair(proposal(), policy(NonePolicy::protected_one), scope);
        if (!found.trouble.empty()) {
            return found.program;
        }
        sum.states_one += found.states_one;
        sum.states_two += found.states_two;
    }
    return fmt::format("outcomes are equal; {} states with two, {} with one", sum.states_one,
                       sum.states_two);
}

/// Entries that the first arming of two empty pages writes.
std::string first_round(const mm::Rules& with) {
    World world(with);
    world.map(MemoryKind::SS, 2);
    world.open(mm::unpopulated);
    world.register_(0, 2, mm::Mode::wp);
    world.protect(0, 2);
    unsigned written = 0;
    for (u32 at = 0; at < 2; ++at) {
        written += world.entry(at).none() ? 0U : 1U;
    }
    return fmt::format("{} entries written", written);
}

std::vector<Row> debate_rows() {
    return {
        by_search(
            {"S3",
             "Under the proposal no store goes unseen, and what is stored to scans as "
             "written, for every kind.",
             "none_policy = protected", "five kinds, sync and async, all programs of 7 acts",
             "nothing in … states"},
            [] { return only(contracts()); }, "the proposal was not adopted"),
        by_search(
            {"S3",
             "… whatever else is called meanwhile, and however late it is asked. (Not with guards, "
             "poison or FREE: an empty address is what they leave, and that is called clean.)",
             "none_policy = protected", "five kinds, sync and async, all programs of 5 steps",
             "nothing in … states"},
            [] { return only(contracts_of_history()); }, "the proposal was not adopted"),
        by_search(
            {"S3", "Once every page was protected, both polarities tell of the same stores.",
             "none_policy: marker and protected, side by side",
             "five kinds, all programs of 7 acts after a first arming",
             "outcomes are equal in … states"},
            [] {
                const FoundPair found = side_by_side(mm::mainline(), proposal(), true);
                return only(found.trouble.empty()
                                ? fmt::format("outcomes are equal in {} states", found.states)
                                : found.program);
            },
            "the proposal was not adopted"),
        by_search(
            {"S3-09",
             "One marker does: where empty means protected, only its opposite needs "
             "a marker.",
             "none_policy: protected and protected_one, side by side",
             "five kinds, all programs of 7 acts",
             "outcomes are equal; … states with two, … with one"},
            [] { return only(one_marker_is_enough()); }, "the proposal was not adopted"),
        by_program({"S3-10",
                    "MADV_DONTNEED on anonymous memory is like writing zeroes: async, it "
                    "counts as a write.",
                    "zap_is_write", "A, async: store; REGISTER(WP); arm; DONTNEED; scan", "written",
                    "clean"},
                   mm::mainline(), rules([](mm::Rules& r) { r.zap_is_write = false; })),
        not_shown({"S3-11", "Better names would be WP_WRITTEN or WP_RESOLVED."},
                  "A matter of names; the marker does not exist in mainline."),
        outcome("S3-12",
                "Protection would begin with the registration: the first round differs "
                "from later ones.",
                "SS: REGISTER(WP); store", "silent [P]", "msg [Pu]"),
        by_search(
            {"S3-13",
             "Starting with the registration is simplest: the first arming costs "
             "nothing.",
             "none_policy: marker / protected", "SS, 2 pages: REGISTER(WP); WRITEPROTECT",
             "2 entries written", "0 entries written"},
            [] {
                return Verdicts{first_round(mm::mainline()), first_round(proposal())};
            },
            "the proposal was not adopted"),
        by_program({"S3-14",
                    "It needs a feature bit of its own: without WP_UNPOPULATED empty "
                    "anonymous memory cannot be protected …",
                    "the feature absent", "A: REGISTER(WP); WRITEPROTECT; store", "silent [P]"},
                   mm::mainline(), std::nullopt),
        by_program({"S3-14", "… and with it, it can.", "the feature present",
                    "A, unpopulated: REGISTER(WP); WRITEPROTECT; store", "msg [Pu]"},
                   mm::mainline(), std::nullopt),
        not_shown({"S3-15", "It can be added later; start with what is simple."},
                  "A plan, and it was followed: the feature bit came in 6.4."),
    };
}

}  // namespace

Table none_means_protected() {
    Table table{"S3: an empty entry means protected, and two markers",
                "\"On\" is mainline, \"off\" the proposal. K(WRITTEN) is the proposal's second "
                "marker, which says that the address was written.",
                protect_rows()};
    for (const std::vector<Row>& more : {scan_rows(), debate_rows()}) {
        table.rows.insert(table.rows.end(), more.begin(), more.end());
    }
    return table;
}

}  // namespace verso::claims
