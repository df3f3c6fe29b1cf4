// verso swarm, verso replay: see the header.
#include "cli/swarm.h"

#include <chrono>
#include <cstdio>
#include <random>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/resource.h>

#include "check/explore/scope.h"
#include "check/swarm/shrink.h"
#include "check/swarm/token.h"
#include "cli/commit.h"

namespace verso::cli {
namespace {

namespace sim = check::swarm;
using Clock = std::chrono::steady_clock;
using Json = nlohmann::ordered_json;

constexpr u64 minutes_unless_said = 1;
constexpr u64 shrink_seconds_max = 60;

int refuse(const std::string& message) {
    fmt::print(stderr, "verso: {}\n", message);
    return 2;
}

/// Of the processors, in all runs so far: others may be using the machine, too.
double processor_seconds() {
    rusage usage{};
    (void)::getrusage(RUSAGE_CHILDREN, &usage);
    const auto seconds = [](const timeval& time) {
        return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double seconds_since(Clock::time_point begin) {
    return std::chrono::duration<double>(Clock::now() - begin).count();
}

/// Short enough to be typed.
u64 fresh_seed() {
    std::random_device device;
    return device() % 1'000'000'000 + 1;
}

struct Found {
    sim::Verdict verdict;
    sim::Plan plan;
    std::string token;     // as it was found
    std::string shortest;  // shrunk
    sim::Shrunk shrunk;
    double shrink_seconds = 0;
};

void print(const Found& found, bool as_found) {
    const sim::Verdict& first = found.verdict;
    fmt::print("seed {} {}: {}\n  knobs: {}\n  replay: verso replay {}\n", first.seed,
               name_of(first.ending), first.sentence, to_string(found.plan.knobs), found.token);
    if (as_found) {
        return;
    }
    const sim::Verdict& last = found.shrunk.verdict;
    fmt::print(
        "shrunk in {:.1f} s, {} runs, to {} acts and {} answers: {}\n  knobs: {}\n"
        "  replay: verso replay {}\n{}",
        found.shrink_seconds, found.shrunk.runs, found.shrunk.what.plan.acts(),
        found.shrunk.what.tape ? found.shrunk.what.tape->size() : 0, last.sentence,
        to_string(found.shrunk.what.plan.knobs), found.shortest, last.log);
}

Json to_json(const sim::Totals& totals) {
    return {{"runs", totals.runs},           {"audited", totals.audited},
            {"decisions", totals.decisions}, {"stores", totals.stores},
            {"loads", totals.loads},         {"verbs", totals.verbs},
            {"refused", totals.refused},     {"faults", totals.faults}};
}

Json to_json(const Found& found, bool as_found) {
    Json json = {{"seed", found.verdict.seed},
                 {"ending", name_of(found.verdict.ending)},
                 {"sentence", found.verdict.sentence},
                 {"knobs", to_string(found.plan.knobs)},
                 {"replay", "verso replay " + found.token}};
    if (!as_found) {
        json["shrunk"] = {{"sentence", found.shrunk.verdict.sentence},
                          {"acts", found.shrunk.what.plan.acts()},
                          {"runs", found.shrunk.runs},
                          {"seconds", found.shrink_seconds},
                          {"replay", "verso replay " + found.shortest},
                          {"log", found.shrunk.verdict.log}};
    }
    return json;
}

void shrink(Found& found, const std::string& rules_text, const mm::Rules& rules) {
    const auto begin = Clock::now();
    const sim::Case whole{found.plan, found.verdict.tape};
    found.shrunk = sim::shrink(whole, found.verdict, rules,
                               [&] { return seconds_since(begin) > shrink_seconds_max; });
    found.shrink_seconds = seconds_since(begin);
    found.shortest = token_of(rules_text, found.shrunk.what);
    sim::Case told = found.shrunk.what;
    told.log = true;
    found.shrunk.verdict = run_apart(told, rules);
}

}  // namespace

int swarm(const SwarmOptions& options) {
    const Result<mm::Rules> rules = check::explore::parse_rules(options.rules);
    if (!rules) {
        return refuse(rules.error().message);
    }
    const auto begin = Clock::now();
    sim::Seeds seeds;
    seeds.first = options.seed == 0 ? fresh_seed() : options.seed;
    seeds.count = options.seeds == 0 ? ~u64{0} >> 1 : options.seeds;
    const u64 minutes =
        options.seeds == 0 && options.minutes == 0 ? minutes_unless_said : options.minutes;
    seeds.enough = [&] {
        return minutes != 0 && seconds_since(begin) > static_cast<double>(minutes) * 60;
    };
    if (!options.json) {
        fmt::print("verso {} ({}), rules {}, seeds from {}\n", VERSO_VERSION, commit(),
                   options.rules, seeds.first);
        std::fflush(stdout);
    }
    seeds.size = options.small ? sim::Size::small : sim::Size::drawn;
    sim::Totals totals;
    const std::optional<sim::Verdict> wrong = run_seeds(seeds, *rules, totals);
    const double seconds = seconds_since(begin);
    const double processor = processor_seconds();
    Found found;
    if (wrong) {
        found.verdict = *wrong;
        found.plan = sim::draw_plan(wrong->seed, seeds.size);
        sim::Case whole{found.plan};
        found.token = token_of(options.rules, whole);
        if (!options.as_found && wrong->ending != sim::Ending::unrepeatable) {
            shrink(found, options.rules, *rules);
        }
    }
    const bool as_found = options.as_found || found.shortest.empty();
    if (options.json) {
        Json json = {{"version", VERSO_VERSION}, {"commit", commit()},
                     {"rules", options.rules},   {"first_seed", seeds.first},
                     {"seconds", seconds},       {"processor_seconds", processor},
                     {"totals", to_json(totals)}};
        if (wrong) {
            json["found"] = to_json(found, as_found);
        }
        fmt::print("{}\n", json.dump(2));
        return wrong ? 1 : 0;
    }
    fmt::print(
        "{} runs in {:.1f} s, {:.0f} a second of one processor; {} decisions, {} verbs ({} "
        "refused), {} stores, {} looks, {} faults thrown in; {} runs made twice ended the "
        "same\n",
        totals.runs, seconds,
        static_cast<double>(totals.runs + totals.audited) / std::max(processor, 1e-6),
        totals.decisions, totals.verbs, totals.refused, totals.stores, totals.loads, totals.faults,
        totals.audited);
    if (wrong) {
        print(found, as_found);
    }
    return wrong ? 1 : 0;
}

int replay(const ReplayOptions& options) {
    const Result<sim::Token> token = sim::parse_token(options.token);
    if (!token) {
        return refuse(token.error().message + "; `verso swarm` prints them");
    }
    sim::Case what = token->what;
    what.log = true;
    what.calls = options.calls;
    const sim::Verdict verdict = run_apart(what, token->rules);
    const bool held = verdict.ending == sim::Ending::held;
    if (options.json) {
        const Json json = {{"token", options.token},
                           {"seed", what.plan.seed},
                           {"knobs", to_string(what.plan.knobs)},
                           {"ending", name_of(verdict.ending)},
                           {"sentence", verdict.sentence},
                           {"hash", fmt::format("{:016x}", verdict.tally.hash)},
                           {"log", verdict.log}};
        fmt::print("{}\n", json.dump(2));
        return held ? 0 : 1;
    }
    fmt::print("verso {} ({}), rules {}, seed {}\n  knobs: {}\n{}", VERSO_VERSION, commit(),
               token->rules_text, what.plan.seed, to_string(what.plan.knobs), verdict.log);
    if (held) {
        fmt::print("held; it ends in state {:016x}\n", verdict.tally.hash);
    } else {
        fmt::print("{}: {}\n", name_of(verdict.ending), verdict.sentence);
    }
    return held ? 0 : 1;
}

}  // namespace verso::cli
