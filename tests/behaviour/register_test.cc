// REGISTER, UNREGISTER, WAKE and close: sections 5.2, 5.3, 8.12.
#include "behaviour/behaviour.h"

namespace verso::behaviour {
namespace {

VERSO_BEHAVIOUR(Register);

TEST_P(Register, TakesWhatTheKindCanDo) {  // table of modes, RG-17
    holds_for("A SS SP", "REGISTER(MISSING) -> done; UNREGISTER; REGISTER(WP) -> done");
    holds_for("HS HP", "REGISTER(MISSING) -> done; UNREGISTER; REGISTER(WP) -> done");
    holds_for("SS SP HS HP", "REGISTER(MINOR) -> done; UNREGISTER; REGISTER(MINOR|WP|MISSING)");
}
TEST_P(Register, RefusesMinorForAnonymousMemory) { holds("A: REGISTER(MINOR) -> EINVAL"); }  // RG-7
TEST_P(Register, RefusesAnOrdinaryFile) {                                                    // RG-7
    holds_for("FS FP", "REGISTER(MISSING) -> EINVAL; REGISTER(WP) -> EINVAL");
}
TEST_P(Register, TakesAnOrdinaryFileForAsynchronousProtectionOnly) {  // table of modes
    holds_for("FS FP, async", "REGISTER(WP) -> done; UNREGISTER; REGISTER(WP|MISSING) -> EINVAL");
}
TEST_P(Register, RefusesUnknownModesAndNone) {  // RG-2
    holds_for("A SS", "REGISTER -> EINVAL; REGISTER(0x8) -> EINVAL; REGISTER(WP|0x8) -> EINVAL");
}
TEST_P(Register, RefusesARangeWithoutMappings) {  // RG-5
    holds("A: munmap; REGISTER(WP) -> EINVAL");
}
TEST_P(Register, TakesARangeWithHoles) {  // RG-11
    holds(
        "A, 3 pages: store@0; store@2; munmap@1; REGISTER(WP) -> done; WRITEPROTECT; "
        "store@2 -> msg");
}
TEST_P(Register, TakesAPrivateReadOnlyMapping) {  // RG-11
    holds_for("A SP", "mprotect(READ); REGISTER(WP) -> done");
}
TEST_P(Register, RefusesWhatAnotherUserfaultfdHas) {  // RG-10
    holds_for("A SS SP HS HP", "other REGISTER(WP); REGISTER(WP) -> EBUSY");
}
TEST_P(Register, ReplacesTheMode) {  // RG-13
    holds("A: REGISTER(MISSING); REGISTER(WP); load -> = 0 [P]");
    holds("A: REGISTER(WP); REGISTER(MISSING|WP); load -> msg [N]");
}

VERSO_BEHAVIOUR(Unregister);

TEST_P(Unregister, LiftsProtectionFromPagesSwapAndMarkers) {  // UN-9, FX-6
    holds_for("A SS SP HS HP",
              "store; REGISTER(WP); WRITEPROTECT -> [Pu]; UNREGISTER -> [P]; "
              "store -> silent");
    holds_for("A SP",
              "store; REGISTER(WP); WRITEPROTECT; reclaim -> [Su]; UNREGISTER -> [S]; "
              "load -> = 1");
    holds_for("SS SP HS HP", "REGISTER(WP); WRITEPROTECT -> [K(WP)]; UNREGISTER -> [N]");
}
TEST_P(Unregister, LeavesNothingForTheNextRegistration) {  // FX-6
    holds_for("A SS SP HS HP",
              "store; REGISTER(WP); WRITEPROTECT; UNREGISTER; REGISTER(WP) -> [P]; "
              "store -> silent");
}
TEST_P(Unregister, OfAPartLeavesTheRestProtected) {  // UN-10
    holds_for("A SS SP", "store; REGISTER(WP); WRITEPROTECT; UNREGISTER; store");
    holds(
        "A, 2 pages: store@0; store@1; REGISTER(WP); WRITEPROTECT; UNREGISTER@0 -> [P Pu]; "
        "store@0 -> silent; store@1 -> msg");
}
TEST_P(Unregister, OfUnregisteredMemoryDoesNothing) { holds("A: UNREGISTER -> done"); }  // UN-10
TEST_P(Unregister, OfAHoleIsRefused) { holds("A: munmap; UNREGISTER -> EINVAL"); }       // UN-4
TEST_P(Unregister, ByAnotherUserfaultfdIsRefused) {                                      // UN-7
    holds("A: store; REGISTER(WP); WRITEPROTECT; other UNREGISTER -> EINVAL [Pu]");
}
TEST_P(Unregister, OfAnOrdinaryFileIsRefused) { holds_for("FS FP", "UNREGISTER -> EINVAL"); }

VERSO_BEHAVIOUR(Close);

TEST_P(Close, LiftsProtection) {  // E-CL1, FX-7
    holds_for("A SS SP HS HP", "store; REGISTER(WP); WRITEPROTECT; close -> [P]; store -> silent");
    holds_for("SS SP HS HP", "REGISTER(WP); WRITEPROTECT -> [K(WP)]; close -> [N]; load -> = 0");
    holds_for("A SP", "store(8); REGISTER(WP); WRITEPROTECT; reclaim; close -> [S]; load -> = 8");
}
TEST_P(Close, EndsMissingMessages) {  // E-CL1
    holds_for("A SS SP", "REGISTER(MISSING); load -> msg; close; load -> = 0");
}
TEST_P(Close, OfOneLeavesTheOtherAlone) {
    holds("A: store; REGISTER(WP); other WAKE; WRITEPROTECT; other close; store -> msg [Pu]");
}

VERSO_BEHAVIOUR(Wake);

TEST_P(Wake, LooksAtNoMapping) {  // WK-3
    holds("A: WAKE -> done; munmap; WAKE -> done");
}

}  // namespace
}  // namespace verso::behaviour
