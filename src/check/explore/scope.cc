// Scopes, rules and oracles as text, and back.
#include "check/explore/scope.h"

#include <algorithm>
#include <array>
#include <charconv>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "check/explore/acts.h"

namespace verso::check::explore {
namespace {

constexpr std::array<std::string_view, 4> mode_names = {"sync", "async", "plain", "messages"};
constexpr std::array<std::string_view, 4> event_names = {"fork", "remap", "remove", "unmap"};
constexpr std::array<std::string_view, mm::oracle_count> oracle_names = {
    "invariants", "I9", "I10", "E-SD8", "SC", "contents", "progress"};
constexpr std::array<std::string_view, 5> none_policies = {"unprotected", "marker", "fault_path",
                                                           "protected", "protected_one"};
constexpr std::array<std::string_view, 3> restores = {"from_vma", "uffd_special_case",
                                                      "by_entry_type"};

tl::unexpected<Error> wrong(std::string message) {
    return tl::unexpected<Error>(Error{ErrorKind::invalid_argument, 0, std::move(message)});
}

std::vector<std::string_view> split(std::string_view text, char at) {
    std::vector<std::string_view> parts;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find(at), text.size());
        parts.push_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return parts;
}

std::string_view trim(std::string_view text) {
    while (!text.empty() && text.front() == ' ') {
        text.remove_prefix(1);
    }
    while (!text.empty() && text.back() == ' ') {
        text.remove_suffix(1);
    }
    return text;
}

template <class T>
bool number(std::string_view text, T& value) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc{} && end == text.data() + text.size();
}

/// Where in `names`; their count if nowhere.
template <std::size_t N>
std::size_t index_in(const std::array<std::string_view, N>& names, std::string_view name) {
    return static_cast<std::size_t>(std::ranges::find(names, name) - names.begin());
}

struct Count {
    std::string_view name;
    u32 Scope::*value;
    u32 low;
    u32 high;
};
constexpr Count counts[] = {{"pages", &Scope::pages, 1, Limits::pages_max},
                            {"threads", &Scope::threads, 1, Limits::threads_max},
                            {"processes", &Scope::processes, 1, Limits::processes_max},
                            {"areas", &Scope::areas, 1, Limits::areas_max},
                            {"descriptors", &Scope::descriptors, 1, Limits::descriptors_max},
                            {"steps", &Scope::steps, 1, Limits::steps_max},
                            {"values", &Scope::values, 1, Limits::values_max}};

Result<bool> set_words(Scope& scope, std::string_view key, std::string_view value) {
    std::vector<std::string>& words = key == "calls"     ? scope.calls
                                      : key == "without" ? scope.without
                                                         : scope.events;
    const std::vector<std::string> known = words_of_acts();
    words.clear();
    for (const std::string_view word : split(value, '+')) {
        const bool exists = key == "events"
                                ? index_in(event_names, word) < event_names.size()
                                : std::ranges::any_of(known, [&](const std::string& name) {
                                      return means(word, name);
                                  });
        if (!exists) {
            return wrong(fmt::format("there is no '{}' for {}; there are: {}", word, key,
                                     key == "events"
                                         ? fmt::format("{}", fmt::join(event_names, " "))
                                         : fmt::format("{}", fmt::join(known, " "))));
        }
        words.emplace_back(word);
    }
    return true;
}

Result<bool> set_kinds(Scope& scope, std::string_view value) {
    scope.kinds.clear();
    for (const std::string_view word : split(value, '+')) {
        const auto found = std::ranges::find_if(
            every_kind, [&](Kind kind) { return check::name_of(kind) == word; });
        if (word != "all" && found == std::end(every_kind)) {
            return wrong(
                fmt::format("there is no kind '{}'; there are: A SS SP HS HP FS FP, or "
                            "all",
                            word));
        }
        if (word == "all") {
            scope.kinds.assign(std::begin(every_kind), std::end(every_kind));
        } else {
            scope.kinds.push_back(*found);
        }
    }
    return scope.kinds.empty() ? Result<bool>(wrong("a scope needs a kind of memory")) : true;
}

Result<bool> set_modes(Scope& scope, std::string_view value) {
    scope.modes.clear();
    for (const std::string_view word : split(value, '+')) {
        const std::size_t index = index_in(mode_names, word);
        if (index == mode_names.size()) {
            return wrong(fmt::format("there is no mode '{}'; there are: {}", word,
                                     fmt::join(mode_names, " ")));
        }
        scope.modes.push_back(static_cast<Mode>(index));
    }
    return scope.modes.empty() ? Result<bool>(wrong("a scope needs a mode")) : true;
}

Result<bool> set(Scope& scope, std::string_view key, std::string_view value) {
    if (key == "kinds") {
        return set_kinds(scope, value);
    }
    if (key == "modes") {
        return set_modes(scope, value);
    }
    if (key == "calls" || key == "without" || key == "events") {
        return set_words(scope, key, value);
    }
    if (key == "thp" || key == "fine") {
        if (value != "0" && value != "1") {
            return wrong(fmt::format("{} is 0 or 1, not '{}'", key, value));
        }
        (key == "thp" ? scope.thp : scope.fine) = value == "1";
        return true;
    }
    for (const Count& one : counts) {
        if (one.name == key) {
            u32 parsed = 0;
            if (!number(value, parsed) || parsed < one.low || parsed > one.high) {
                return wrong(fmt::format("{} is a number from {} to {}, not '{}'", key, one.low,
                                         one.high, value));
            }
            scope.*one.value = parsed;
            return true;
        }
    }
    return wrong(
        fmt::format("a scope has no '{}'; it has: kinds modes pages threads processes "
                    "areas descriptors steps values thp fine calls without events",
                    key));
}

Result<bool> fits(const Scope& scope) {
    if (scope.areas > 1 && scope.pages > 2) {
        return wrong("two areas have at most 2 pages each");
    }
    if (scope.threads + scope.processes - 1 > Limits::threads_max) {
        return wrong("at most 3 threads altogether, a child's included");
    }
    if (scope.thp && scope.pages != 2) {
        return wrong("huge pages are of 2 pages here: thp=1 goes with pages=2");
    }
    return true;
}

Result<bool> set_policy(mm::Rules& rules, std::string_view key, std::string_view value) {
    if (key == "none_policy") {
        const std::size_t index = index_in(none_policies, value);
        if (index < none_policies.size()) {
            rules.none_policy_anon = rules.none_policy_file = static_cast<mm::NonePolicy>(index);
            return true;
        }
    } else if (key == "migration_restore") {
        const std::size_t index = index_in(restores, value);
        if (index < restores.size()) {
            rules.migration_restore = static_cast<mm::MigrationRestore>(index);
            return true;
        }
    } else if (key == "wp_site_removal") {
        if (number(value, rules.wp_site_removal) && rules.wp_site_removal <= mm::WpSite::all) {
            return true;
        }
    }
    return wrong(
        fmt::format("'{}={}' is no rule; there are: none_policy={}, migration_restore={}, "
                    "wp_site_removal=0…31",
                    key, value, fmt::join(none_policies, "|"), fmt::join(restores, "|")));
}

Result<bool> change(mm::Rules& rules, std::string_view word) {
    if (const std::size_t at = word.find('='); at != std::string_view::npos) {
        return set_policy(rules, word.substr(0, at), word.substr(at + 1));
    }
    const bool on = word.starts_with('+');
    for (const mm::Switch& one : mm::switches()) {
        if ((on || word.starts_with('-')) && one.name == word.substr(1)) {
            rules.*one.value = on;
            return true;
        }
    }
    return wrong(
        fmt::format("'{}' is no change of a rule: write +NAME or -NAME with a name of "
                    "docs/mm.md, section \"Every switch\"",
                    word));
}

}  // namespace

std::string_view name_of(Mode mode) { return mode_names[static_cast<std::size_t>(mode)]; }

Result<Scope> parse_scope(std::string_view text) {
    Scope scope;
    for (const std::string_view raw : split(text, ',')) {
        const std::string_view part = trim(raw);
        const std::size_t at = part.find('=');
        if (at == std::string_view::npos) {
            return wrong(fmt::format("'{}' is not name=value", part));
        }
        if (Result<bool> done = set(scope, part.substr(0, at), part.substr(at + 1)); !done) {
            return pass(done);
        }
    }
    if (Result<bool> done = fits(scope); !done) {
        return pass(done);
    }
    return scope;
}

std::string to_text(const Scope& scope) {
    const Scope usual;
    std::vector<std::string_view> kinds;
    std::ranges::transform(scope.kinds, std::back_inserter(kinds),
                           [](Kind kind) { return check::name_of(kind); });
    std::vector<std::string_view> modes;
    std::ranges::transform(scope.modes, std::back_inserter(modes),
                           [](Mode mode) { return name_of(mode); });
    std::string text =
        fmt::format("kinds={},modes={}", fmt::join(kinds, "+"), fmt::join(modes, "+"));
    for (const Count& one : counts) {
        if (scope.*one.value != usual.*one.value || one.name == "steps") {
            text += fmt::format(",{}={}", one.name, scope.*one.value);
        }
    }
    text += scope.thp ? ",thp=1" : "";
    text += scope.fine ? ",fine=1" : "";
    for (const auto& [name, words] : {std::pair{"calls", &scope.calls},
                                      {"without", &scope.without},
                                      {"events", &scope.events}}) {
        if (!words->empty()) {
            text += fmt::format(",{}={}", name, fmt::join(*words, "+"));
        }
    }
    return text;
}

Result<mm::Rules> parse_rules(std::string_view text) {
    const std::vector<std::string_view> parts = split(text, ',');
    const std::string_view name = parts.empty() ? std::string_view() : trim(parts.front());
    std::optional<mm::Rules> rules =
        name == "mainline" ? std::optional(mm::mainline()) : mm::preset(name);
    if (!rules) {
        return wrong(fmt::format("there are no rules '{}'; there are: mainline, {}", name,
                                 fmt::join(mm::preset_names(), ", ")));
    }
    for (std::size_t i = 1; i < parts.size(); ++i) {
        if (Result<bool> done = change(*rules, trim(parts[i])); !done) {
            return pass(done);
        }
    }
    return *rules;
}

Result<mm::Oracles> parse_oracles(std::string_view text) {
    mm::Oracles oracles = mm::Oracles::none();
    for (const std::string_view name : split(text, '+')) {
        const std::size_t index = index_in(oracle_names, name);
        if (name == "all") {
            oracles = mm::Oracles::all();
        } else if (index < oracle_names.size()) {
            oracles = oracles.with(static_cast<mm::Oracle>(index));
        } else {
            return wrong(fmt::format("there is no oracle '{}'; there are: all, {}", name,
                                     fmt::join(oracle_names, ", ")));
        }
    }
    if (oracles.empty()) {
        return wrong("a search needs an oracle");
    }
    return oracles;
}

std::string to_text(mm::Oracles oracles) {
    if (oracles == mm::Oracles::all()) {
        return "all";
    }
    std::vector<std::string_view> names;
    for (std::size_t i = 0; i < oracle_names.size(); ++i) {
        if (oracles.has(static_cast<mm::Oracle>(i))) {
            names.push_back(oracle_names[i]);
        }
    }
    return fmt::format("{}", fmt::join(names, "+"));
}

}  // namespace verso::check::explore
