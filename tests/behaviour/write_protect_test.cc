// WRITEPROTECT on each kind of entry (section 7) and its errors (5.5); mprotect (8.1).
#include "behaviour/behaviour.h"

namespace verso::behaviour {
namespace {

VERSO_BEHAVIOUR(WriteProtect);

TEST_P(WriteProtect, LeavesEmptyAnonymousMemoryAloneWithoutTheFeature) {  // W-1, S4-01
    holds("A: REGISTER(WP); WRITEPROTECT -> done [N]; store -> silent [P]");
}
TEST_P(WriteProtect, LeavesAMarkerInEmptyMemoryThatUsesThem) {  // W-2
    holds_for("SS SP HS HP", "REGISTER(WP); WRITEPROTECT -> [K(WP)]; clear -> [N]");
    holds("A, unpopulated: REGISTER(WP); WRITEPROTECT -> [K(WP)]; clear -> [N]");
}
TEST_P(WriteProtect, TwiceIsTheSameAsOnce) {  // W-10, W-18
    holds_for("A SS SP HS HP",
              "store; REGISTER(WP); WRITEPROTECT -> [Pu]; WRITEPROTECT -> [Pu]; "
              "store -> msg; clear -> [P]; store -> silent");
    holds_for("SS SP HS HP", "REGISTER(WP); WRITEPROTECT -> [K(WP)]; WRITEPROTECT -> [K(WP)]");
}
TEST_P(WriteProtect, AndUnprotectLeavesContentsAlone) {  // W-18
    holds_for("A SS SP HS HP", "store(9); REGISTER(WP); WRITEPROTECT; clear; load -> = 9 [P]");
}
TEST_P(WriteProtect, MarksAPageInSwap) {  // W-6
    holds_for("A SP",
              "store(9); REGISTER(WP); reclaim -> [S]; WRITEPROTECT -> [Su]; "
              "load -> = 9 [Pu]; store -> msg");
}
TEST_P(WriteProtect, UnmarksAPageInSwap) {  // W-6
    holds_for("A SP",
              "store(9); REGISTER(WP); WRITEPROTECT; reclaim -> [Su]; clear -> [S]; "
              "store -> silent [P]");
}
TEST_P(WriteProtect, LeavesPoisonAndGuardsInPlace) {  // W-11
    holds_for("A SS SP, poison",
              "REGISTER(MISSING|WP); POISON; WRITEPROTECT -> [K(POISONED)]; "
              "clear -> [K(POISONED)]");
    holds_for("A SS SP",
              "REGISTER(WP); GUARD_INSTALL; WRITEPROTECT -> [K(GUARD)]; "
              "clear -> [K(GUARD)]; load -> SIGSEGV");
}
TEST_P(WriteProtect, TakesAHintAwayAndProtects) {  // W-5
    holds("SS: store; REGISTER(WP); hint; WRITEPROTECT -> [Pu]; store -> msg [Pu]");
}
TEST_P(WriteProtect, OfUnregisteredMemoryIsRefused) {  // WP-9
    holds_for("A SS SP HS HP", "store; WRITEPROTECT -> ENOENT [P]");
    holds_for("A SS", "REGISTER(MISSING); WRITEPROTECT -> ENOENT");
}
TEST_P(WriteProtect, ThroughAnotherUserfaultfdIsRefused) {  // WP-9
    holds_for("A SS", "store; other REGISTER(WP); WRITEPROTECT -> ENOENT [P]");
}
TEST_P(WriteProtect, OfAHoleIsRefused) {  // WP-8
    holds("A: REGISTER(WP); munmap; WRITEPROTECT -> ENOENT");
}
TEST_P(WriteProtect, SkipsAHole) {  // WP-13
    holds("A, 3 pages: store@0; store@2; REGISTER(WP); munmap@1; WRITEPROTECT -> done [Pu N Pu]");
}
TEST_P(WriteProtect, StopsAtAMappingThatIsNotRegisteredAndKeepsWhatItDid) {  // WP-13
    holds(
        "A, 3 pages: store@0; store@1; store@2; REGISTER(WP)@0-1; WRITEPROTECT -> ENOENT "
        "[Pu Pu P]");
}
TEST_P(WriteProtect, SpansMappings) {  // WP-13
    holds(
        "A, 2 pages: store@0; store@1; REGISTER(WP); mprotect(READ)@1; WRITEPROTECT -> done "
        "[Pu Pu]");
}
TEST_P(WriteProtect, WithDontWakeIsInvalidUnlessItUnprotects) {  // WP-5
    holds("A: store; REGISTER(WP); WRITEPROTECT(DONTWAKE) -> EINVAL [P]; clear(DONTWAKE) -> done");
}

VERSO_BEHAVIOUR(Mprotect);

TEST_P(Mprotect, DoesNotLiftProtection) {  // E-MP1, E-MP2, E-MP6, 14.1
    holds_for("A SS SP HS HP",
              "store; REGISTER(WP); WRITEPROTECT; mprotect(NONE) -> [Pu]; mprotect(READ); "
              "mprotect(READ|WRITE) -> [Pu]; store -> msg [Pu]");
}
TEST_P(Mprotect, LeavesMarkersAndSwapEntriesAlone) {  // E-MP4
    holds_for("A SP",
              "store; REGISTER(WP); WRITEPROTECT; reclaim -> [Su]; mprotect(READ) -> [Su]; "
              "mprotect(READ|WRITE) -> [Su]; store -> msg");
    holds_for("SS",
              "store; REGISTER(WP); WRITEPROTECT; reclaim -> [K(WP)]; "
              "mprotect(READ) -> [K(WP)]; mprotect(READ|WRITE); store -> msg");
}
TEST_P(Mprotect, NoneIsASegmentationFaultAlsoForAMovedPage) {  // S2-24
    holds_for("A SS",
              "store(9); REGISTER(WP); WRITEPROTECT; mprotect(NONE); load -> SIGSEGV; "
              "mprotect(READ); load -> = 9 [Pu]");
}

}  // namespace
}  // namespace verso::behaviour
