// Whole runs: the engine as it is on the model of several kernels.
#include <cstdlib>

#include <fmt/core.h>
#include <gtest/gtest.h>

#include "check/swarm/shrink.h"
#include "check/swarm/token.h"

namespace verso::check::swarm {
namespace {

u64 number_from_environment(const char* name, u64 otherwise) {
    const char* const text = std::getenv(name);
    return text == nullptr ? otherwise : std::strtoull(text, nullptr, 0);
}

std::string replay_command(const char* rules, u64 seed) {
    return fmt::format("replay: verso replay v1/{}/{}", rules, seed);
}

/// More of them: VERSO_SWARM_SEEDS=100000.
TEST(Runs, EverySeedKeepsEveryPromiseOn618) {
    Totals totals;
    const u64 first = number_from_environment("VERSO_SWARM_SEED", 1);
    const u64 count = number_from_environment("VERSO_SWARM_SEEDS", 400);
    const auto wrong = run_seeds({first, count, 16, {}}, *mm::preset("6.18"), totals);
    ASSERT_FALSE(wrong) << wrong->sentence << "\n" << replay_command("6.18", wrong->seed);
    EXPECT_EQ(totals.runs, count);
    EXPECT_GT(totals.audited, 0U);
}

mm::Rules rules_519() { return *mm::preset("5.19"); }

/// What users reported of 5.19: a page of shared memory that was protected and migrated comes back
/// writable, and a store to it is in a snapshot that was taken before.
TEST(Story, On519AWriteIsLostSoonAndOn62NoneIs) {
    Totals on_519;
    constexpr u64 seeds = 3000;
    const auto wrong = run_seeds({1, seeds, 0, {}}, rules_519(), on_519);
    ASSERT_TRUE(wrong) << "nothing was lost on 5.19 in " << seeds << " runs";
    EXPECT_EQ(wrong->ending, Ending::wrong) << wrong->sentence;
    RecordProperty("seeds", static_cast<int>(on_519.runs + 1));
    Totals on_62;
    const u64 count = std::max<u64>(wrong->seed, 100);
    const auto none = run_seeds({1, count, 0, {}}, *mm::preset("6.2"), on_62);
    EXPECT_FALSE(none) << none->sentence << "\n" << replay_command("6.2", none->seed);
}

/// The next that goes wrong where no NUMA hint comes, which did the same, and in one process: with
/// more of them shrinking takes a minute.
std::optional<Verdict> next_without_hints(u64 first, const mm::Rules& rules) {
    const auto hint = static_cast<std::size_t>(Weather::numa_hint);
    for (u64 seed = first; seed < first + 3000; ++seed) {
        const Knobs knobs = draw_plan(seed).knobs;
        if (knobs.weather[hint] == 0 && knobs.processes == 1) {
            Verdict verdict = run_apart({draw_plan(seed)}, rules);
            if (verdict.ending != Ending::held) {
                return verdict;
            }
        }
    }
    return std::nullopt;
}

TEST(Story, ShrinksToTheMigrationOfAProtectedPage) {
    const mm::Rules rules = rules_519();
    constexpr unsigned stories = 4;  // one in some is told by many acts, whatever is left out
    Shrunk shrunk;
    u64 next = 1;
    for (unsigned i = 0; i < stories && (i == 0 || shrunk.what.plan.acts() > 12); ++i) {
        const auto wrong = next_without_hints(next, rules);
        ASSERT_TRUE(wrong);
        next = wrong->seed + 1;
        unsigned asked = 0;
        shrunk = shrink({draw_plan(wrong->seed), wrong->tape}, *wrong, rules,
                        [&] { return ++asked > 3000; });
    }
    const std::string token = token_of("5.19", shrunk.what);
    EXPECT_EQ(shrunk.verdict.ending, Ending::wrong);
    EXPECT_LE(shrunk.what.plan.acts(), 12U) << token;
    bool migrates = false;
    for (const Track& track : shrunk.what.plan.tracks) {
        for (const Act& act : track.acts) {
            migrates = migrates || (track.role == Role::kernel &&
                                    (act.what == static_cast<u8>(Weather::migrate) ||
                                     act.what == static_cast<u8>(Weather::slow_migrate)));
        }
    }
    EXPECT_TRUE(migrates) << token;
    // Without the migration, the same run holds: it is the cause.
    Plan calm = shrunk.what.plan;
    for (Track& track : calm.tracks) {
        std::erase_if(track.acts, [&](const Act&) { return track.role == Role::kernel; });
    }
    EXPECT_EQ(run_apart({calm, shrunk.what.tape}, rules).ending, Ending::held) << token;
    EXPECT_EQ(run_apart(shrunk.what, *mm::preset("6.2")).ending, Ending::held) << token;
}

TEST(Runs, ATokenIsTheSameRunAgain) {
    const mm::Rules rules = *mm::preset("6.18");
    for (u64 seed = 1; seed <= 10; ++seed) {
        const Verdict once = run_apart({draw_plan(seed)}, rules);
        const Verdict again = run_apart({draw_plan(seed), once.tape}, rules);
        EXPECT_EQ(once.tally.hash, again.tally.hash) << "seed " << seed;
    }
}

TEST(Runs, ALogNamesWhatHappenedAndShowsPages) {
    const Verdict verdict = run_apart({.plan = draw_plan(1), .log = true}, *mm::preset("6.18"));
    EXPECT_NE(verdict.log.find("create M1"), std::string::npos);
    EXPECT_NE(verdict.log.find("M1:"), std::string::npos);
}

}  // namespace
}  // namespace verso::check::swarm
