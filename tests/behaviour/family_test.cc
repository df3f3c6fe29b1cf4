// fork (8.8) and mremap (8.9), without the events that a second thread must read.
#include "behaviour/behaviour.h"

namespace verso::behaviour {
namespace {

VERSO_BEHAVIOUR(Fork);

TEST_P(Fork, AChildHasNoProtectionAndTheParentKeepsIt) {  // E-FK2, E-FK3, E-FK5
    holds_for("A SP HP",
              "store(4); REGISTER(WP); WRITEPROTECT; fork -> [Pu]; child load -> = 4 [P]; "
              "child store -> silent; store -> msg [Pu]; load -> = 4");
    holds_for("SS HS",
              "store(4); REGISTER(WP); WRITEPROTECT; fork -> [Pu]; child load -> = 4 [P]; "
              "store -> msg [Pu]");
}
TEST_P(Fork, AChildInheritsNoMarker) {  // E-FK8, FX-8
    holds_for("SS SP HS HP",
              "REGISTER(WP); WRITEPROTECT -> [K(WP)]; fork; child scan -> [N]; "
              "child store -> silent");
    holds(
        "A, unpopulated: REGISTER(WP); WRITEPROTECT; fork -> [K(WP)]; child scan -> [N]; "
        "store -> msg");
}
TEST_P(Fork, APageInSwapKeepsItsProtectionInTheParent) {  // E-FK6
    holds_for("A SP",
              "store(4); REGISTER(WP); WRITEPROTECT; reclaim -> [Su]; fork -> [Su]; "
              "child load -> = 4 [P]; store -> msg [Pu]");
}
TEST_P(Fork, AStoreAfterwardsIsNotTheChilds) {
    holds_for("A SP HP", "store(4); fork; store(5); child load -> = 4; load -> = 5");
}
TEST_P(Fork, AsynchronousTheParentsPageStaysClean) {  // AS-6
    holds_for("A SP, async",
              "store; REGISTER(WP); arm; fork -> clean [Pu]; store -> silent written");
}
TEST_P(Fork, AnUnprotectedPageOfAForkIsCopiedAtAStore) {  // FA-13
    holds(
        "A: store(4); REGISTER(WP); fork; WRITEPROTECT; clear; store(5) -> silent; "
        "child load -> = 4");
}

VERSO_BEHAVIOUR(Mremap);

TEST_P(Mremap, WithoutTheEventLeavesProtectionBehind) {  // E-MR2, FX-11
    holds_for("A SP SS",
              "store(4); REGISTER(WP); WRITEPROTECT; mremap -> [N]; load@' -> = 4 [P]; "
              "store@' -> silent");
    holds_for("SS SP", "REGISTER(WP); WRITEPROTECT -> [K(WP)]; mremap; load@' -> = 0 [P]");
}
TEST_P(Mremap, MovesAPageInSwap) {  // E-MR2
    holds("A: store(4); REGISTER(WP); WRITEPROTECT; reclaim -> [Su]; mremap; load@' -> = 4 [P]");
}
TEST_P(Mremap, DontunmapLeavesTheRegistrationInPlace) {  // E-MR7
    holds(
        "A: store(4); REGISTER(MISSING|WP); WRITEPROTECT; mremap(DONTUNMAP) -> [N]; "
        "load -> msg [N]; load@' -> = 4 [P]");
}
TEST_P(Mremap, ShrinkingAndMovingMarkersLeavesTheRestAlone) {  // E-MR6
    holds(
        "A, 2 pages: store@0; store@1; REGISTER(WP); WRITEPROTECT; mremap@1 -> [N]; "
        "store@0 -> msg [Pu]; load@1' -> [P]");
}

}  // namespace
}  // namespace verso::behaviour
