// Knobs: see the header.
#include "check/swarm/knobs.h"

#include <algorithm>

#include <fmt/format.h>

namespace verso::check::swarm {
namespace {

constexpr std::array<std::string_view, verb_count> verb_names = {
    "snapshot", "look",    "fork",   "send", "read",  "write",  "move",  "rewind",
    "discard",  "written", "detach", "drop", "leave", "create", "tamper"};
constexpr std::array<std::string_view, weather_count> weather_names = {
    "reclaim",  "migrate",   "slow_migrate", "numa_hint",
    "swap_off", "ksm_merge", "thp_collapse", "thp_split"};
constexpr std::array<std::string_view, fault_count> fault_names = {
    "layout_changing", "partial", "exists",  "interrupted", "nothing_yet",
    "stall",           "no_room", "refusal", "death",       "linger"};

u32 between(Choice& choice, u32 low, u32 high) { return low + choice.choose(high - low + 1); }

/// Each feature: off, or of a weight that may be wild.
template <std::size_t n>
void draw_weights(Choice& choice, std::array<u32, n>& weights, u32 off_of_8) {
    for (u32& weight : weights) {
        const bool on = choice.choose(8) >= off_of_8;
        const u32 drawn = between(choice, 1, 8);
        weight = on ? drawn : 0;
    }
}

template <std::size_t n>
bool any(const std::array<u32, n>& values) {
    return std::ranges::any_of(values, [](u32 value) { return value != 0; });
}

}  // namespace

std::string_view name_of(Verb verb) { return verb_names[static_cast<std::size_t>(verb)]; }
std::string_view name_of(Weather weather) {
    return weather_names[static_cast<std::size_t>(weather)];
}
std::string_view name_of(Fault fault) { return fault_names[static_cast<std::size_t>(fault)]; }

bool Knobs::kernel_acts_at_all() const { return kernel_acts != 0 && any(weather); }
bool Knobs::any_fault() const { return any(faults); }

Knobs draw_knobs(Choice& choice) {
    Knobs knobs;
    // More than eight: a child maps its source's pages as long as less than an eighth was written.
    knobs.pages = choice.choose(3) == 2 ? between(choice, 9, pages_max) : between(choice, 1, 8);
    knobs.processes = choice.coin() ? 1 : between(choice, 1, processes_max);
    knobs.acts = between(choice, 3, 16);
    knobs.writers = choice.choose(5);
    knobs.stores = between(choice, 2, 24);
    knobs.kernel_acts = choice.coin() ? between(choice, 1, 40) : 0;
    knobs.kills = choice.choose(3) == 2 ? between(choice, 1, 2) : 0;
    knobs.kill_within = between(choice, 10, 2000);
    knobs.hang_ups = choice.choose(6) == 5 ? between(choice, 1, 2) : 0;
    knobs.switch_one_in = u32{1} << choice.choose(7);
    knobs.looks_at_most = between(choice, 1, 8);
    knobs.kernel_access = choice.coin() ? choice.choose(5) : 0;
    knobs.by_mprotect = choice.choose(6) == 5 ? between(choice, 1, 8) : 0;
    knobs.pages_only = choice.choose(6) == 5 ? between(choice, 1, 4) : 0;
    knobs.unprivileged = choice.choose(8) == 7 ? 1 : 0;
    knobs.hot_pages = choice.choose(4) == 3 ? between(choice, 1, 2) : 0;
    knobs.late_writes = choice.choose(2);
    draw_weights(choice, knobs.verbs, 2);
    // Without these a run shows nothing.
    knobs.verbs[static_cast<std::size_t>(Verb::snapshot)] += 2;
    knobs.verbs[static_cast<std::size_t>(Verb::look)] += 1;
    if (knobs.processes > 1) {
        knobs.verbs[static_cast<std::size_t>(Verb::send)] += 6;
        knobs.acts += 4;
    }
    // Rare: what it costs is excused, and elsewhere nothing is. Not where a child may have to read
    // its source's memory by itself: of what madvise takes away there, only the source can tell it.
    const bool on_their_own = knobs.kills != 0 || knobs.hang_ups != 0;
    const u32 tampering = choice.choose(8) == 7 ? between(choice, 1, 4) : 0;
    knobs.verbs[static_cast<std::size_t>(Verb::tamper)] = on_their_own ? 0 : tampering;
    draw_weights(choice, knobs.weather, 4);
    if (choice.choose(3) == 2) {
        for (u32& one_in : knobs.faults) {
            const bool on = choice.choose(4) == 3;
            const u32 drawn = u32{1} << between(choice, 2, 8);
            one_in = on ? drawn : 0;
        }
    }
    u32& death = knobs.faults[static_cast<std::size_t>(Fault::death)];
    death = choice.choose(4) == 3 ? u32{1} << between(choice, 6, 11) : 0;
    u32& linger = knobs.faults[static_cast<std::size_t>(Fault::linger)];
    linger = choice.choose(3) == 2 ? u32{1} << between(choice, 1, 2) : 0;
    return knobs;
}

std::vector<std::pair<std::string_view, u32*>> by_name(Knobs& knobs) {
    std::vector<std::pair<std::string_view, u32*>> all = {
        {"pages", &knobs.pages},
        {"processes", &knobs.processes},
        {"acts", &knobs.acts},
        {"writers", &knobs.writers},
        {"stores", &knobs.stores},
        {"kernel_acts", &knobs.kernel_acts},
        {"kills", &knobs.kills},
        {"kill_within", &knobs.kill_within},
        {"hang_ups", &knobs.hang_ups},
        {"switch_one_in", &knobs.switch_one_in},
        {"looks_at_most", &knobs.looks_at_most},
        {"kernel_access", &knobs.kernel_access},
        {"by_mprotect", &knobs.by_mprotect},
        {"pages_only", &knobs.pages_only},
        {"unprivileged", &knobs.unprivileged},
        {"hot_pages", &knobs.hot_pages},
        {"late_writes", &knobs.late_writes},
    };
    for (std::size_t i = 0; i < verb_count; ++i) {
        all.emplace_back(verb_names[i], &knobs.verbs[i]);
    }
    for (std::size_t i = 0; i < weather_count; ++i) {
        all.emplace_back(weather_names[i], &knobs.weather[i]);
    }
    for (std::size_t i = 0; i < fault_count; ++i) {
        all.emplace_back(fault_names[i], &knobs.faults[i]);
    }
    return all;
}

std::string to_string(const Knobs& knobs) {
    Knobs copy = knobs;
    std::string line;
    for (const auto& [name, value] : by_name(copy)) {
        if (*value != 0) {
            line += fmt::format("{}{}={}", line.empty() ? "" : " ", name, *value);
        }
    }
    return line;
}

}  // namespace verso::check::swarm
