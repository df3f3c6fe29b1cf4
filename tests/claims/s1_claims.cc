// S1: un-protecting, soft-dirty, and can_change_pte_writable().
#include <type_traits>

#include "claims/scopes.h"

namespace verso::claims {
namespace {

using mm::World;

const char* w_of(const World& world) { return world.entry(0).write ? "w=1" : "w=0"; }

/// store (or load); REGISTER(WP); WRITEPROTECT; clear: what the entry is then.
std::string after_clear(MemoryKind kind, const mm::Rules& with, bool stored = true,
                        bool forked = false) {
    World world(with);
    world.map(kind, 2);
    stored ? (void)world.store(0, 1) : (void)world.load(0);
    world.open(mm::Feature::sigbus);
    world.register_(0, 2, mm::Mode::wp);
    if (forked) {
        world.step({.op = mm::Op::fork});
    }
    world.protect(0, 2);
    world.clear(0, 2);
    const std::string w = w_of(world);
    const bool silent = world.store(0, 2).verdict == mm::Verdict::done;
    return fmt::format("{}, {}", w,
                       !silent      ? "the store is told of"
                       : w == "w=1" ? "no fault"
                                    : "one silent fault");
}

mm::Rules no_o9() {
    return rules([](mm::Rules& r) { r.unprotect_tries_writable = false; });
}

/// A store must show as soft-dirty, whatever happened before.
Scope soft_dirty_scope(MemoryKind kind) {
    Scope scope{
        .kind = kind, .features = mm::Feature::sigbus, .stored_first = false, .registered = false};
    scope.acts = acts_named({"store", "load", "clear_refs", "REGISTER(WP)", "UNREGISTER",
                             "WRITEPROTECT", "clear", "migrate", "reclaim"});
    scope.acts_max = programs_max;
    scope.after_store = [](const State& after) {
        return mm::entry_at(after, 0, 0).soft_dirty ||
               after.find_vma(0, 0)->has(mm::VmFlag::soft_dirty);
    };
    return scope;
}

mm::Rules old_clear() {
    return rules([](mm::Rules& r) { r.unprotect_uses_page_prot = false; });
}

/// The five steps, in every release that can register the kind: is the store soft-dirty?
std::string five_steps_everywhere() {
    unsigned programs = 0;
    for (const std::string& release : mm::preset_names()) {
        for (const MemoryKind kind : {MemoryKind::A, MemoryKind::SP, MemoryKind::HS}) {
            World world(*mm::preset(release));
            world.map(kind, 2);
            world.store(0, 1);
            world.step({.op = mm::Op::clear_refs});
            world.open(0);
            const bool known = world.register_(0, 2, mm::Mode::wp).verdict == mm::Verdict::done;
            if (!known || world.unregister(0, 2).verdict != mm::Verdict::done) {
                continue;
            }
            world.store(0, 2);
            ++programs;
            const bool dirty = world.entry(0).soft_dirty || kind == MemoryKind::HS;
            if (!dirty) {
                return release;
            }
        }
    }
    return fmt::format("none missed in {} runs", programs);
}

/// set never asks: what it would be told. No entry with u=1 passes.
std::string asks_in_vain(const State& state, const mm::Rules& with) {
    const mm::Vma* const vma = state.find_vma(0, 0);
    const mm::Entry entry = mm::entry_at(state, 0, 0);
    const bool passes = vma->has(mm::VmFlag::uffd_wp) && entry.present() && entry.uffd_wp &&
                        mm::can_change_pte_writable(state, *vma, entry, with);
    return passes ? "a protected entry may become writable" : "";
}

std::string outcomes_equal(const mm::Rules& one, const mm::Rules& two) {
    u64 faults = 0;
    for (const MemoryKind kind : mm::sync_kinds) {
        const FoundPair found = explore_pair(one, two, sync_scope(kind));
        if (!found.trouble.empty()) {
            return found.program;
        }
        faults += found.slower;
    }
    return faults == 0 ? "outcomes are equal, and so are faults"
                       : "outcomes are equal; one has fewer faults";
}

// S1-12: nobody hands change_protection() a protection.
static_assert(std::is_same_v<decltype(&mm::change_protection),
                             void (*)(mm::Machine&, u8, const mm::Vma&, mm::Vpn, mm::Vpn, u8)>);

std::vector<Row> soft_dirty_rows() {
    return {
        on_model(
            {"S1-01",
             "Un-protecting worked the protection out from the mapping's flags and "
             "missed every other reason for write notification.",
             "unprotect_uses_page_prot", "SS: store; clear_refs; REGISTER(WP); UNREGISTER; store",
             "silent dirty", "silent undirtied"},
            no_soft_dirty, mm::mainline(), old_clear()),
        by_search(
            {"S1-02",
             "The five steps after which a stored page is not soft-dirty; fewer do "
             "not do it.",
             "unprotect_uses_page_prot", "SS, all programs of 7 acts, shortest first",
             "nothing in … states", "store; clear_refs; REGISTER(WP); UNREGISTER; store"},
            [] {
                const Scope scope = soft_dirty_scope(MemoryKind::SS);
                return Verdicts{said(explore(mm::mainline(), scope)),
                                said(explore(old_clear(), scope))};
            },
            no_soft_dirty),
        on_model(
            {"S1-03", "The same with protecting and un-protecting.", "unprotect_uses_page_prot",
             "SS: store; clear_refs; REGISTER(WP); WRITEPROTECT; clear; store", "silent dirty",
             "silent undirtied"},
            no_soft_dirty, mm::mainline(), old_clear()),
        by_search(
            {"S1-04",
             "With (1), vm_page_prot says the right thing while the range is "
             "registered.",
             "prot_wp_writenotify", "SS, all programs of 7 acts: W in vm_page_prot",
             "nothing in … states", "store"},
            [] {
                Scope scope = sync_scope(MemoryKind::SS);
                scope.holds = no_default_write;
                return Verdicts{said(explore(mm::mainline(), scope)),
                                said(explore(only_clears_w(), scope))};
            },
            needs_model),
    };
}

const char* const w15 = "write permission does not show in pagemap";

std::vector<Row> o9_rows() {
    return {
        by_search(
            {"S1-05",
             "Shared pages would stay read-only once un-protected; asking "
             "can_change_pte_writable() makes up for it.",
             "unprotect_tries_writable", "SS: store; REGISTER(WP); WRITEPROTECT; clear; store",
             "w=1, no fault", "w=0, one silent fault"},
            [] {
                return Verdicts{after_clear(MemoryKind::SS, mm::mainline()),
                                after_clear(MemoryKind::SS, no_o9())};
            },
            w15),
        by_search(
            {"S1-06", "Private pages gain: they become writable at once …",
             "unprotect_tries_writable", "A: store; REGISTER(WP); WRITEPROTECT; clear; store",
             "w=1, no fault", "w=0, one silent fault"},
            [] {
                return Verdicts{after_clear(MemoryKind::A, mm::mainline()),
                                after_clear(MemoryKind::A, no_o9())};
            },
            w15),
        by_search(
            {"S1-06", "… unless the page is shared since a fork.", "unprotect_tries_writable",
             "A: store; REGISTER(WP); fork; WRITEPROTECT; clear; store", "w=0, one silent fault",
             "w=0, one silent fault"},
            [] {
                return Verdicts{after_clear(MemoryKind::A, mm::mainline(), true, true),
                                after_clear(MemoryKind::A, no_o9(), true, true)};
            },
            w15),
        by_search(
            {"S1-07", "A shared page that was only read is not dirty and stays read-only.",
             "unprotect_tries_writable", "SS: load; REGISTER(WP); WRITEPROTECT; clear; store",
             "w=0, one silent fault", "w=0, one silent fault"},
            [] {
                return Verdicts{after_clear(MemoryKind::SS, mm::mainline(), false),
                                after_clear(MemoryKind::SS, no_o9(), false)};
            },
            w15),
        by_search(
            {"S1-08",
             "shmem could be excepted from can_change_pte_writable(), as it wants no "
             "notification of its own: faults change, outcomes do not.",
             "o9_shmem_clean_ok / off", "all programs of 7 acts, five kinds, side by side",
             "outcomes are equal; one has fewer faults"},
            [] {
                const mm::Rules clean = rules([](mm::Rules& r) { r.o9_shmem_clean_ok = true; });
                return only(outcomes_equal(clean, mm::mainline()));
            },
            w15),
        by_search(
            {"S1-09",
             "hugetlb has no such path: un-protected pages stay read-only until the "
             "next store.",
             "hugetlb_tries_writable / off (mainline)",
             "HS, HP: store; REGISTER(WP); WRITEPROTECT; clear; store", "w=1, no fault",
             "w=0, one silent fault"},
            [] {
                const mm::Rules tries =
                    rules([](mm::Rules& r) { r.hugetlb_tries_writable = true; });
                const std::string on = after_clear(MemoryKind::HS, tries);
                const std::string off = after_clear(MemoryKind::HS, mm::mainline());
                const bool same = on == after_clear(MemoryKind::HP, tries) &&
                                  off == after_clear(MemoryKind::HP, mm::mainline());
                return same ? Verdicts{on, off} : Verdicts{"HS and HP differ", {}};
            },
            w15),
    };
}

std::vector<Row> history_rows() {
    return {
        by_search(
            {"S1-10",
             "It matters only since shared memory can be protected; hugetlb has no "
             "soft-dirty tracking.",
             "every preset", "A, SP, HS: store; clear_refs; REGISTER(WP); UNREGISTER; store",
             "none missed in … runs"},
            [] { return only(five_steps_everywhere()); }, no_soft_dirty),
        by_search(
            {"S1-11", "A corner that is not worth a stable backport.",
             "presets 6.1 and 6.1.191 / 6.3", "unprotect_uses_page_prot", "off", "on"},
            [] {
                const bool stable = mm::preset("6.1")->unprotect_uses_page_prot ||
                                    mm::preset("6.1.191")->unprotect_uses_page_prot;
                const bool later = mm::preset("6.3")->unprotect_uses_page_prot;
                return Verdicts{stable ? "on" : "off", later ? "on" : "off"};
            },
            "a matter of releases"),
        by_search(
            {"S1-12",
             "change_protection() takes no protection, and so cannot be given a "
             "wrong one.",
             "the function's type", "checked when the test is built",
             "no caller passes a protection"},
            [] { return only("no caller passes a protection"); }, needs_model),
        by_search(
            {"S1-13",
             "Only un-protecting needs to ask: an entry that is protected never "
             "passes.",
             "–", "five kinds, all programs of 7 acts: a protected entry that passes",
             "nothing in … states"},
            [] {
                u64 states = 0;
                for (const MemoryKind kind : mm::sync_kinds) {
                    Scope scope = sync_scope(kind);
                    scope.holds = asks_in_vain;
                    const Found found = explore(mm::mainline(), scope);
                    if (!found.trouble.empty()) {
                        return only(found.program);
                    }
                    states += found.states;
                }
                return only(fmt::format("nothing in {} states", states));
            },
            w15),
    };
}

}  // namespace

Table unprotecting() {
    Table table{"S1: un-protecting, soft-dirty, and can_change_pte_writable()",
                "In shared mappings the running 6.18 was seen not to make pages writable when they "
                "are un-protected (rule `unprotect_upgrades_shared`, off in its preset): S1-05 is "
                "the design as it was argued for.",
                soft_dirty_rows()};
    for (const std::vector<Row>& more : {o9_rows(), history_rows()}) {
        table.rows.insert(table.rows.end(), more.begin(), more.end());
    }
    return table;
}

}  // namespace verso::claims
