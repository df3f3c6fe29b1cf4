// What somebody who waits for a search relies on: it says how far it is, it can be stopped and goes
// on, and it does not visit twice what differs in names only.
#include <filesystem>

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "against/toy.h"
#include "check/explore/explore.h"

namespace verso::check::explore {
namespace {

Request request_of(const std::string& scope, unsigned workers = 1) {
    Request request;
    request.scope = parse_scope(scope).value();
    request.workers = workers;
    request.rules = "mended";  // 6.18 breaks something soon
    return request;
}

std::vector<u64> levels_of(const std::string& scope) {
    return explore(request_of(scope)).value().level_states;
}

TEST(ExploreWalk, PagesThatWereTouchedInAnotherOrderAreOneState) {
    // Nothing; page 0 or page 1; both. The second store takes the other physical page.
    EXPECT_EQ(levels_of("kinds=A,pages=2,calls=store,steps=2"), (std::vector<u64>{1, 2, 1}));
}

TEST(ExploreWalk, ValuesThatWereStoredInAnotherOrderAreOneState) {
    EXPECT_EQ(levels_of("kinds=A,values=2,calls=store,steps=1"), (std::vector<u64>{1, 1}));
}

TEST(ExploreWalk, WhicheverThreadStoresItIsOneState) {
    const auto states = [](const char* threads) {
        return explore(request_of(std::string("kinds=A,modes=messages,steps=9,calls=store+"
                                              "REGISTER(WP)+WRITEPROTECT+messages,threads=") +
                                  threads))
            .value()
            .states;
    };
    EXPECT_EQ(states("1"), 6U);
    // New is only that the other one waits, too, once the first message was read: its own message
    // unread, then read. (Two unread messages do not fit into a State.)
    EXPECT_EQ(states("2"), 8U);
}

TEST(ExploreWalk, ASecondThreadMayMakeEveryCallThatTheFirstMay) {
    const std::vector<Act> acts = acts_of(parse_scope("kinds=A,threads=2,pages=2").value());
    const auto of = [&](u8 thread) {
        return std::ranges::count_if(acts, [&](const Act& one) { return one.thread == thread; });
    };
    EXPECT_EQ(of(0), of(1));
    EXPECT_GT(of(0), 60);
}

TEST(ExploreWalk, SaysHowLargeTheSearchWillBeOnceAndHowFarItIs) {
    std::vector<double> estimates;
    std::vector<u64> states;
    double expected = 0;
    Listener listener;
    listener.estimate = [&](const Estimate& one) { estimates.push_back(one.states); };
    listener.progress = [&](const Progress& one) {
        states.push_back(one.states);
        expected = one.expected;
    };
    const Report report = explore(request_of("kinds=all,steps=5"), listener).value();
    ASSERT_EQ(estimates.size(), 1U);
    EXPECT_LT(std::abs(estimates.front() / static_cast<double>(report.states) - 1), 0.5);
    ASSERT_GT(states.size(), 5U);
    EXPECT_TRUE(std::ranges::is_sorted(states));
    EXPECT_GT(expected, 0);
}

TEST(ExploreWalk, SaysNoEstimateOfWhatIsOverAlready) {
    unsigned told = 0;
    Listener listener;
    listener.estimate = [&](const Estimate&) { ++told; };
    const Report report = explore(request_of("kinds=all,steps=4"), listener).value();
    EXPECT_GT(report.states, 5'000U);
    EXPECT_EQ(told, 0U);
}

TEST(ExploreWalk, AResumedSearchKnowsWhatWasFoundAndCountedBeforeIt) {
    const std::string file = testing::TempDir() + "explore.found";
    Request request = request_of("kinds=A,steps=3");
    request.rules = "mended,-markers_exist";
    request.every = true;
    request.coverage = true;
    request.checkpoint = file;
    ASSERT_FALSE(explore(request).value().found.empty());
    request.checkpoint.clear();
    request.scope.steps = 4;
    const Report whole = explore(request).value();
    request.resume = file;
    const Report resumed = explore(request).value();
    std::filesystem::remove(file);
    ASSERT_EQ(resumed.found.size(), whole.found.size());
    for (std::size_t i = 0; i < whole.found.size(); ++i) {
        EXPECT_EQ(resumed.found[i].token, whole.found[i].token);
        EXPECT_EQ(resumed.found[i].times, whole.found[i].times);
    }
    EXPECT_EQ(resumed.edges, whole.edges);
    EXPECT_EQ(resumed.tried, whole.tried);
    EXPECT_EQ(resumed.resumed_depth, 3U);
    EXPECT_EQ(whole.resumed_depth, 0U);
}

TEST(ExploreWalk, ACheckpointTakesThePlaceOfNothingButAPlainFile) {
    const std::string pipe = testing::TempDir() + "explore.pipe";
    std::filesystem::remove(pipe);
    // Why safe: a name of our own in the folder for tests.
    ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
    Request request = request_of("kinds=A,steps=2");
    request.checkpoint = pipe;
    const Result<Report> refused = explore(request);
    EXPECT_TRUE(std::filesystem::is_fifo(pipe));
    std::filesystem::remove(pipe);
    ASSERT_FALSE(refused.has_value());
    EXPECT_NE(refused.error().message.find("no plain file"), std::string::npos);
}

// What SPIN counts of the same model: bench/against/spin --size 2 2 3 3 3.
constexpr bench::ToySize toy_size = {
    .writers = 2, .pages = 2, .writes = 3, .sweeps = 3, .migrations = 3};
constexpr u64 states_that_spin_counts = 262'761;
constexpr u64 steps_that_spin_counts = 1'026'950;

TEST(ExploreWalk, CountsTheStatesOfASmallModelThatSpinCounts) {
    for (const unsigned workers : {1U, 2U}) {
        const bench::ToyCount count = bench::search(bench::Toy(toy_size), workers);
        EXPECT_EQ(count.states, states_that_spin_counts) << workers;
        EXPECT_EQ(count.steps, steps_that_spin_counts) << workers;
    }
}

}  // namespace
}  // namespace verso::check::explore
