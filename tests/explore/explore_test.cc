// The explorer: what it must find, what it must not find, and that neither workers nor checkpoints
// nor symmetry change what that is.
#include "check/explore/explore.h"

#include <cstdio>
#include <filesystem>

#include <gtest/gtest.h>

#include "check/check.h"
#include "check/explore/token.h"
#include "mm/sim/sim_world.h"

namespace verso::check::explore {
namespace {

Report search(const std::string& rules, const std::string& scope, const std::string& oracles,
              unsigned workers = 1) {
    Request request;
    request.rules = rules;
    request.scope = parse_scope(scope).value();
    request.oracles = parse_oracles(oracles).value();
    request.workers = workers;
    return explore(request).value();
}

std::string found(const Report& report) {
    return report.found.empty() ? "nothing" : report.found.front().litmus;
}

/// The loss that the documents are about.
constexpr const char* kernel_of_the_loss = "5.19";

TEST(Explore, FindsTheDataLossOf519ByItself) {
    const Report report = search(kernel_of_the_loss, "kinds=SS,without=COPY", "I9");
    EXPECT_EQ(found(report), "SS: store; REGISTER(WP); WRITEPROTECT; migrate; store");
    std::printf("%llu states in %.3f s\n", static_cast<unsigned long long>(report.states),
                report.seconds);
}

TEST(Explore, FindsAShorterWayToTheLossThanTheDocumentsHave) {
    const Report report = search(kernel_of_the_loss, "kinds=SS", "I9");
    EXPECT_EQ(found(report), "SS: REGISTER(WP); COPY(WP); migrate; store");
}

TEST(Explore, FindsItWithBothWorkersToo) {
    const Report report = search(kernel_of_the_loss, "kinds=SS", "I9", 2);
    ASSERT_EQ(report.found.size(), 1U);
    EXPECT_EQ(report.found.front().acts.size(), 4U);
}

TEST(Explore, FindsNoLossOnce62TakesWritePermissionFromTheDefault) {
    EXPECT_EQ(found(search("6.2", "kinds=SS,steps=5", "I9")), "nothing");
}

TEST(Explore, FindsARuleThatIsBrokenOnPurpose) {
    EXPECT_EQ(found(search("mended,-markers_exist", "kinds=SS", "I9")),
              "SS: REGISTER(WP); WRITEPROTECT; store");
}

TEST(Explore, WhatItFindsIsAProgramThatShowsTheSameOnASimulatedMachine) {
    const Report report = search("mended,-markers_exist", "kinds=SS", "I9");
    const Program program = parse(found(report)).value();
    mm::Shape shape;
    shape.space_pages = 64;
    FirstChoice choice;
    mm::sim::SimWorld world(parse_rules("mended,-markers_exist").value(), shape, choice);
    const Trace trace = run(world, program);
    ASSERT_EQ(trace.steps.size(), program.steps.size()) << trace.why_not;
    EXPECT_TRUE(matches(program.steps.back(), trace.steps.back(), "silent"))
        << to_text(program, trace);
}

TEST(Explore, ItsTokenMakesTheProgramAgain) {
    const Counterexample shown = search(kernel_of_the_loss, "kinds=SS", "I9").found.at(0);
    const Replay made = replay(shown.token).value();
    EXPECT_EQ(made.broken, shown.sentence);
    EXPECT_EQ(made.litmus, shown.litmus);
    EXPECT_TRUE(made.same_end);
}

TEST(Explore, ATokenWhoseEndIsAnotherSaysSo) {
    std::string token = search(kernel_of_the_loss, "kinds=SS", "I9").found.at(0).token;
    token.back() = token.back() == '0' ? '1' : '0';
    EXPECT_FALSE(replay(token).value().same_end);
}

TEST(Explore, WhatIsNoTokenIsRefused) {
    EXPECT_FALSE(replay("v1/5.19").has_value());
    EXPECT_FALSE(replay("v1/5.19/kinds=SS/I9/0/fly/00").has_value());
    EXPECT_FALSE(replay("v1/5.19/kinds=SS/I9/7/store/00").has_value());
}

TEST(Explore, TwoWorkersMeetTheSameStates) {
    const Report one = search("mended", "kinds=A+SP,steps=5", "all", 1);
    const Report two = search("mended", "kinds=A+SP,steps=5", "all", 2);
    EXPECT_EQ(one.level_states, two.level_states);
    EXPECT_GT(one.states, 10'000U);
}

TEST(Explore, VisitsThreadsThatAreAlikeOnce) {
    const Report one = search("mended", "kinds=A,modes=messages,threads=1,steps=4", "I9");
    const Report two = search("mended", "kinds=A,modes=messages,threads=2,steps=4", "I9");
    // Who is who does not matter in any state of at most four steps in which one thread only waits.
    EXPECT_LT(two.states, 4 * one.states);
    EXPECT_GT(two.states, one.states);
}

TEST(Explore, AProgramNamesThreadsAsItBeganWithThem) {
    const Report report =
        search("mended,-unregister_clears_u", "kinds=A,modes=messages,threads=2,steps=6", "all");
    ASSERT_FALSE(report.found.empty());
    EXPECT_FALSE(replay(report.found.front().token).value().broken.empty());
}

TEST(Explore, GoesOnFromACheckpointAsIfItHadNeverStopped) {
    const std::string file = testing::TempDir() + "explore.checkpoint";
    Request request;
    request.rules = "mended";  // 6.18 breaks something soon
    request.scope = parse_scope("kinds=A+SS,steps=3").value();
    request.workers = 1;
    request.checkpoint = file;
    ASSERT_TRUE(explore(request).has_value());
    request.scope.steps = 5;
    request.checkpoint.clear();
    const Report whole = explore(request).value();
    request.resume = file;
    const Report resumed = explore(request).value();
    EXPECT_EQ(resumed.level_states, whole.level_states);
    EXPECT_EQ(resumed.states, whole.states);
    EXPECT_EQ(resumed.resumed_depth, 3U);
    std::filesystem::remove(file);
}

TEST(Explore, ADamagedCheckpointAndOneOfAnotherSearchAreRefused) {
    const std::string file = testing::TempDir() + "explore.damaged";
    Request request;
    request.scope = parse_scope("kinds=A,steps=2").value();
    request.checkpoint = file;
    ASSERT_TRUE(explore(request).has_value());
    request.checkpoint.clear();
    request.resume = file;
    request.rules = "6.2";
    EXPECT_NE(explore(request).error().message.find("another search"), std::string::npos);
    request.rules = "mended";
    std::filesystem::resize_file(file, std::filesystem::file_size(file) / 2);
    EXPECT_NE(explore(request).error().message.find("damaged"), std::string::npos);
    std::filesystem::remove(file);
}

TEST(Explore, StopsBeforeItUsesMoreMemoryThanItMay) {
    Request request;
    request.rules = "mended";  // 6.18 breaks something soon
    request.scope = parse_scope("kinds=all,pages=2,steps=9").value();
    request.memory_bytes = u64{48} << 20;
    const Report report = explore(request).value();
    EXPECT_EQ(report.ending, Ending::memory);
    EXPECT_LE(report.bytes, request.memory_bytes + (u64{8} << 20));
}

TEST(Explore, SaysHowLargeASearchWouldBe) {
    Request request;
    request.rules = "mended";  // 6.18 breaks something soon
    request.scope = parse_scope("kinds=A,steps=7").value();
    request.estimate_only = true;
    const Report report = explore(request).value();
    EXPECT_EQ(report.ending, Ending::estimated);
    request.estimate_only = false;
    const auto states = static_cast<double>(explore(request).value().states);
    EXPECT_LT(static_cast<double>(report.states), states / 2);
    EXPECT_GT(report.estimate.states, states / 3);
    EXPECT_LT(report.estimate.states, states * 3);
}

TEST(Explore, SaysWhichRulesMattered) {
    Request request;
    request.scope = parse_scope("kinds=SS,steps=3").value();
    request.coverage = true;
    const Report report = explore(request).value();
    const auto times_of = [&](std::string_view name) {
        const auto all = mm::switches();
        const auto at = std::ranges::find(all, name, &mm::Switch::name);
        return report.mattered.times.at(static_cast<std::size_t>(at - all.begin()));
    };
    EXPECT_GT(times_of("prot_wp_writenotify"), 0U);
    EXPECT_EQ(times_of("mremap_clears_u"), 0U) << "nothing moves in one area";
}

TEST(Scope, IsReadBackAsItWasWritten) {
    const char* const texts[] = {"kinds=A+SS,modes=sync,steps=6",
                                 "kinds=HS,modes=async+plain,pages=2,threads=2,steps=9,fine=1",
                                 "kinds=A,modes=sync,pages=2,areas=2,steps=3,thp=1,calls=store+"
                                 "mprotect(READ|WRITE),without=scan,events=fork+remove"};
    for (const char* const text : texts) {
        EXPECT_EQ(to_text(parse_scope(text).value()), text);
    }
}

TEST(Scope, ThatMakesNoSenseIsRefusedWithAReason) {
    for (const char* const text :
         {"pages", "pages=0", "pages=9", "kinds=X", "modes=fast", "calls=fly", "events=rain",
          "nothing=1", "thp=1,pages=1", "areas=2,pages=3", "threads=3,processes=2"}) {
        EXPECT_FALSE(parse_scope(text).has_value()) << text;
    }
    for (const char* const text : {"", "6.0", "6.18,prot", "6.18,-nothing", "6.18,none_policy=x"}) {
        EXPECT_FALSE(parse_rules(text).has_value()) << text;
    }
    EXPECT_FALSE(parse_oracles("I11").has_value());
    EXPECT_FALSE(parse_oracles("").has_value());
}

}  // namespace
}  // namespace verso::check::explore
