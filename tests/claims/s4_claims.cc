// S4: protecting what has no entry yet.
#include "claims/scopes.h"

namespace verso::claims {
namespace {

using mm::NonePolicy;

mm::Rules anonymous(NonePolicy which) {
    return rules([which](mm::Rules& r) { r.none_policy_anon = which; });
}

/// The kinds of message that a store at an empty, protected page brings, one after the other, when
/// each is answered (COPY with protection, then un-protecting).
std::string messages(u32 features) {
    mm::World world;
    world.map(MemoryKind::A, 2);
    world.open(features);
    world.register_(0, 2, mm::Mode::missing | mm::Mode::wp);
    world.protect(0, 2);
    const u8 handler = mm::second_thread(world);
    std::string seen;
    mm::Outcome outcome = world.store(0, 1);
    for (unsigned round = 0; outcome.verdict == mm::Verdict::blocked && round < 4; ++round) {
        world.step({.op = mm::Op::uffd_read, .thread = handler, .fd = world.fd});
        for (const mm::Message& message : world.delivered) {
            const bool wp = (message.flags & mm::FaultFlag::wp) != 0;
            seen += fmt::format("{}{}|WRITE", seen.empty() ? "" : ", ", wp ? "WP" : "MISSING");
            mm::Call answer{.op = wp ? mm::Op::uffd_writeprotect : mm::Op::uffd_copy,
                            .thread = handler,
                            .fd = world.fd,
                            .flags = wp ? 0U : 2U,
                            .value = 7};
            answer.length = page_size;
            world.step(answer);
        }
        outcome = world.retry();
    }
    return seen + (outcome.verdict == mm::Verdict::done ? ", then done" : ", and no end");
}

std::vector<Row> bug_rows() {
    return {
        by_program({"S4-01", "WRITEPROTECT has no effect where there is no entry.",
                    "none_policy: unprotected (anonymous memory without the feature) / marker",
                    "A: REGISTER(WP); WRITEPROTECT; store", "silent [P]", "silent [P]"},
                   anonymous(NonePolicy::unprotected), mm::mainline()),
        by_search(
            {"S4-02", "The later store gets an entry that is writable at once.",
             "none_policy = unprotected", "A: REGISTER(WP); WRITEPROTECT; store", "P(w=1, u=0)"},
            [] {
                mm::World world(anonymous(NonePolicy::unprotected));
                world.map(MemoryKind::A, 2);
                world.open(mm::Feature::sigbus);
                world.register_(0, 2, mm::Mode::wp);
                world.protect(0, 2);
                world.store(0, 1);
                const mm::Entry entry = world.entry(0);
                return only(fmt::format("P(w={}, u={})", int{entry.write}, int{entry.uffd_wp}));
            },
            "write permission does not show in pagemap"),
        by_program({"S4-03",
                    "The patch: a missing page of a protected range comes with the bit "
                    "set.",
                    "none_policy: marker / fault_path", "A, unpopulated: REGISTER(WP); store",
                    "silent [P]", "msg [Pu]"},
                   mm::mainline(), anonymous(NonePolicy::fault_path)),
        by_program(
            {"S4-03",
             "… and its gap: un-protecting an empty entry leaves no trace, and the "
             "store is told of all the same.",
             "none_policy: marker / fault_path",
             "A, unpopulated: REGISTER(WP); WRITEPROTECT; clear; store", "silent [P]", "msg [Pu]"},
            mm::mainline(), anonymous(NonePolicy::fault_path)),
        not_shown({"S4-04", "Is it a bug, or a matter of usability?"},
                  "A question of words; what happens is S4-01."),
    };
}

std::vector<Row> work_around_rows() {
    return {
        by_program(
            {"S4-05",
             "Registering for MISSING and WP: the empty page arrives as a missing "
             "one, is filled protected, and the store is told of again.",
             "–",
             "A: REGISTER(MISSING|WP); WRITEPROTECT; store -> msg [N]; COPY(WP) -> done [Pu]; "
             "store -> msg [Pu]; clear -> done [P]; store",
             "silent [P]"},
            mm::mainline(), std::nullopt),
        by_program(
            {"S4-06",
             "Reading every page first: then the zero page is there to be "
             "protected.",
             "none_policy = unprotected", "A: load; REGISTER(WP); WRITEPROTECT; store", "msg [Pu]"},
            anonymous(NonePolicy::unprotected), std::nullopt),
        by_program(
            {"S4-06", "… and MADV_POPULATE_READ does so in one call.", "none_policy = unprotected",
             "A: POPULATE_READ; REGISTER(WP); WRITEPROTECT; store", "msg [Pu]"},
            anonymous(NonePolicy::unprotected), std::nullopt),
        by_search(
            {"S4-07",
             "With two modes the handler knows from the message that the page was "
             "empty.",
             "–", "A: REGISTER(MISSING|WP); WRITEPROTECT; store, each message answered",
             "MISSING|WRITE, WP|WRITE, then done"},
            [] { return only(messages(0)); }, "with SIGBUS for messages the kind does not show"),
        by_program({"S4-08", "Not a good default, hence a feature: off …", "the feature absent",
                    "A: REGISTER(WP); WRITEPROTECT; store", "silent [P]"},
                   mm::mainline(), std::nullopt),
        by_program({"S4-08", "… and on.", "the feature present",
                    "A, unpopulated: REGISTER(WP); WRITEPROTECT; store", "msg [Pu]"},
                   mm::mainline(), std::nullopt),
    };
}

std::vector<Row> later_rows() {
    return {
        by_program({"S4-09",
                    "Page-cache memory loses entries while its pages live on: protection "
                    "must survive without an entry.",
                    "markers_exist", "SS: store; REGISTER(WP); WRITEPROTECT; reclaim; store", "msg",
                    "silent"},
                   mm::mainline(), rules([](mm::Rules& r) { r.markers_exist = false; })),
        by_program({"S4-10",
                    "A feature for it: by markers or in the fault path, protecting first "
                    "gives the same message …",
                    "none_policy: marker / fault_path",
                    "A, unpopulated: REGISTER(WP); WRITEPROTECT; store", "msg [Pu]", "msg [Pu]"},
                   mm::mainline(), anonymous(NonePolicy::fault_path)),
        by_program(
            {"S4-10", "… and not protecting a different one.", "none_policy: marker / fault_path",
             "A, unpopulated: REGISTER(WP); store", "silent [P]", "msg [Pu]"},
            mm::mainline(), anonymous(NonePolicy::fault_path)),
        by_program({"S4-10", "ZEROPAGE cannot protect what it fills.", "–",
                    "A: REGISTER(MISSING|WP); ZEROPAGE(WP)", "EINVAL [N]"},
                   mm::mainline(), std::nullopt),
        by_program({"S4-11",
                    "The feature should exclude MISSING, or a missing fault means two "
                    "things. It does not:",
                    "wp_unallocated_excludes_missing: off (mainline) / on",
                    "A, unpopulated: REGISTER(MISSING|WP)", "done", "EINVAL"},
                   mm::mainline(),
                   rules([](mm::Rules& r) { r.wp_unallocated_excludes_missing = true; })),
        by_search(
            {"S4-11", "… MISSING comes first, then WP.", "–",
             "A, unpopulated: REGISTER(MISSING|WP); WRITEPROTECT; store, each message "
             "answered",
             "MISSING|WRITE, WP|WRITE, then done"},
            [] { return only(messages(mm::Feature::wp_unpopulated)); },
            "with SIGBUS for messages the kind does not show"),
    };
}

}  // namespace

Table unpopulated() {
    Table table{"S4: protecting what has no entry yet", "", bug_rows()};
    for (const std::vector<Row>& more : {work_around_rows(), later_rows()}) {
        table.rows.insert(table.rows.end(), more.begin(), more.end());
    }
    return table;
}

}  // namespace verso::claims
