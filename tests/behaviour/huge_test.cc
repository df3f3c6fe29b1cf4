// Huge pages (6.5, 8.6) and same-page merging (8.7).
#include "behaviour/behaviour.h"

namespace verso::behaviour {
namespace {

VERSO_BEHAVIOUR(Thp);

TEST_P(Thp, IsProtectedAsAWhole) {  // W-12, FT-2
    holds(
        "A, huge: HUGEPAGE; store(4) -> [P P]; REGISTER(WP); WRITEPROTECT -> [Pu Pu]; "
        "load -> = 4; store@1 -> msg [Pu]; clear -> [P P]; store@1 -> silent");
}
TEST_P(Thp, IsSplitWhereOnlyAPartChanges) {  // W-13, E-TH1, T-16
    holds(
        "A, huge: HUGEPAGE; store(4); REGISTER(WP); WRITEPROTECT; clear@0 -> [P Pu]; "
        "store@0 -> silent; store@1 -> msg");
    holds(
        "A, huge: HUGEPAGE; store; REGISTER(WP); WRITEPROTECT; mprotect(READ)@0 -> [Pu Pu]; "
        "store@1 -> msg");
    holds("A, huge: HUGEPAGE; store; REGISTER(WP); WRITEPROTECT; DONTNEED@0 -> [N Pu]");
}
TEST_P(Thp, OfZeroesKeepsProtectionWhenSplit) {  // E-TH3, FX-9
    holds(
        "A, huge: HUGEPAGE; load -> = 0 [P P]; REGISTER(WP); WRITEPROTECT -> [Pu Pu]; "
        "clear@0 -> [P Pu]; store@1 -> msg");
}
TEST_P(Thp, IsTrackedPageByPageAsynchronously) {  // FT-3
    holds(
        "A, huge, async: HUGEPAGE; store; REGISTER(WP); arm -> = all [Pu Pu]; "
        "store@1 -> silent written; scan(WRITTEN) -> = 1; load -> clean");
}
TEST_P(Thp, IsArmedInPartWhereTheRangeCutsIt) {  // SC-36
    holds("A, huge, async: HUGEPAGE; store; REGISTER(WP); arm@0 -> = all [Pu P]");
}
TEST_P(Thp, SplitKeepsProtection) {  // E-TH1
    holds(
        "A, huge: HUGEPAGE; store; store@1; REGISTER(WP); WRITEPROTECT; split -> [Pu Pu]; store@1 "
        "-> msg");
}
TEST_P(Thp, ReclaimOfAPartKeepsProtection) {  // 8.3, T-7
    holds(
        "A, huge: HUGEPAGE; store; store@1; REGISTER(WP); WRITEPROTECT; COLD@0 -> [Pu Pu]; store@1 "
        "-> msg");
}
TEST_P(Thp, MigratesWithItsProtection) {
    holds(
        "A, huge: HUGEPAGE; store; REGISTER(WP); WRITEPROTECT; migrate -> [Pu Pu]; "
        "store@1 -> msg");
}
TEST_P(Thp, CollapseIsRefusedWhereSomethingIsProtected) {  // E-TH6
    holds(
        "A, huge: store@0; store@1; REGISTER(WP); WRITEPROTECT@0; COLLAPSE -> EINVAL [Pu P]; "
        "store@0 -> msg");
}
TEST_P(Thp, CollapseOfUnprotectedMemoryWorks) {
    holds("A, huge: POPULATE_WRITE; store(4)@0; COLLAPSE -> done [P P]; load@0 -> = 4");
}
TEST_P(Thp, MovedWithoutTheEventLosesProtection) {  // E-MR4
    holds(
        "A, huge: HUGEPAGE; store(4); store@1; REGISTER(WP); WRITEPROTECT; mremap -> [N N]; "
        "load@' -> = 4 [P P]");
}

VERSO_BEHAVIOUR(Ksm);

TEST_P(Ksm, MergesWhatIsEqualAndAStoreCopies) {  // E-KS1, E-KS5
    holds(
        "A, 2 pages: store(7)@0; store(7)@1; MERGEABLE; merge; load@0 -> = 7; store(8)@0; "
        "load@1 -> = 7");
}
TEST_P(Ksm, LosesNoProtectionSetAfterwards) {  // E-KS6
    holds(
        "A, 2 pages: store(7)@0; store(7)@1; MERGEABLE; merge; REGISTER(WP); WRITEPROTECT -> "
        "[Pu Pu]; store@0 -> msg; clear; store(8)@0 -> silent; load@1 -> = 7");
}
TEST_P(Ksm, UnmergingKeepsProtection) {  // E-KS7
    holds(
        "A, 2 pages: store(7)@0; store(7)@1; MERGEABLE; merge; REGISTER(WP); WRITEPROTECT; "
        "unmerge -> [Pu Pu]; store@0 -> msg");
}
TEST_P(Ksm, AsynchronousACleanPageStaysClean) {  // E-KS4
    holds(
        "A, 2 pages, async: store(7)@0; store(7)@1; MERGEABLE; merge; REGISTER(WP); arm -> = 2 "
        "[Pu Pu] clean; store@0 -> silent written; load@1 -> = 7 clean");
}

}  // namespace
}  // namespace verso::behaviour
