// Tokens and replay: see the header.
#include "check/explore/token.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "abi/abi.h"
#include "check/explore/explore.h"

namespace verso::check::explore {
namespace {

constexpr std::string_view version = "v1";

tl::unexpected<Error> no_token(std::string_view why) {
    return fail(ErrorKind::invalid_argument, 0,
                "this is no token of this version ({}); copy the whole line after 'token'", why);
}

std::vector<std::string_view> split(std::string_view text, char at) {
    std::vector<std::string_view> parts;
    for (std::size_t end = 0; end != std::string_view::npos;) {
        end = text.find(at);
        parts.push_back(text.substr(0, end));
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
    return parts;
}

/// Answers of the n-th way through the choices of an act.
void advance(Enumerator& choice, const Task& task, const Act& act, const Node& node, u16 variant) {
    for (u16 i = 0; i < variant; ++i) {
        Node copy = node;
        (void)perform(task, act, copy, choice);
        VERSO_CHECK(choice.next(), "act {} has no variant {}", act.name, variant);
    }
}

Performed make(const Task& task, const Made& made, Node& node) {
    Enumerator choice;
    advance(choice, task, task.acts[made.act], node, made.variant);
    return perform(task, task.acts[made.act], node, choice);
}

std::string text_of(const mm::Entry& entry) {
    using mm::EntryKind;
    const std::string bits = fmt::format("{}{}{}{}", entry.write ? "w" : "", entry.dirty ? "d" : "",
                                         entry.soft_dirty ? "s" : "", entry.uffd_wp ? "u" : "");
    switch (entry.kind) {
        case EntryKind::none: return "N";
        case EntryKind::present:
            return fmt::format("{}{}({})", entry.zero ? "Z" : "P", entry.protnone ? "N" : "", bits);
        case EntryKind::swap: return fmt::format("S({})", bits);
        case EntryKind::migration: {
            constexpr const char* kinds[] = {"READ", "READ_EXCL", "WRITE"};
            return fmt::format("M({}{}{})", kinds[static_cast<std::size_t>(entry.migration)],
                               bits.empty() ? "" : ",", bits);
        }
        case EntryKind::marker:
            return fmt::format("K({}{}{}{})", entry.is_marker(mm::Marker::uffd_wp) ? "WP" : "",
                               entry.is_marker(mm::Marker::poisoned) ? "POISONED" : "",
                               entry.is_marker(mm::Marker::guard) ? "GUARD" : "",
                               entry.is_marker(mm::Marker::written) ? "WRITTEN" : "");
        case EntryKind::hwpoison: return "H";
    }
    return "?";
}

std::string entries_of(const mm::State& state) {
    std::vector<std::string> spaces;
    for (const mm::Space& space : state.spaces) {
        if (!space.alive) {
            continue;
        }
        std::vector<std::string> words;
        for (const mm::Vma& vma : space.vmas) {
            for (mm::Vpn at = vma.start; at < vma.end; ++at) {
                const mm::Pmd& pmd = space.pmds[state.pmd_index(at)];
                const bool huge = pmd.kind == mm::PmdKind::leaf;
                words.push_back(huge ? "huge " + text_of(pmd.leaf)
                                     : text_of(pmd.kind == mm::PmdKind::none ? mm::Entry{}
                                                                             : space.entries[at]));
            }
        }
        spaces.push_back(fmt::format("[{}]", fmt::join(words, " ")));
    }
    return fmt::format("{}", fmt::join(spaces, " "));
}

u64 end_of(const Node& node) { return mm::hash_of(node.state); }

/// The act of the same row, place and value that `thread` makes.
u16 act_like(const Task& task, const Act& act, u8 thread, u32 value) {
    for (u16 i = 0; i < task.acts.size(); ++i) {
        const Act& one = task.acts[i];
        if (one.row == act.row && one.thread == thread && one.value == value &&
            one.step.at == act.step.at && one.step.other == act.step.other) {
            return i;
        }
    }
    VERSO_CHECK(false, "no act like {} for thread {}", act.name, thread);
    return 0;
}

u64 features_of(const Beginning& beginning, const Path& path, const Task& task) {
    using abi::Feature;
    u64 features =
        beginning.state.contexts.front().features & (Feature::wp_unpopulated | Feature::wp_async);
    if ((features & Feature::wp_async) != 0) {
        features = Feature::wp_async;  // which brings the other
    }
    for (const Made& made : path.made) {
        const Verb verb = task.acts[made.act].step.verb;
        features |= verb == Verb::move ? Feature::move : 0;
        features |= verb == Verb::poison ? Feature::poison : 0;
    }
    return features;
}

}  // namespace

Path in_own_names(const Task& task, const Path& canonical) {
    Path path{canonical.beginning, {}};
    Node node = node_of(task, task.beginnings[canonical.beginning]);
    Names names;
    for (const Made& made : canonical.made) {
        const Act& act = task.acts[made.act];
        const u8 thread = act.by_kernel || act.thread >= task.scope.threads
                              ? act.thread
                              : names.thread[act.thread];
        const u32 value = task.scope.values > 1 ? names.value[act.value] : act.value;
        path.made.push_back({act_like(task, act, thread, value), made.variant});
        (void)make(task, made, node);
        make_canonical(node, task.scope, names);
    }
    return path;
}

std::string litmus_of(const Task& task, const Path& path) {
    const Beginning& beginning = task.beginnings[path.beginning];
    if (beginning.mode == Mode::messages || !task.scope.events.empty()) {
        return {};
    }
    Program program;
    program.kind = beginning.kind;
    program.pages = is_hugetlb(beginning.kind) ? 1 : task.scope.pages;
    program.huge = task.scope.thp && !is_hugetlb(beginning.kind);
    program.pages = program.huge ? 1 : program.pages;
    program.features = features_of(beginning, path, task);
    for (const Made& made : path.made) {
        const Act& act = task.acts[made.act];
        if (!act.notation) {
            return {};
        }
        program.steps.push_back(act.step);
    }
    return check::to_text(program);
}

Replay replay(const Task& task, const Path& path) {
    const Beginning& beginning = task.beginnings[path.beginning];
    Replay replay{name_of(beginning)};
    Node node = node_of(task, beginning);
    for (const Made& made : path.made) {
        const Performed performed = make(task, made, node);
        std::vector<std::string> outcomes;
        outcomes.reserve(performed.outcomes.size());
        for (const mm::Outcome& one : performed.outcomes) {
            outcomes.push_back(mm::to_string(one));
        }
        replay.steps.push_back({task.acts[made.act].name,
                                fmt::format("{}", fmt::join(outcomes, ", ")),
                                entries_of(node.state)});
        replay.broken = performed.broken;
    }
    replay.litmus = litmus_of(task, path);
    replay.end = end_of(node);
    return replay;
}

std::string token_of(const std::string& rules, const Task& task, const Path& path, u64 end) {
    std::vector<std::string> acts;
    for (const Made& made : path.made) {
        acts.push_back(task.acts[made.act].name);
        std::ranges::replace(acts.back(), ' ', '~');
        if (made.variant != 0) {
            acts.back() += fmt::format("#{}", made.variant);
        }
    }
    return fmt::format("{}/{}/{}/{}/{}/{}/{:016x}", version, rules, to_text(task.scope),
                       to_text(task.oracles), path.beginning, fmt::join(acts, ";"), end);
}

Result<Replay> replay(std::string_view token) {
    const std::vector<std::string_view> parts = split(token, '/');
    if (parts.size() != 7 || parts[0] != version) {
        return no_token("it has not seven parts that begin with v1");
    }
    Result<Scope> scope = parse_scope(parts[2]);
    if (!scope) {
        return pass(scope);
    }
    Result<mm::Oracles> oracles = parse_oracles(parts[3]);
    if (!oracles) {
        return pass(oracles);
    }
    Result<Task> task = task_of(std::string(parts[1]), *scope, *oracles, false);
    if (!task) {
        return pass(task);
    }
    Path path;
    std::from_chars(parts[4].data(), parts[4].data() + parts[4].size(), path.beginning);
    if (path.beginning >= task->beginnings.size()) {
        return no_token("the scope has no such beginning");
    }
    for (const std::string_view word : split(parts[5], ';')) {
        std::string name(word.substr(0, word.find('#')));
        std::ranges::replace(name, '~', ' ');
        const auto act = std::ranges::find(task->acts, name, &Act::name);
        if (act == task->acts.end()) {
            return no_token(fmt::format("the scope has no act '{}'", name));
        }
        Made made{static_cast<u16>(act - task->acts.begin()), 0};
        if (const std::size_t at = word.find('#'); at != std::string_view::npos) {
            std::from_chars(word.data() + at + 1, word.data() + word.size(), made.variant);
        }
        path.made.push_back(made);
    }
    u64 end = 0;
    std::from_chars(parts[6].data(), parts[6].data() + parts[6].size(), end, 16);
    Replay made = replay(*task, path);
    made.same_end = made.end == end;
    return made;
}

}  // namespace verso::check::explore
