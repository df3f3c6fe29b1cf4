// What a run is made again from.
#include <gtest/gtest.h>

#include "check/swarm/token.h"

namespace verso::check::swarm {
namespace {

TEST(Plans, OneSeedIsOnePlan) {
    for (u64 seed = 1; seed < 200; ++seed) {
        EXPECT_EQ(draw_plan(seed), draw_plan(seed));
    }
    EXPECT_NE(draw_plan(1), draw_plan(2));
}

TEST(Plans, EveryFeatureIsOffInSomeSeedsAndOnInOthers) {
    Knobs any{};
    const auto names = by_name(any);
    std::vector<unsigned> on(names.size());
    constexpr unsigned seeds = 400;
    for (u64 seed = 1; seed <= seeds; ++seed) {
        Knobs knobs = draw_plan(seed).knobs;
        const auto drawn = by_name(knobs);
        for (std::size_t i = 0; i < drawn.size(); ++i) {
            on[i] += *drawn[i].second != 0 ? 1 : 0;
        }
    }
    for (std::size_t i = 0; i < names.size(); ++i) {
        EXPECT_GT(on[i], 0U) << names[i].first;
        const bool always = names[i].first == "pages" || names[i].first == "processes" ||
                            names[i].first == "acts" || names[i].first == "stores" ||
                            names[i].first == "kill_within" || names[i].first == "switch_one_in" ||
                            names[i].first == "looks_at_most" || names[i].first == "snapshot" ||
                            names[i].first == "look";
        EXPECT_EQ(on[i] == seeds, always) << names[i].first << ": " << on[i];
    }
}

TEST(Plans, ASmallOneIsOneSnapshotTwoForksFourWritersAndTwoHundredActs) {
    const Plan plan = draw_plan(5, Size::small);
    EXPECT_EQ(plan.acts(), 200U);
    unsigned writers = 0;
    unsigned snapshots = 0;
    unsigned forks = 0;
    for (const Track& track : plan.tracks) {
        writers += track.role == Role::writer ? 1 : 0;
        for (const Act& act : track.acts) {
            const bool of_a_process = track.role == Role::process;
            snapshots += of_a_process && act.what == static_cast<u8>(Verb::snapshot) ? 1 : 0;
            forks += of_a_process && act.what == static_cast<u8>(Verb::fork) ? 1 : 0;
        }
    }
    EXPECT_EQ(writers, 4U);
    EXPECT_EQ(snapshots, 1U);
    EXPECT_EQ(forks, 2U);
    EXPECT_NE(plan, draw_plan(6, Size::small));
}

TEST(Tokens, OfASmallPlanSayThatItIsOne) {
    const Case what{draw_plan(77, Size::small)};
    EXPECT_EQ(token_of("6.2", what), "v1/6.2/small-77");
    const Result<Token> token = parse_token("v1/6.2/small-77");
    ASSERT_TRUE(token);
    EXPECT_EQ(token->what.plan, what.plan);
    EXPECT_FALSE(parse_token("v1/6.2/small-"));
}

TEST(Tokens, ASeedAloneIsAToken) {
    const Case what{draw_plan(77)};
    EXPECT_EQ(token_of("6.2", what), "v1/6.2/77");
    const Result<Token> token = parse_token("v1/6.2/77");
    ASSERT_TRUE(token);
    EXPECT_EQ(token->what.plan, what.plan);
    EXPECT_FALSE(token->what.tape);
    EXPECT_EQ(token->rules, *mm::preset("6.2"));
}

TEST(Tokens, WhatAShrinkerChangedIsInIt) {
    Case what{draw_plan(78)};
    std::vector<bool> kept(what.plan.acts(), true);
    kept[1] = kept[5] = kept.back() = false;
    what.plan = without(what.plan, kept);
    what.plan.knobs.pages = 1;
    what.tape = Tape::Answers{0, 0, 3, 1, 0, 7};
    const std::string text = token_of("5.19", what);
    const Result<Token> token = parse_token(text);
    ASSERT_TRUE(token) << text << ": " << token.error().message;
    EXPECT_EQ(token->what.plan, what.plan) << text;
    EXPECT_EQ(token->what.tape, what.tape) << text;
}

TEST(Tokens, NonsenseIsRefused) {
    for (const char* text : {"", "v1", "v2/6.2/7", "v1/9.99/7", "v1/6.2/x", "v1/6.2/7/a=1//",
                             "v1/6.2/7/pages=0//", "v1/6.2/7//g/", "v1/6.2/7///1"}) {
        EXPECT_FALSE(parse_token(text)) << text;
    }
}

TEST(Tapes, AShorterOneGoesOnCalmly) {
    Tape tape(Tape::Answers{5, 2});
    EXPECT_EQ(tape.choose(4), 3U);  // no further than there are answers
    EXPECT_EQ(tape.choose(4), 2U);
    EXPECT_EQ(tape.choose(4), 0U);
    EXPECT_EQ(tape.taken(), (Tape::Answers{3, 2, 0}));
}

}  // namespace
}  // namespace verso::check::swarm
