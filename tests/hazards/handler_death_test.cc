// H15: whoever serves the faults of another process is killed, at every step of what it does. The
// one it served is resumed, or killed with it, as it asked to be; it never finds zeroes and never
// waits for ever. (A hang ends the test by its time limit.)
//
// A step is one call that the engine makes of the kernel: the engine is killed at its entry.
#include <csignal>

#include "hazards/hooked.h"
#include "support/peer.h"

namespace verso::test {
namespace {

constexpr u64 seed = 51;
constexpr u64 pages = 600;

/// Who takes part, and what is known of them so far.
struct Trio {
    Peer engine;
    Peer lender;
    Peer child;
    bool lent = false;
    bool has_child = false;
};

/// The whole life of a loan, until the engine is killed in the middle of it. True: it survived.
bool live_until_killed(Trio& trio, u64 step, bool die_with_engine) {
    (void)trio.engine.ask({.verb = Verb::die_at, .version = step});
    auto [engine_end, lender_end] = socket_pair();
    trio.lender.tell({.verb = Verb::lend,
                      .pages = pages,
                      .seed = seed,
                      .version = die_with_engine ? u64{1} : u64{0}},
                     lender_end.get());
    trio.engine.tell({.verb = Verb::attach, .seed = seed}, engine_end.get());
    engine_end.reset();  // or the lender would not see that it closed
    lender_end.reset();
    const bool attached = trio.engine.hear().ok;
    trio.lent = trio.lender.hear().ok;
    if (!attached || !trio.lent || !trio.engine.ask({.verb = Verb::snapshot}).ok) {
        return false;
    }
    (void)trio.lender.ask({.verb = Verb::churn_lent});
    auto [source_end, child_end] = socket_pair();
    trio.engine.tell({.verb = Verb::export_fork}, source_end.get());
    trio.child.tell({.verb = Verb::import, .seed = seed}, child_end.get());
    source_end.reset();
    child_end.reset();
    const bool exported = trio.engine.hear().ok;
    trio.has_child = trio.child.hear().ok;
    if (trio.has_child) {
        const Answer seen = trio.child.ask({.verb = Verb::check});
        EXPECT_EQ(seen.wrong, 0U) << "the child reads newer bytes, or zeroes";
        EXPECT_EQ(seen.right + seen.lost, pages);
    }
    if (!exported || !trio.lender.ask({.verb = Verb::rest}).ok) {
        return false;
    }
    return trio.engine.ask({.verb = Verb::rewind}).ok &&
           trio.engine.ask({.verb = Verb::services}).ok;
}

/// Kills the engine at one step after another. Returns how many steps there were.
u64 kill_at_every_step(bool die_with_engine) {
    u64 lent = 0;
    for (u64 step = 1;; step += 1 + step / 16) {
        SCOPED_TRACE("killed at call " + std::to_string(step));
        Trio trio;
        const bool survived = live_until_killed(trio, step, die_with_engine);
        if (survived || testing::Test::HasFailure()) {
            EXPECT_GT(lent, 20U) << "hardly a step came after the loan";
            return step;
        }
        EXPECT_EQ(trio.engine.wait(), SIGKILL);
        lent += trio.lent ? 1 : 0;
        if (trio.lent && die_with_engine) {
            EXPECT_EQ(trio.lender.wait(), SIGKILL);
            continue;
        }
        const bool alive = trio.lender.ask({.verb = Verb::rest}).ok;
        if (!alive && die_with_engine) {  // it had lent, and died before it could say so
            EXPECT_EQ(trio.lender.wait(), SIGKILL);
            continue;
        }
        const Answer whole = trio.lender.ask({.verb = Verb::whole_lent});
        EXPECT_EQ(whole.right, pages) << whole.wrong << " pages of the lender are no page of it";
        (void)trio.lender.ask({.verb = Verb::churn_lent});
        EXPECT_GT(trio.lender.ask({.verb = Verb::rest}).value, 0U);
        if (trio.has_child) {  // once more, now that it reads everything itself
            const Answer seen = trio.child.ask({.verb = Verb::check});
            EXPECT_EQ(seen.wrong, 0U) << "the orphan reads newer bytes, or zeroes";
            EXPECT_EQ(seen.right + seen.lost, pages);
        }
    }
}

TEST(H15_HandlerKilledAtEveryStep, TheLenderGoesOnWithItsOwnBytesIfItAskedToResume) {
    VERSO_NEEDS_USERFAULTFD();
    RecordProperty("steps", std::to_string(kill_at_every_step(false)));
}

TEST(H15_HandlerKilledAtEveryStep, TheLenderDiesTooIfItAskedTo) {
    VERSO_NEEDS_USERFAULTFD();
    RecordProperty("steps", std::to_string(kill_at_every_step(true)));
}

TEST(H15_HandlerKilledAtEveryStep, AChildReadsItsMomentFromTheFilesOfItsKilledSource) {
    VERSO_NEEDS_USERFAULTFD();
    u64 exported = 0;
    for (u64 step = 1;; step += 1 + step / 16) {
        SCOPED_TRACE("killed at call " + std::to_string(step));
        Peer source;
        Peer child;
        (void)source.ask({.verb = Verb::die_at, .version = step});
        (void)source.ask({.verb = Verb::create, .pages = pages, .seed = seed});
        (void)source.ask({.verb = Verb::snapshot});
        auto [source_end, child_end] = socket_pair();
        source.tell({.verb = Verb::export_fork}, source_end.get());
        child.tell({.verb = Verb::import, .seed = seed}, child_end.get());
        source_end.reset();
        child_end.reset();
        (void)source.hear();
        if (child.hear().ok) {
            ++exported;
            (void)source.ask({.verb = Verb::churn});
            const Answer seen = child.ask({.verb = Verb::check});
            EXPECT_EQ(seen.right, pages) << seen.wrong << " wrong, " << seen.lost << " lost";
        }
        if (source.ask({.verb = Verb::rest}).ok || HasFailure()) {  // it outlived all its steps
            break;
        }
        EXPECT_EQ(source.wait(), SIGKILL);
    }
    EXPECT_GT(exported, 5U);
}

}  // namespace
}  // namespace verso::test
