// Plan: see the header.
#include "check/swarm/plan.h"

#include <algorithm>
#include <numeric>

#include <fmt/format.h>

namespace verso::check::swarm {
namespace {

constexpr u32 any_number = u32{1} << 30;

template <std::size_t n>
u8 draw_by_weight(Choice& choice, const std::array<u32, n>& weights) {
    const u32 all = std::accumulate(weights.begin(), weights.end(), u32{0});
    u32 drawn = choice.choose(std::max<u32>(all, 1));
    u8 at = 0;
    while (at + 1U < n && drawn >= weights[at]) {
        drawn -= weights[at++];
    }
    return at;
}

template <class What>
Track draw_track(Choice& choice, Role role, u32 process, u32 acts, What what) {
    Track track{role, process, {}};
    for (u32 i = 0; i < acts; ++i) {
        Act act;
        act.what = what();
        act.which = choice.choose(any_number);
        act.how = choice.choose(any_number);
        track.acts.push_back(act);
    }
    return track;
}

/// 8 acts of the one process and 192 stores.
Plan draw_small_plan(u64 seed) {
    RandomChoice choice(seed);
    Plan plan;
    plan.seed = seed;
    plan.size = Size::small;
    plan.knobs.stores = 48;
    plan.knobs.writers = 4;
    plan.knobs.kernel_acts = 0;
    constexpr std::array verbs = {Verb::snapshot, Verb::fork, Verb::look, Verb::fork,
                                  Verb::look,     Verb::read, Verb::look, Verb::read};
    plan.knobs.acts = verbs.size();
    std::size_t next = 0;
    plan.tracks.push_back(draw_track(choice, Role::process, 0, plan.knobs.acts,
                                     [&] { return static_cast<u8>(verbs.at(next++)); }));
    for (u32 i = 0; i < plan.knobs.writers; ++i) {
        plan.tracks.push_back(draw_track(choice, Role::writer, 0, plan.knobs.stores,
                                         [] { return static_cast<u8>(Verb::write); }));
    }
    return plan;
}

}  // namespace

std::size_t Plan::acts() const {
    return std::accumulate(
        tracks.begin(), tracks.end(), std::size_t{0},
        [](std::size_t sum, const Track& track) { return sum + track.acts.size(); });
}

Plan draw_plan(u64 seed, Size size) {
    if (size == Size::small) {
        return draw_small_plan(seed);
    }
    RandomChoice choice(seed);
    Plan plan;
    plan.seed = seed;
    plan.knobs = draw_knobs(choice);
    const Knobs& knobs = plan.knobs;
    for (u32 process = 0; process < knobs.processes; ++process) {
        plan.tracks.push_back(draw_track(choice, Role::process, process, knobs.acts,
                                         [&] { return draw_by_weight(choice, knobs.verbs); }));
    }
    for (u32 i = 0; i < knobs.writers; ++i) {
        const u32 process = choice.coin() ? 0 : choice.choose(knobs.processes);
        const u32 drawn = choice.choose(4);
        const Verb verb = drawn == 3 ? Verb::move : drawn == 2 ? Verb::read : Verb::write;
        plan.tracks.push_back(draw_track(choice, Role::writer, process, knobs.stores,
                                         [&] { return static_cast<u8>(verb); }));
    }
    if (knobs.kernel_acts_at_all()) {
        plan.tracks.push_back(draw_track(choice, Role::kernel, 0, knobs.kernel_acts,
                                         [&] { return draw_by_weight(choice, knobs.weather); }));
    }
    const auto fated = [&](Blow blow, u32 count) {
        if (count != 0) {
            plan.tracks.push_back(
                draw_track(choice, Role::fate, 0, count, [blow] { return static_cast<u8>(blow); }));
        }
    };
    fated(Blow::kill, knobs.kills);
    fated(Blow::hang_up, knobs.hang_ups);
    return plan;
}

std::string name_of(const Track& track, std::size_t number) {
    switch (track.role) {
        case Role::process: return fmt::format("process {}", track.process);
        case Role::writer: return fmt::format("writer {}", number);
        case Role::kernel: return "the kernel";
        case Role::fate: return "fate";
    }
    return {};
}

}  // namespace verso::check::swarm
