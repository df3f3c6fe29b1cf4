// Raises children and holds them to what they must see. See family.h.
#include "cli/demo/family.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/result.h"

namespace verso::cli {
namespace {

constexpr unsigned grandchildren_wanted = 2;

void merge(ChildFigures& into, const ChildFigures& checked) {
    into.open_ns = checked.open_ns;
    into.integrity_ns = checked.integrity_ns;
    into.sequence = checked.sequence;
    into.hot_journal = checked.hot_journal;
    into.rolled_back = checked.rolled_back;
}

Result<Answer> answered(Member& member) {
    auto answer = member.control.receive<Answer>();
    if (!answer) {
        return pass(answer, fmt::format("child {}", member.figures.id));
    }
    if (!answer->done) {
        return fail(ErrorKind::peer, 0, "child {}: {}", member.figures.id, answer->failure);
    }
    return answer;
}

}  // namespace

Result<Answer> ask(Member& member, Verb verb, u32 id) {
    if (auto sent = member.control.send(Question{.verb = verb, .id = id}); !sent) {
        return pass(sent, fmt::format("child {}", member.figures.id));
    }
    return answered(member);
}

Result<void> Family::raise(unsigned children, const std::vector<unsigned>& from, Writer& writer) {
    const unsigned grandchildren = std::min(grandchildren_wanted, children / 2);
    const unsigned direct = children - grandchildren;
    members_.reserve(children);
    if (auto made = first_generation(direct, grandchildren, from, writer); !made) {
        return made;
    }
    if (auto checked = check(0); !checked) {
        return checked;
    }
    if (auto made = second_generation(grandchildren); !made) {
        return made;
    }
    if (auto checked = check(direct); !checked) {
        return checked;
    }
    conclude();
    return {};
}

Result<void> Family::first_generation(unsigned count, unsigned parents,
                                      const std::vector<unsigned>& from, Writer& writer) {
    for (unsigned at = 0; at < count; ++at) {
        Member& member = members_.emplace_back();
        member.figures.id = at + 1;
        member.lineage = u64{1} << member.figures.id;
        const unsigned snapshot = from[at % from.size()];
        member.figures.snapshot = snapshot + 1;
        member.committed_before = side_.snapshots[snapshot].committed_before;
        member.committed_after = side_.snapshots[snapshot].committed_after;
        const u64 committed = writer.committed();
        if (auto made = contender_.fork_source(snapshot, at < parents, member); !made) {
            return pass(made, fmt::format("forking child {}", member.figures.id));
        }
        if (member.figures.snapshot == 0) {  // made of the present, not of the snapshot
            member.committed_before = committed;
            member.committed_after = writer.committed();
        }
        if (auto touched = first_touch(member); !touched) {
            return touched;
        }
    }
    return {};
}

Result<void> Family::second_generation(unsigned count) {
    for (unsigned at = 0; at < count; ++at) {
        Member& member = members_.emplace_back();
        Member& parent = members_[at];
        member.figures.id = static_cast<u32>(members_.size());
        member.figures.parent = parent.figures.id;
        member.figures.snapshot = parent.figures.snapshot;
        member.lineage = parent.lineage | u64{1} << member.figures.id;
        member.committed_before = parent.committed_before;
        member.committed_after = parent.committed_after;
        if (auto made = contender_.fork_child(parent, member); !made) {
            return pass(made, fmt::format("forking child {} from child {}", member.figures.id,
                                          parent.figures.id));
        }
        if (auto touched = first_touch(member); !touched) {
            return touched;
        }
    }
    return {};
}

Result<void> Family::first_touch(Member& member) {
    auto answer = ask(member, Verb::scan);
    if (!answer) {
        return pass(answer);
    }
    ChildFigures& figures = member.figures;
    figures.run_ns = answer->since_ns - std::min(answer->since_ns, member.forked_ns);
    figures.scan_ns = answer->figures.scan_ns;
    figures.pages = answer->figures.pages;
    figures.sum = answer->figures.sum;
    progress_(
        fmt::format("{}: child {} of {}: runs after {:.2f} ms, read all {} pages in {:.0f} ms",
                    side_.name, figures.id,
                    figures.parent != 0     ? fmt::format("child {}", figures.parent)
                    : figures.snapshot != 0 ? fmt::format("snapshot {}", figures.snapshot)
                                            : std::string("the live process"),
                    static_cast<double>(figures.run_ns) / 1e6, figures.pages,
                    static_cast<double>(figures.scan_ns) / 1e6));
    return {};
}

Result<void> Family::check(std::size_t first) {
    for (std::size_t at = first; at < members_.size(); ++at) {
        if (auto sent = members_[at].control.send(Question{.verb = Verb::check}); !sent) {
            return pass(sent, fmt::format("child {}", members_[at].figures.id));
        }
    }
    for (std::size_t at = first; at < members_.size(); ++at) {
        Member& member = members_[at];
        auto answer = answered(member);
        if (!answer) {  // a database that is not sound, or a child that died: a failed check
            unsound_ = unsound_.empty() ? answer.error().message : unsound_;
            continue;
        }
        merge(member.figures, answer->figures);
        progress_(
            fmt::format("{}: child {}: {}; integrity ok in {:.0f} ms; committed its own writes",
                        side_.name, member.figures.id,
                        member.figures.rolled_back ? "rolled back a half-done transaction"
                                                   : "was between two transactions",
                        static_cast<double>(member.figures.integrity_ns) / 1e6));
    }
    return {};
}

void Family::conclude() {
    std::string late;
    std::string stuck;
    unsigned hot = 0;
    bool hot_expected = false;
    for (const Member& member : members_) {
        const ChildFigures& f = member.figures;
        side_.children.push_back(f);
        hot_expected = hot_expected || f.parent != 0;  // forked in a transaction on purpose
        hot += f.hot_journal ? 1 : 0;
        if (f.hot_journal && !f.rolled_back) {
            stuck = fmt::format("child {} still has its journal", f.id);
        }
        // The transaction whose COMMIT was under way may be in or not.
        if (f.sequence < member.committed_before || f.sequence > member.committed_after + 1) {
            late =
                fmt::format("child {} has {} transactions, its moment lies between {} and {}", f.id,
                            f.sequence, member.committed_before, member.committed_after + 1);
        }
    }
    const std::size_t count = members_.size();
    side_.checks.push_back({fmt::format("{} children: integrity_check and invariant", count),
                            unsound_.empty(), unsound_});
    side_.checks.push_back(
        {"each child has the transactions of its snapshot's moment", late.empty(), late});
    side_.checks.push_back(
        {"half-done transactions were rolled back", stuck.empty() && (hot > 0 || !hot_expected),
         stuck.empty() ? fmt::format("{} of {} children had one", hot, count) : stuck});
}

Result<void> Family::audit(const std::string& when) {
    std::string wrong;
    for (Member& member : members_) {
        auto answer = ask(member, Verb::audit);
        if (!answer) {
            wrong = answer.error().message;
            continue;
        }
        if (answer->ids_seen != member.lineage) {
            wrong = fmt::format("child {} sees rows {:#x}, its own and its ancestors' are {:#x}",
                                member.figures.id, answer->ids_seen, member.lineage);
        }
        if (!answer->sound) {
            wrong = fmt::format("child {}: the invariant does not hold", member.figures.id);
        }
    }
    side_.checks.push_back(
        {fmt::format("each child sees its own and its ancestors' writes only {}", when),
         wrong.empty(), wrong});
    return {};
}

Result<void> Family::measure() {
    for (std::size_t at = 0; at < members_.size(); ++at) {
        auto answer = ask(members_[at], Verb::memory);
        if (!answer) {
            return pass(answer);
        }
        members_[at].figures.memory = answer->figures.memory;
        side_.children[at].memory = answer->figures.memory;
    }
    auto total = contender_.memory_total(members_);
    if (!total) {
        return pass(total);
    }
    side_.memory = *total;
    return {};
}

void Family::leave() {
    std::string bad;
    for (Member& member : members_) {
        // One that is gone already is found out by wait().
        static_cast<void>(member.control.send(Question{.verb = Verb::leave}));
    }
    for (Member& member : members_) {
        const std::string end = member.process.pid() > 0 ? member.process.wait() : std::string();
        if (!end.empty()) {
            bad = fmt::format("child {} {}", member.figures.id, end);
        }
    }
    side_.checks.push_back({"every child ended as it was told to", bad.empty(), bad});
    members_.clear();
}

}  // namespace verso::cli
