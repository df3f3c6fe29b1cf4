// COPY, ZEROPAGE, CONTINUE, POISON and MOVE: what they leave behind, and their errors (5.4, 5.6).
#include "behaviour/behaviour.h"

namespace verso::behaviour {
namespace {

VERSO_BEHAVIOUR(Fill);

TEST_P(Fill, CopyBringsAPage) {  // FL-28, FL-29
    holds_for("A SS SP HS HP",
              "REGISTER(MISSING); load -> msg; COPY(7) -> done [P]; load -> = 7; store -> silent");
}
TEST_P(Fill, CopyBringsAProtectedPage) {  // FL-28
    holds_for("A SS SP HS HP",
              "REGISTER(MISSING|WP); COPY(WP|7) -> [Pu]; load -> = 7; store -> msg [Pu]");
}
TEST_P(Fill, CopyProtectsWhatMayNotBeWrittenNow) {  // FL-36, FX-4
    holds_for("A SS SP",
              "mprotect(READ); REGISTER(MISSING|WP); COPY(WP) -> [Pu]; "
              "mprotect(READ|WRITE); store -> msg");
}
TEST_P(Fill, CopyOverAPageIsRefused) {  // FL-16
    holds_for("A SS SP HS HP", "store(5); REGISTER(MISSING); COPY -> EEXIST; load -> = 5");
}
TEST_P(Fill, CopyOverACachedPageThatIsNotMappedIsRefused) {  // FL-18
    holds("SS: pwrite(5); REGISTER(MISSING); COPY -> EEXIST [N]; load -> = 5");
}
TEST_P(Fill, CopyIntoAPrivateMappingOverACachedPageMakesACopy) {
    holds("SP: pwrite(5); REGISTER(MISSING); COPY(6) -> [P]; load -> = 6; DONTNEED; load -> = 5");
}
TEST_P(Fill, CopyOverAMarkerEndsProtection) {  // FL-27, FL-30
    holds_for("A SS SP HS HP, unpopulated",
              "REGISTER(MISSING|WP); WRITEPROTECT -> [K(WP)]; "
              "COPY -> [P]; store -> silent");
}
TEST_P(Fill, CopyKeepsProtectionIfAsked) {
    holds_for("A SS SP HS HP, unpopulated",
              "REGISTER(MISSING|WP); WRITEPROTECT -> [K(WP)]; "
              "COPY(WP) -> [Pu]; store -> msg");
}
TEST_P(Fill, CopyOverPoisonHeals) {  // FL-27
    holds_for("A SS SP, poison", "REGISTER(MISSING); POISON; COPY(3) -> [P]; load -> = 3");
}
TEST_P(Fill, CopyOverAGuardIsRefused) {  // FL-27, E-GR8
    holds_for("A SS SP", "REGISTER(MISSING); GUARD_INSTALL; COPY -> EEXIST [K(GUARD)]");
}
TEST_P(Fill, WithProtectionNeedsThatMode) {  // FL-8
    holds_for("A SS SP HS HP", "REGISTER(MISSING); COPY(WP) -> EINVAL [N]");
    holds_for("SS", "pwrite; REGISTER(MINOR); CONTINUE(WP) -> EINVAL [N]");
}
TEST_P(Fill, OfUnregisteredMemoryIsRefused) {  // FL-6
    holds_for("A SS SP HS HP", "COPY -> ENOENT; ZEROPAGE -> ENOENT [N]");
}
TEST_P(Fill, ThroughAnotherUserfaultfdIsRefused) {  // FL-6
    holds_for("A SS", "other REGISTER(MISSING); COPY -> ENOENT [N]");
}
TEST_P(Fill, OfAHoleIsRefused) {  // FL-6
    holds("A: REGISTER(MISSING); munmap; COPY -> ENOENT; ZEROPAGE -> ENOENT");
}
TEST_P(Fill, StopsAtTheFirstPageThatIsThere) {  // FL-25
    holds("A, 3 pages: store@1; REGISTER(MISSING); COPY@0-2 -> [P P N]");
}
TEST_P(Fill, UnknownModesAreInvalid) {  // FL-4
    holds_for("A SS", "REGISTER(MISSING|WP); COPY(0x8) -> EINVAL; ZEROPAGE(WP) -> EINVAL [N]");
}
TEST_P(Fill, ZeropageBringsZeroes) {  // FL-31, FL-32
    holds_for("A SS SP", "REGISTER(MISSING); load -> msg; ZEROPAGE -> [P]; load -> = 0; store");
}
TEST_P(Fill, ZeropageOverAnythingIsRefused) {  // FL-19
    holds_for("A SP", "store; REGISTER(MISSING); ZEROPAGE -> EEXIST");
    holds_for("A SP, unpopulated",
              "REGISTER(MISSING|WP); WRITEPROTECT -> [K(WP)]; "
              "ZEROPAGE -> EEXIST [K(WP)]");
}
TEST_P(Fill, ZeropageIsNotForHugetlb) {  // FL-9
    holds_for("HS HP", "REGISTER(MISSING); ZEROPAGE -> EINVAL [N]");
}
TEST_P(Fill, ContinueMapsWhatIsInTheCache) {  // FL-33, FL-34
    holds_for("SS SP", "pwrite(4); REGISTER(MINOR); CONTINUE -> [P]; load -> = 4; store -> silent");
}
TEST_P(Fill, ContinueProtectsIfAsked) {  // FL-33
    holds_for("SS SP", "pwrite(4); REGISTER(MINOR|WP); CONTINUE(WP) -> [Pu]; store -> msg");
}
TEST_P(Fill, ContinueOfAHoleIsRefused) {  // FL-21
    holds_for("SS SP", "REGISTER(MINOR); CONTINUE -> EFAULT [N]");
    holds_for("SS SP", "REGISTER(MINOR|WP); WRITEPROTECT; CONTINUE -> EFAULT [K(WP)]");
}
TEST_P(Fill, ContinueOverAPageIsRefused) {  // FL-23
    holds_for("SS SP", "pwrite; REGISTER(MINOR); CONTINUE; CONTINUE -> EEXIST [P]");
}
TEST_P(Fill, ContinueOverAMarkerEndsProtection) {  // FL-30a
    holds_for("SS SP",
              "pwrite(4); REGISTER(MINOR|WP); WRITEPROTECT -> [K(WP)]; CONTINUE -> [P]; "
              "store -> silent");
}
TEST_P(Fill, ContinueIsNotForAnonymousMemory) {  // FL-10
    holds("A: REGISTER(MISSING); CONTINUE -> EINVAL [N]");
}
TEST_P(Fill, PoisonNeedsAnEmptyEntry) {  // FL-20, FL-35
    holds_for("A SS SP, poison", "store; REGISTER(MISSING); POISON -> EEXIST [P]");
    holds_for("SS SP, poison", "REGISTER(WP); WRITEPROTECT -> [K(WP)]; POISON -> EEXIST [K(WP)]");
}

VERSO_BEHAVIOUR(Move);

TEST_P(Move, TakesThePageAlong) {  // MV-16
    holds(
        "A, move: map@'; store(7)@'; REGISTER(MISSING); MOVE -> done [P]; load -> = 7; "
        "load@' -> = 0");
}
TEST_P(Move, TakesAPageInSwapAlong) {  // MV-17
    holds(
        "A, move: map@'; store(7)@'; reclaim@0' -> [S]; REGISTER(MISSING); MOVE -> done [S]; "
        "load -> = 7");
}
TEST_P(Move, LeavesProtectionBehind) {  // MV-22
    holds(
        "A, move: map@'; store(7)@'; other REGISTER(WP)@all'; other WRITEPROTECT@all' -> [Pu]; "
        "REGISTER(MISSING|WP); MOVE -> done [P]; store -> silent");
}
TEST_P(Move, OfAPinnedPageIsRefusedUntilItIsUnpinned) {  // MV-13
    holds(
        "A, move: map@'; store(7)@'; pin@'; REGISTER(MISSING); MOVE -> EBUSY [N]; unpin; "
        "MOVE -> done [P]; load -> = 7");
}
TEST_P(Move, OntoAnythingIsRefused) {  // MV-11
    holds("A, move: map@'; store@'; store; REGISTER(MISSING); MOVE -> EEXIST [P]");
    holds(
        "A, move, unpopulated: map@'; store@'; REGISTER(MISSING|WP); WRITEPROTECT; "
        "MOVE -> EEXIST [K(WP)]");
}
TEST_P(Move, OfAHoleIsRefusedUnlessAllowed) {  // MV-12
    holds("A, move: map@'; REGISTER(MISSING); MOVE -> ENOENT [N]; MOVE(HOLES) -> done [N]");
}
TEST_P(Move, OfAGuardOrPoisonIsRefused) {  // MV-14
    holds("A, move: map@'; GUARD_INSTALL@all'; REGISTER(MISSING); MOVE -> EFAULT [N]");
}
TEST_P(Move, OfAPageThatAForkSharesIsRefused) {  // MV-13
    holds("A, move: map@'; store@'; REGISTER(MISSING); fork; MOVE -> EBUSY [N]");
}
TEST_P(Move, IntoSharedMemoryIsRefused) {  // MV-7, MV-10
    holds("SS, move: map@'; store@'; REGISTER(MISSING); MOVE -> EINVAL [N]");
    holds("SP, move: map@'; store@'; REGISTER(MISSING); MOVE -> EINVAL [N]");
}
TEST_P(Move, IntoUnregisteredMemoryIsRefused) {  // MV-10
    holds("A, move: map@'; store@'; MOVE -> EINVAL [N]");
}
TEST_P(Move, ArrivesAsWritten) {  // MV-22, AS-5
    holds("A, async, move: map@'; store@'; REGISTER(WP|MISSING); MOVE -> done [P] written");
}

VERSO_BEHAVIOUR(FoundByConform);  // errors of the model that random programs showed

TEST_P(FoundByConform, ContinueBeyondTheEndOfAFileIsInvalid) {
    holds("SP: REGISTER(WP); WRITEPROTECT; truncate; CONTINUE -> EINVAL [K(WP)]");
}
TEST_P(FoundByConform, PopulatingAPoisonedPageSaysSo) {
    holds_for("A SS SP, poison", "REGISTER(MISSING); POISON; POPULATE_READ -> EHWPOISON");
    holds("SS, poison: REGISTER(MISSING); POISON; POPULATE_WRITE -> EHWPOISON [K(POISONED)]");
}
TEST_P(FoundByConform, LockingWhatMayNotBeReadFailsForWantOfMemory) {
    holds_for("A SS SP", "mprotect(NONE); lock -> ENOMEM");
}

}  // namespace
}  // namespace verso::behaviour
