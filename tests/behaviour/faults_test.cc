// Faults, by kind of memory and by what the entry holds: section 6.
#include "behaviour/behaviour.h"

namespace verso::behaviour {
namespace {

VERSO_BEHAVIOUR(Faults);

TEST_P(Faults, AFirstLoadReadsZeroes) {  // FA-2, FC-4, FC-5, FH-3, FH-4
    holds_for("A SS SP HS HP FS FP", "load -> = 0 [P]");
}
TEST_P(Faults, AFirstStoreGoesThrough) { holds_for("A SS SP HS HP FS FP", "store -> [P]; load"); }
TEST_P(Faults, AMissingPageIsToldOf) {  // FA-1, FC-2, FH-1
    holds_for("A SS SP HS HP", "REGISTER(MISSING); load -> msg [N]; store -> msg [N]");
}
TEST_P(Faults, APageInTheCacheIsAMinorFault) {  // FC-3, FH-2
    holds_for("SS SP", "pwrite; REGISTER(MINOR); load -> msg [N]; CONTINUE -> [P]; load -> = 1");
}
TEST_P(Faults, APageInTheCacheIsNotMissing) {  // FC-2
    holds_for("SS SP", "pwrite; REGISTER(MISSING); load -> = 1 [P]");
}
TEST_P(Faults, AStoreToAProtectedPageIsToldOfAndALoadIsNot) {  // FA-10, FC-10, FH-7
    holds_for("A SS SP HS HP",
              "store(5); REGISTER(WP); WRITEPROTECT -> [Pu]; load -> = 5; store -> msg [Pu]");
}
TEST_P(Faults, TheZeroPageCanBeProtected) {  // FA-10
    holds("A: load; REGISTER(WP); WRITEPROTECT -> [Pu]; load -> = 0 [Pu]; store -> msg [Pu]");
}
TEST_P(Faults, AMarkerBecomesAProtectedPageWhenRead) {  // FA-5, FC-8, FC-9, FH-6
    holds_for("A SS SP HS HP, unpopulated",
              "REGISTER(WP); WRITEPROTECT -> [K(WP)]; load -> = 0 [Pu]; store -> msg [Pu]");
}
TEST_P(Faults, AMarkerBecomesAProtectedPageWhenStoredTo) {  // FA-5, FC-8, FC-9, FH-6
    holds_for("A SS SP HS HP, unpopulated", "REGISTER(WP); WRITEPROTECT; store -> msg [Pu]");
}
TEST_P(Faults, MissingComesBeforeAMarker) {  // FA-4, FC-7, FH-1
    holds_for("A SS SP HS HP, unpopulated",
              "REGISTER(MISSING|WP); WRITEPROTECT -> [K(WP)]; store -> msg [K(WP)]; "
              "load -> msg [K(WP)]");
}
TEST_P(Faults, APoisonedAddressIsABusError) {  // FA-7
    holds_for("A SS SP, poison",
              "REGISTER(MISSING); POISON -> [K(POISONED)]; load -> SIGBUS; store -> SIGBUS");
}
TEST_P(Faults, AStoreToAReadOnlyMappingIsNobodysMessage) {  // FO-1, E-MP7
    holds_for("A SS SP HS HP",
              "store; REGISTER(WP); WRITEPROTECT; mprotect(READ); "
              "store -> SIGSEGV [Pu]; load -> = 1");
}
TEST_P(Faults, BeyondTheEndOfTheFileIsABusError) {  // FC-1
    holds_for("SS SP, 2 pages", "store@1; truncate@1; load@1 -> SIGBUS; load -> = 0");
}
TEST_P(Faults, APrivateStoreLeavesTheFileAlone) {  // FC-5, FC-13
    holds_for("SP FP", "pwrite(3); store(4) -> [P]; load -> = 4; DONTNEED; load -> = 3");
}
TEST_P(Faults, AsynchronousAStoreClearsTheBitAndGoesThrough) {  // FA-11, FC-11, FH-8, AS-1
    holds_for("A SS SP HS HP FS FP, async",
              "store; REGISTER(WP); WRITEPROTECT -> [Pu]; store -> silent [P] written; load");
}
TEST_P(Faults, AsynchronousMissingMessagesStay) {  // AS-3
    holds("A, async: REGISTER(MISSING|WP); store -> msg [N]");
}

VERSO_BEHAVIOUR(KernelAccess);

TEST_P(KernelAccess, AWriteByTheKernelToAProtectedPageFails) {  // FG-1
    holds_for("A SS SP HS HP",
              "store(5); REGISTER(WP); WRITEPROTECT; write -> EFAULT [Pu]; "
              "load -> = 5");
}
TEST_P(KernelAccess, AForcedWriteToAProtectedPageFails) {  // FG-2
    holds_for("A SS SP", "store(5); REGISTER(WP); WRITEPROTECT; force -> EIO [Pu]; load -> = 5");
}
TEST_P(KernelAccess, PopulatingAProtectedPageForWritingFails) {  // FG-3
    holds_for("A SS SP", "store; REGISTER(WP); WRITEPROTECT; POPULATE_WRITE -> EFAULT [Pu]");
}
TEST_P(KernelAccess, AReadByTheKernelIsNobodysMessage) {  // FG-5
    holds_for("A SS SP HS HP", "store(5); REGISTER(WP); WRITEPROTECT; read -> = 5 [Pu]");
}
TEST_P(KernelAccess, AWriteByTheKernelShowsAsWritten) {  // AS-5
    holds_for("A SS SP, async", "store; REGISTER(WP); arm -> clean; write -> done written");
}

}  // namespace
}  // namespace verso::behaviour
