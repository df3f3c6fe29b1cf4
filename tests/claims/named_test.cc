// The claims that this project exists for, each by name: the bug as the release that had it, its
// cure as the release that brought it, and the running kernel.
#include <gtest/gtest.h>

#include "claims/claim.h"
#include "claims/running_kernel.h"

namespace verso::claims {
namespace {

void on_release(const char* release, const char* program, const char* words) {
    EXPECT_EQ(verdict_on_model(*mm::preset(release), program, words), words)
        << release << ": " << program;
}

/// On the running kernel; what the machine lacks is said.
void on_the_running_kernel(const char* program, const char* words) {
    std::string seen = why_not_here();
    seen = seen.empty() ? verdict_on_the_running_kernel(program, words) : "not run: " + seen;
    if (seen.starts_with("not run: ")) {
        std::printf("%s\n", seen.c_str());
        GTEST_SKIP() << seen;
    }
    EXPECT_EQ(seen, words) << program;
}

const char* const five_steps = "SS: store; clear_refs; REGISTER(WP); UNREGISTER; store";
const char* const lost = "SS: store; REGISTER(WP); WRITEPROTECT; migrate; store";
const char* const lost_read_only = "SS: pwrite; load; REGISTER(WP); WRITEPROTECT; migrate; store";
const char* const lost_hugetlb = "HS: store; REGISTER(WP); WRITEPROTECT; migrate; store";
const char* const lost_thp =
    "SS, huge: POPULATE_WRITE; COLLAPSE; REGISTER(WP); WRITEPROTECT; load; "
    "migrate@0; store";
const char* const anonymous_thp =
    "A, huge: HUGEPAGE; store; REGISTER(WP); WRITEPROTECT; migrate; store@1";
const char* const hinted = "SS: store; REGISTER(WP); WRITEPROTECT; hint; load; store";
const char* const swapping_off = "A: store; REGISTER(WP); WRITEPROTECT; reclaim; swapoff";
const char* const swapped_off = "A: store; REGISTER(WP); WRITEPROTECT; reclaim; swapoff; store";
const char* const forked = "SS: store; REGISTER(WP); WRITEPROTECT; DONTNEED; fork; child scan";
const char* const doubly =
    "A: REGISTER(MISSING|WP); WRITEPROTECT; store -> msg [N]; COPY(WP) -> "
    "[Pu]; store -> msg [Pu]; clear -> [P]; store";
const char* const read_first = "A: load; REGISTER(WP); WRITEPROTECT; store";

TEST(FiveStepSoftDirtySequence, IsMissedIn62AndSeenIn63) {
    on_release("6.1.191", five_steps, "silent undirtied");
    on_release("6.2", five_steps, "silent undirtied");
    on_release("6.3", five_steps, "silent dirty");
    on_release("6.18", five_steps, "silent dirty");
}
TEST(MigrationOfAReadOnlyShmemPage, LosesAWriteIn519AndNotIn62) {
    for (const char* const program : {lost, lost_read_only}) {
        on_release("5.19", program, "silent");
        on_release("6.1", program, "silent");
        on_release("6.1.8", program, "msg");
        on_release("6.2", program, "msg");
        on_release("6.18", program, "msg");
    }
}
TEST(MigrationOfAReadOnlyShmemPage, LosesNothingOnTheRunningKernel) {
    on_the_running_kernel(lost, "msg");
    on_the_running_kernel(lost_read_only, "msg");
}
TEST(MigrationOfAHugetlbPage, LosesAWriteIn519AndNotIn62) {
    on_release("5.19", lost_hugetlb, "silent");
    on_release("6.2", lost_hugetlb, "msg");
}
TEST(MigrationOfAHugetlbPage, LosesNothingOnTheRunningKernel) {
    const Result<std::shared_ptr<host::Machine>> machine = pool_of_huge_pages();
    on_the_running_kernel(lost_hugetlb, "msg");
}
TEST(MigrationOfAShmemThp, LosesAWriteIn519AndNotIn62) {
    on_release("5.19", lost_thp, "silent");
    on_release("6.2", lost_thp, "msg");
}
TEST(MigrationOfAShmemThp, LosesNothingOnTheRunningKernel) {
    on_the_running_kernel(lost_thp, "msg");
}
TEST(MigrationOfAnAnonymousThp, NeverLostAWrite) {
    for (const char* const release : {"5.7", "5.19", "6.2", "6.18"}) {
        on_release(release, anonymous_thp, "msg");
    }
}
TEST(MigrationOfAnAnonymousThp, LosesNothingOnTheRunningKernel) {
    on_the_running_kernel(anonymous_thp, "msg");
}
TEST(Swapoff, NeverEndsWhereEntriesAreComparedWithTheirProtection) {
    const mm::Rules broken = rules([](mm::Rules& r) { r.swap_compare_ignores_u = false; });
    EXPECT_EQ(verdict_on_model(broken, swapping_off, "done [Pu]"),
              "not run: swapoff: it never ends");
    on_release("5.19", swapped_off, "msg [Pu]");
}
TEST(Swapoff, KeepsProtectionOnTheRunningKernel) { on_the_running_kernel(swapped_off, "msg [Pu]"); }
TEST(NumaHint, LosesAWriteIn61AndNotIn62) {
    on_release("6.1", hinted, "silent");
    on_release("6.1.8", hinted, "msg");
    on_release("6.2", hinted, "msg");
}
TEST(NumaHint, LosesNothingOnTheRunningKernel) { on_the_running_kernel(hinted, "msg"); }
TEST(ForkWithoutItsEvent, LeavesMarkersInTheChildIn61AndNotIn62) {
    on_release("6.1", forked, "[K(WP)]");
    on_release("6.2", forked, "[N]");
}
TEST(ForkWithoutItsEvent, LeavesNoMarkersOnTheRunningKernel) {
    on_the_running_kernel(forked, "[N]");
}
TEST(TwoMarkerProposal, ProtectUnmapMapAndScanDoWhatItsTableSays) {
    unsigned rows = 0;
    for (const Row& row : none_means_protected().rows) {
        const int number = row.id.size() == 5 ? std::stoi(row.id.substr(3)) : 0;
        if ((number >= 1 && number <= 8) || number >= 16) {
            const Verdicts seen = row.show();
            EXPECT_EQ(seen.on, row.on) << row.id << ", mainline";
            EXPECT_EQ(seen.off, row.off) << row.id << ", proposal";
            ++rows;
        }
    }
    EXPECT_EQ(rows, 13U);
}
TEST(DoubleRegistration, NotifiesOfTheFirstStoreToAnEmptyPage) {
    for (const char* const release : {"5.7", "6.1", "6.4", "6.18"}) {
        on_release(release, doubly, "silent [P]");
        on_release(release, read_first, "msg [Pu]");
    }
}
TEST(DoubleRegistration, NotifiesOnTheRunningKernel) {
    on_the_running_kernel(doubly, "silent [P]");
    on_the_running_kernel(read_first, "msg [Pu]");
}

}  // namespace
}  // namespace verso::claims
