// What the kernel does on its own account: reclaim and swap (8.3), migration (8.4), NUMA hints
// (8.5), writeback.
#include "behaviour/behaviour.h"

namespace verso::behaviour {
namespace {

VERSO_BEHAVIOUR(Swap);

TEST_P(Swap, APrivatePageKeepsItsProtection) {  // E-SW1, FA-9, FX-14
    holds_for("A SP",
              "store(4); REGISTER(WP); WRITEPROTECT; reclaim -> [Su]; load -> = 4 [Pu]; "
              "store -> msg");
    holds_for("A SP", "store; REGISTER(WP); WRITEPROTECT; reclaim -> [Su]; store -> msg [Pu]");
}
TEST_P(Swap, AnUnprotectedPageComesBackUnprotected) {  // E-SW1
    holds_for("A SP", "store(4); REGISTER(WP); reclaim -> [S]; store -> silent [P]");
}
TEST_P(Swap, ASharedPageLeavesAMarker) {  // E-SW2, FX-15, S4-09
    holds(
        "SS: store(4); REGISTER(WP); WRITEPROTECT; reclaim -> [K(WP)]; load -> = 4 [Pu]; "
        "store -> msg");
    holds("SS: store; REGISTER(WP); WRITEPROTECT; reclaim -> [K(WP)]; store -> msg [Pu]");
}
TEST_P(Swap, AnUnprotectedSharedPageLeavesNothing) {  // E-SW3
    holds("SS: store(4); REGISTER(WP); reclaim -> [N]; load -> = 4 [P]");
}
TEST_P(Swap, SwapoffKeepsProtection) {  // E-SW10, S2-19, FX-5
    holds_for("A SP",
              "store(4); REGISTER(WP); WRITEPROTECT; reclaim; swapoff -> [Pu]; "
              "load -> = 4; store -> msg");
}
TEST_P(Swap, SwapoffBringsUnprotectedPagesBack) {  // E-SW10
    holds_for("A SP", "store(4); reclaim -> [S]; swapoff -> [P]; store -> silent");
}
TEST_P(Swap, AsynchronousACleanPageStaysClean) {  // AS-6, FX-10
    holds_for("A SP, async",
              "store; REGISTER(WP); arm; reclaim -> [Su] clean; scan(WRITTEN) -> = 0; "
              "load -> [Pu] clean; store -> silent written");
    holds("SS, async: store; REGISTER(WP); arm; reclaim -> [K(WP)] clean; load -> [Pu] clean");
}
TEST_P(Swap, AsynchronousAWrittenPageStaysWritten) {  // I10
    holds_for("A SP SS, async",
              "store; REGISTER(WP); arm; store; reclaim -> written; "
              "load -> written");
}
TEST_P(Swap, ASwappedPageCanBeArmed) {  // SC-32
    holds_for("A SP, async",
              "store; REGISTER(WP); reclaim -> [S]; arm -> = 1 [Su] clean; "
              "store -> silent [P] written");
}

VERSO_BEHAVIOUR(Migration);

TEST_P(Migration, ChangesNothingThatCanBeSeen) {  // E-MG12
    holds_for("A SS SP", "store(4); migrate -> [P]; load -> = 4; store -> silent");
}
TEST_P(Migration, KeepsProtection) {  // FX-1, S2-04
    holds_for("A SS SP HS HP",
              "store(4); REGISTER(WP); WRITEPROTECT; migrate -> [Pu]; load -> = 4; "
              "store -> msg [Pu]");
}
TEST_P(Migration, KeepsProtectionOfAPageThatWasOnlyRead) {  // FX-1
    holds_for("SS SP",
              "pwrite(4); load; REGISTER(WP); WRITEPROTECT; migrate -> [Pu]; store -> msg");
}
TEST_P(Migration, KeepsAPageClean) {  // AS-6
    holds_for("A SS SP, async",
              "store; REGISTER(WP); arm -> clean; migrate -> [Pu] clean; "
              "store -> silent [P] written");
}
TEST_P(Migration, OfAReadOnlyMappingGivesNoWritePermission) {  // S2-07
    holds_for("A SS SP",
              "store; REGISTER(WP); WRITEPROTECT; mprotect(READ); migrate -> [Pu]; "
              "store -> SIGSEGV; mprotect(READ|WRITE); store -> msg");
}

VERSO_BEHAVIOUR(NumaHint);

TEST_P(NumaHint, EndsWithoutLiftingProtection) {  // E-NU1, FX-1b, S0-11
    holds("SS: store(4); REGISTER(WP); WRITEPROTECT; hint -> [Pu]; load -> = 4; store -> msg [Pu]");
}
TEST_P(NumaHint, EndsAtAStoreToo) {  // FA-16
    holds("SS: store; REGISTER(WP); WRITEPROTECT; hint; store -> msg [Pu]; clear; store -> silent");
}
TEST_P(NumaHint, IsNotAWrite) {  // AS-6
    holds("SS, async: store; REGISTER(WP); arm; hint -> clean; load -> clean [Pu]");
}

VERSO_BEHAVIOUR(Writeback);

TEST_P(Writeback, LosesNoProtection) {  // S2-11, AS-6
    holds(
        "FS, async: store; REGISTER(WP); arm -> clean; writeback -> clean [Pu]; "
        "store -> silent written");
}
TEST_P(Writeback, LosesNoWrite) {
    holds(
        "FS, async: store; REGISTER(WP); arm; store -> written; writeback -> written; "
        "store -> silent written");
}

}  // namespace
}  // namespace verso::behaviour
