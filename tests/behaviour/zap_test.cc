// What is left where something was taken away: section 8.2, and MADV_FREE (8.3); guards (8.11).
#include "behaviour/behaviour.h"

namespace verso::behaviour {
namespace {

VERSO_BEHAVIOUR(Zap);

TEST_P(Zap, AnonymousMemoryForgetsItsProtection) {  // E-ZP1
    holds("A: store; REGISTER(WP); WRITEPROTECT; DONTNEED -> [N]; load -> = 0 [P]");
    holds("A, unpopulated: REGISTER(WP); WRITEPROTECT -> [K(WP)]; DONTNEED -> [N]");
    holds("A: store; REGISTER(WP); WRITEPROTECT; reclaim -> [Su]; DONTNEED -> [N]");
}
TEST_P(Zap, SharedMemoryKeepsItAsAMarker) {  // E-ZP2
    holds_for("SS HS",
              "store(6); REGISTER(WP); WRITEPROTECT; DONTNEED -> [K(WP)]; "
              "load -> = 6 [Pu]; store -> msg");
    holds_for("SS HS", "REGISTER(WP); WRITEPROTECT; DONTNEED -> [K(WP)]");
}
TEST_P(Zap, AnUnprotectedPageLeavesNothing) {  // E-ZP3, E-ZP6
    holds_for("SS SP HS HP", "store; REGISTER(WP); DONTNEED -> [N]; store -> silent");
}
TEST_P(Zap, AFilesOwnPageInAPrivateMappingLeavesAMarker) {  // E-ZP4
    holds("SP: pwrite(6); load; REGISTER(WP); WRITEPROTECT; DONTNEED -> [K(WP)]; load -> = 6 [Pu]");
}
TEST_P(Zap, APrivateCopyLeavesAMarker) {  // E-ZP5, sync
    holds_for("SP HP", "store; REGISTER(WP); WRITEPROTECT; DONTNEED -> [K(WP)]; store -> msg");
}
TEST_P(Zap, AsynchronousAPrivateCopyThatGoesIsAWrite) {  // E-ZP5, async
    holds_for("SP HP, async", "store; REGISTER(WP); arm -> clean; DONTNEED -> [N] written");
}
TEST_P(Zap, AsynchronousAnonymousMemoryThatGoesIsAWrite) {  // E-ZP1, S3-10
    holds("A, async: store; REGISTER(WP); arm -> clean; DONTNEED -> [N] written");
}
TEST_P(Zap, AsynchronousSharedMemoryStaysClean) {  // E-ZP2
    holds_for("SS HS FS, async", "store; REGISTER(WP); arm -> clean; DONTNEED -> [K(WP)] clean");
}
TEST_P(Zap, GuardsStay) {  // E-ZP7
    holds_for("A SS SP", "GUARD_INSTALL; DONTNEED -> [K(GUARD)]; load -> SIGSEGV");
}
TEST_P(Zap, PoisonGoesInFileMappings) {  // E-ZP8
    holds_for("A SS SP, poison", "REGISTER(MISSING); POISON; DONTNEED -> [N]; load -> msg");
}
TEST_P(Zap, AHolePunchedKeepsTheMarker) {  // E-ZP10, E-ZP12
    holds_for("SS HS",
              "store; REGISTER(WP); WRITEPROTECT; punch -> [K(WP)]; load -> = 0 [Pu]; "
              "store -> msg");
    holds_for("SS", "store; REGISTER(WP); WRITEPROTECT; REMOVE -> [K(WP)]; load -> = 0 [Pu]");
}
TEST_P(Zap, AHolePunchedLeavesPrivateCopies) {  // E-ZP10
    holds("SP: store(5); REGISTER(WP); WRITEPROTECT; punch -> [Pu]; load -> = 5");
}
TEST_P(Zap, AHolePunchedInHugetlbTakesPrivateCopiesAlong) {  // as seen on 6.18
    holds("HP: store(5); punch -> [N]; load -> = 0");
    holds("HP: store(5); REGISTER(WP); WRITEPROTECT; punch -> [K(WP)]; load -> = 0 [Pu]");
}
TEST_P(Zap, TruncationTakesPrivateCopiesAlong) {  // E-ZP11
    holds("SP: store; truncate -> [N]; load -> SIGBUS");
    holds("SS: store; REGISTER(WP); WRITEPROTECT; truncate -> [K(WP)]; load -> SIGBUS");
}
TEST_P(Zap, UnmappingTakesEverything) {  // E-ZP13
    holds_for("A SS SP HS HP", "store; REGISTER(WP); WRITEPROTECT; munmap -> [N]; load -> SIGSEGV");
}
TEST_P(Zap, FreeKeepsThePageAndItsProtection) {  // E-SW4
    holds("A: store(5); REGISTER(WP); WRITEPROTECT; FREE -> [Pu]; load -> = 5; store -> msg");
}
TEST_P(Zap, FreeDropsAPageInSwap) {  // E-SW5
    holds("A: store; REGISTER(WP); WRITEPROTECT; reclaim -> [Su]; FREE -> [N]; load -> = 0");
}
TEST_P(Zap, FreeIsForAnonymousMemoryOnly) { holds_for("SS SP", "store; FREE -> EINVAL [P]"); }

VERSO_BEHAVIOUR(Guard);

TEST_P(Guard, IsASegmentationFault) {  // E-GR1, E-GR5
    holds_for("A SS SP", "GUARD_INSTALL -> [K(GUARD)]; load -> SIGSEGV; store -> SIGSEGV");
}
TEST_P(Guard, ReplacesAPage) {  // E-GR2
    holds_for("A SS SP",
              "store; REGISTER(WP); GUARD_INSTALL -> [K(GUARD)]; GUARD_REMOVE -> [N]; "
              "store -> silent");
}
TEST_P(Guard, ReplacesAProtectedPage) {  // E-GR2
    holds(
        "A: store; REGISTER(WP); WRITEPROTECT; GUARD_INSTALL -> [K(GUARD)]; GUARD_REMOVE -> [N]; "
        "store -> silent");
}
TEST_P(Guard, ReplacesAMarker) {  // E-GR2
    holds("SS: REGISTER(WP); WRITEPROTECT; GUARD_INSTALL -> [K(GUARD)]");
    holds("SP: store; REGISTER(WP); WRITEPROTECT; GUARD_INSTALL -> [K(GUARD)]");
}
TEST_P(Guard, TwiceIsTheSameAsOnce) {  // E-GR3
    holds_for("A SS SP",
              "GUARD_INSTALL; GUARD_INSTALL -> done [K(GUARD)]; GUARD_REMOVE -> [N]; "
              "load -> = 0");
}
TEST_P(Guard, IsNotForHugetlb) { holds_for("HS HP", "GUARD_INSTALL -> EINVAL [N]"); }  // E-GR4
TEST_P(Guard, RemovalLeavesOtherThingsAlone) {                                         // E-GR6
    holds_for("A SS SP", "store(5); GUARD_REMOVE -> [P]; load -> = 5");
}
TEST_P(Guard, IsInheritedByAChild) {  // E-GR7, E-FK9
    holds_for("A SP", "GUARD_INSTALL; fork; child load -> SIGSEGV");
}
TEST_P(Guard, SurvivesTheKernelsAccesses) {
    holds_for("A SS", "GUARD_INSTALL; read -> EFAULT; write -> EFAULT [K(GUARD)]");
}

}  // namespace
}  // namespace verso::behaviour
