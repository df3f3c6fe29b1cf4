// The list of what is known, asked about traces that are made up: it explains what it is about, and
// nothing that happens beside it in the same step.
#include "check/conform/known.h"

#include <gtest/gtest.h>

#include "abi/abi.h"
#include "check/program/where.h"

namespace verso::check {
namespace {

using abi::PageIs;

/// The model's trace of a program, and one of a kernel that is otherwise in the last step.
struct Traces {
    Program program;
    Trace model;
    Trace kernel;

    explicit Traces(std::string_view text)
        : program(*parse(text)), model(run_on_model(*mm::preset("6.18"), program)), kernel(model) {}
    Seen& last() { return kernel.steps.back(); }
    std::string_view name() const {
        const std::optional<Difference> difference = compare(program, model, kernel);
        EXPECT_TRUE(difference.has_value());
        const Known* const one = known(program, model, kernel, program.steps.size() - 1, "6.18");
        return one == nullptr ? "" : one->name;
    }
};

void lose_protection(PageFacts& page) {
    page.word &= ~abi::PagemapBit::uffd_wp;
    page.categories |= PageIs::written;
}
void call_clean(PageFacts& page) {
    page.word |= abi::PagemapBit::uffd_wp;
    page.categories &= ~PageIs::written;
}

TEST(Known, ExplainsAGuardThatIsArmed) {
    Traces traces("A, 2 pages, async: store@1; REGISTER(WP); GUARD_INSTALL@0; arm");
    call_clean(traces.last().first[0]);
    EXPECT_EQ(traces.name(), "guard-is-armed");
}

TEST(Known, DoesNotExplainAPageThatIsNotArmedBesideAGuard) {
    Traces traces("A, 2 pages, async: store@1; REGISTER(WP); GUARD_INSTALL@0; arm");
    call_clean(traces.last().first[0]);
    lose_protection(traces.last().first[1]);
    EXPECT_EQ(traces.name(), "");
}

TEST(Known, DoesNotExplainAnErrorBesideAGuard) {
    Traces traces("A, 2 pages, async: store@1; REGISTER(WP); GUARD_INSTALL@0; arm");
    traces.last().outcome = "EFAULT";
    EXPECT_EQ(traces.name(), "");
}

TEST(Known, ExplainsProtectionThatOutlivesItsMode) {
    Traces traces("A: store; REGISTER(WP); WRITEPROTECT; REGISTER(MISSING)");
    traces.last().first[0].word |= abi::PagemapBit::uffd_wp;
    EXPECT_EQ(traces.name(), "reregistered-stays-protected");
}

TEST(Known, DoesNotExplainAPageThatRegisteringTakesAway) {
    Traces traces("A: store; REGISTER(WP); WRITEPROTECT; REGISTER(MISSING)");
    traces.last().first[0] = PageFacts{};
    EXPECT_EQ(traces.name(), "");
}

TEST(Known, ExplainsAnIoctlThatReachesTheOthersMemory) {
    Traces traces("A: store; REGISTER(WP); WRITEPROTECT; other clear");
    traces.last().outcome = "done";
    traces.last().first[0].word &= ~abi::PagemapBit::uffd_wp;
    EXPECT_EQ(traces.name(), "any-descriptor");
}

TEST(Known, DoesNotExplainWhatHappensElsewhereMeanwhile) {
    Traces traces("A, 2 pages: store; store@1; REGISTER(WP); WRITEPROTECT; other clear@0");
    traces.last().outcome = "done";
    traces.last().first[0].word &= ~abi::PagemapBit::uffd_wp;
    traces.last().first[1].word &= ~abi::PagemapBit::uffd_wp;
    EXPECT_EQ(traces.name(), "");
}

TEST(Known, DoesNotExplainWhatLosesProtectionWhereAPageWasAheadOnce) {
    Traces traces("SS, 2 pages: store; store@1; REGISTER(WP); WRITEPROTECT; mprotect(READ)");
    traces.kernel.steps[0].first[1] = traces.kernel.steps[0].first[0];  // mapped ahead
    lose_protection(traces.last().first[1]);
    EXPECT_EQ(traces.name(), "");
}

TEST(Known, ExplainsAThreadThatNobodyWakes) {
    Traces traces("A, messages: store; REGISTER(WP); WRITEPROTECT; t1 store; UNREGISTER");
    traces.last().threads = {"t1:blocked"};
    EXPECT_EQ(traces.name(), "unregister-wakes-nobody");
}

TEST(Known, DoesNotExplainProtectionThatStaysWhereNobodyIsWoken) {
    Traces traces(
        "A, 2 pages, messages: store; store@1; REGISTER(WP); WRITEPROTECT; t1 store; "
        "UNREGISTER");
    traces.last().threads = {"t1:blocked"};
    traces.last().first[1].word |= abi::PagemapBit::uffd_wp;
    EXPECT_EQ(traces.name(), "");
}

TEST(Known, DoesNotExplainAnotherPageOfADroppedCopy) {
    Traces traces("SP, 2 pages, async: store; load@1; REGISTER(WP); arm; DONTNEED");
    PageFacts& copy = traces.last().first[0];
    const PageFacts marker = traces.last().first[1];
    ASSERT_EQ(marker.text(), "K(WP)");
    copy = marker;
    EXPECT_EQ(traces.name(), "dropped-copy-is-clean");
    traces.last().first[1] = traces.model.steps.back().first[0];  // and the marker is lost
    EXPECT_EQ(traces.name(), "");
}

}  // namespace
}  // namespace verso::check
