// PAGEMAP_SCAN: categories (9.4) and arming (9.6).
#include "behaviour/behaviour.h"

namespace verso::behaviour {
namespace {

VERSO_BEHAVIOUR(Scan);

TEST_P(Scan, SaysWhatAPageIs) {  // SC-16, SC-17, SC-21
    holds_for("A SS SP FS FP", "scan(PRESENT) -> = 0; store; scan(PRESENT) -> = 1");
    holds("A: load; scan(PFNZERO) -> = 1; store; scan(PFNZERO) -> = 0");
    holds_for("SS FS", "store; scan(FILE) -> = 1");
    holds_for("A SP FP", "store; scan(FILE) -> = 0");
}
TEST_P(Scan, SaysWhatIsInSwapOrAMarker) {  // SC-18, SC-19
    holds_for("A SP", "store; reclaim; scan(SWAPPED) -> = 1");
    holds_for("SS SP", "REGISTER(WP); WRITEPROTECT; scan(SWAPPED) -> = 1");
}
TEST_P(Scan, SaysWhatIsGuardedOrPoisoned) {  // SC-20
    holds_for("A SS SP", "GUARD_INSTALL; scan(GUARD) -> = 1");
    holds_for("A SS, poison", "REGISTER(MISSING); POISON; scan(SWAPPED|WRITTEN) -> = 1");
}
TEST_P(Scan, SaysWhatIsHuge) {  // SC-24, SC-25
    holds_for("HS HP", "store; scan(HUGE) -> = 1");
    holds("A, huge: HUGEPAGE; store; scan(HUGE) -> = all");
}
TEST_P(Scan, CallsOnlyAsynchronouslyProtectedMemoryTrackable) {  // 9.3
    holds_for("A SS SP HS HP, async", "store; REGISTER(WP); scan(WPALLOWED) -> = 1");
    holds_for("A SS SP HS HP", "store; REGISTER(WP); scan(WPALLOWED) -> = 0");
}
TEST_P(Scan, CallsWhatWasNeverMappedWritten) {  // SC-22, SC-26
    holds_for("A SS SP HS HP FS FP, async", "REGISTER(WP); scan(WRITTEN) -> = 1 written");
}
TEST_P(Scan, RefusesToArmWhatIsNotAsynchronous) {  // SC-11
    holds_for("A SS", "store; REGISTER(WP); arm -> EPERM [P]");
    holds("A, async: store; arm -> EPERM [P]");
}

VERSO_BEHAVIOUR(Arm);

TEST_P(Arm, ReportsOnceWhatWasWrittenOnce) {  // SC-31, SC-39
    holds_for("A SS SP HS HP FS FP, async",
              "store; REGISTER(WP); arm -> = 1 [Pu] clean; arm -> = 0 clean; load -> clean; "
              "store -> silent written; arm -> = 1 clean");
}
TEST_P(Arm, LeavesAMarkerWhereNothingIs) {  // SC-33
    holds_for("A SS SP HS HP, async",
              "REGISTER(WP); arm -> = 1 [K(WP)] clean; load -> = 0 [Pu] clean; "
              "store -> silent written");
}
TEST_P(Arm, TellsPagesApart) {  // SC-39
    holds_for("A SS SP FS FP, 3 pages, async",
              "store@0; store@1; store@2; REGISTER(WP); arm -> = 3; store@1; "
              "scan(WRITTEN) -> = 1; arm -> = 1; scan(WRITTEN) -> = 0");
}
TEST_P(Arm, TakesOnlyWhatMatches) {
    holds("A, 2 pages, async: store@0; REGISTER(WP); arm(PRESENT) -> = 1 [Pu N]");
}
TEST_P(Arm, LeavesGuardsAlone) {  // SC-34
    holds_for("A SS, async", "REGISTER(WP); GUARD_INSTALL; arm -> [K(GUARD)]; load -> SIGSEGV");
}
TEST_P(Arm, UnprotectingCountsAsAWrite) {  // AS-5
    holds_for("A SS SP, async", "store; REGISTER(WP); arm -> clean; clear -> [P] written");
}
TEST_P(Arm, FillingUnprotectedCountsAsAWrite) {  // AS-5
    holds_for("A SS SP, async", "REGISTER(MISSING|WP); arm -> [K(WP)] clean; COPY -> [P] written");
}
TEST_P(Arm, ChangingAccessDoesNot) {  // AS-6
    holds_for("A SS SP, async",
              "store; REGISTER(WP); arm; mprotect(READ) -> clean; "
              "mprotect(READ|WRITE) -> clean; store -> silent written");
}
TEST_P(Arm, AZeroPageIsTrackedToo) {  // SC-31
    holds("A, async: load; REGISTER(WP); arm -> = 1 [Pu] clean; store -> silent [P] written");
}

}  // namespace
}  // namespace verso::behaviour
