// Programs with further threads and with messages: what sleeps, who reads, who wakes. Each holds on
// the model of this release and on the running kernel, and both show the same, step by step.
#include <cstdio>

#include <gtest/gtest.h>

#include "check/check.h"
#include "linux/linux_kernel.h"

namespace verso::check {
namespace {

Program read(std::string_view text) {
    const Result<Program> program = parse(text);
    EXPECT_TRUE(program.has_value()) << text << ": " << (program ? "" : program.error().message);
    return program.value_or(Program{});
}

/// Empty: programs can be run on this kernel.
std::string why_not_here() {
    const kernel::Abilities& able = host::linux_kernel().abilities();
    if (!able.userfaultfd) {
        return able.why_no_userfaultfd;
    }
    return able.user_mode_only ? "userfaultfd serves this user no faults of the kernel" : "";
}

void holds_here_and_there(std::string_view text) {
    const Program program = read(text);
    const Trace model = run_on_model(rules_of_running_kernel(), program);
    EXPECT_EQ(model.why_not, "") << text;
    EXPECT_EQ(unmet(program, model), "");
    if (const std::string why = why_not_here(); !why.empty()) {
        std::printf("not run on this kernel: %s\n", why.c_str());
        return;
    }
    const Trace kernel = run_on_running_kernel(program);
    if (!kernel.why_not.empty()) {
        std::printf("not run on this kernel: %s\n", kernel.why_not.c_str());
        return;
    }
    EXPECT_EQ(unmet(program, kernel), "");
    EXPECT_EQ(difference(program, model, kernel), "")
        << "model, then running kernel:\n"
        << to_text(program, model) << to_text(program, kernel);
}

TEST(NotationOfThreads, ReadsBackAsItIsPrinted) {
    for (const char* const text :
         {"A, messages: REGISTER(MISSING); t1 store@0 -> blocked; messages -> missing+write@0",
          "A, messages, EVENT_REMOVE: child other t2 DONTNEED@1; t1 load & -> begun; clear -> t1:= "
          "3 child.t2:done",
          "SS, 2 pages, EVENT_FORK, EVENT_UNMAP: t1 fork; messages; t9 munmap@0",
          "A, messages, EVENT_FORK: t1 fork; messages(KEEP) -> forked; other messages"}) {
        const Program program = read(text);
        EXPECT_EQ(read(to_text(program)), program) << text << "\n" << to_text(program);
    }
}

void holds_on_the_model(std::string_view text) {
    const Program program = read(text);
    const Trace model = run_on_model(*mm::preset("6.18"), program);
    EXPECT_EQ(model.why_not, "") << text;
    EXPECT_EQ(unmet(program, model), "");
}

TEST(HalvesOfEvents, LetAnAccessWaitForTheEndOfAMigration) {
    holds_on_the_model(
        "A: store; migrate_begin -> [S]; t1 load -> blocked; migrate_end -> t1:= 1 [P]");
}

TEST(HalvesOfEvents, LeaveThePageWhereItWasIfTheMigrationFails) {
    holds_on_the_model("SS: store; migrate_begin; migrate_fail; load -> = 1");
}

TEST(HalvesOfEvents, LetTheMainThreadSleepLikeAnyOther) {
    holds_on_the_model("A: store; migrate_begin; load -> blocked; migrate_end -> main:= 1");
}

TEST(HalvesOfEvents, BreakMemoryForWhoeverTouchesItNext) {
    holds_on_the_model("A: store; memory_failure; load -> SIGBUS");
}

TEST(HalvesOfEvents, LeaveNoMemoryUntilItIsGivenBack) {
    holds_on_the_model(
        "A: memory_full; store -> ENOMEM; memory_back; store(3) -> done; load -> = 3");
}

TEST(HalvesOfEvents, LeaveNoSwapSoThatAPageStays) {
    holds_on_the_model("A: store; swap_full; PAGEOUT -> done [P]");
}

TEST(HalvesOfEvents, LetADeviceWriteToThePageThatItHolds) {
    holds_on_the_model("SS: store; pin; device_writes; load -> = 0");
}

TEST(HalvesOfEvents, PutTheSecondAreaWhereNothingIsBehindIt) {
    holds_on_the_model("A: at_the_end; map; store@' -> done; mremap(HERE|LONGER)@all' -> ENOMEM");
}

TEST(HalvesOfEvents, AreNotToBeHadOfARunningKernel) {
    if (const std::string why = why_not_here(); !why.empty()) {
        GTEST_SKIP() << why;
    }
    const Trace kernel = run_on_running_kernel(read("A: store; migrate_begin"));
    EXPECT_NE(kernel.why_not, "");
    EXPECT_EQ(kernel.steps.size(), 1U);
}

TEST(NotationOfThreads, RefusesWhatAFurtherThreadCannotDo) {
    for (const auto& [text, about] :
         {std::pair{"A: t1 scan", "further thread"}, std::pair{"A: store &", "name it"},
          std::pair{"A: t0 store", "'t0 store'"}, std::pair{"A: t10 store", "'t10 store'"}}) {
        const Result<Program> program = parse(text);
        ASSERT_FALSE(program.has_value()) << text;
        EXPECT_NE(program.error().message.find(about), std::string::npos)
            << program.error().message;
    }
}

TEST(Threads, AStoreToAProtectedPageSleepsUntilItIsCleared) {
    holds_here_and_there(
        "SS, messages: store; REGISTER(WP); WRITEPROTECT; t1 store -> blocked [Pu]; messages -> "
        "wp+write@0 t1:blocked; clear -> t1:done [P]; load -> = 4");
}
TEST(Threads, AnAccessWithTheLockHeldFailsWhereOthersSleep) {  // FD-4: FOLL_FORCE
    holds_here_and_there("A, messages: REGISTER(MISSING); force -> EIO; messages -> none");
}
TEST(Threads, AWakeWithoutAPageSendsItBackToSleepAndToAnotherMessage) {
    holds_here_and_there(
        "A, messages: REGISTER(MISSING); t1 load -> blocked; messages -> missing@0; WAKE -> "
        "t1:blocked; messages -> missing@0; ZEROPAGE -> t1:= 0");
}
TEST(Threads, TwoOfThemSleepAtTwoPagesAndEachIsWokenByItself) {
    holds_here_and_there(
        "SS, 2 pages, messages: REGISTER(MISSING); t1 store@0; t2 load@1; messages -> "
        "missing+write@0 missing@1; COPY(7)@1 -> t1:blocked t2:= 7; ZEROPAGE@0 -> t1:done");
}
TEST(Threads, AMinorFaultIsAnsweredByContinue) {
    holds_here_and_there(
        "SS, messages: pwrite(5); REGISTER(MINOR); t1 load -> blocked; messages -> minor@0; "
        "CONTINUE -> t1:= 5");
}
TEST(Threads, TheMainThreadMaySleepToo) {
    holds_here_and_there(
        "A, messages: REGISTER(MISSING); store -> blocked; messages -> missing+write@0; ZEROPAGE "
        "-> main:done; load -> = 2");
}
TEST(Threads, OneThatIsNotAwaitedRacesWithTheNextStep) {
    holds_here_and_there(
        "A, messages: REGISTER(MISSING); t1 store & -> begun; ZEROPAGE -> t1:done; load -> = 2");
}
/// userfaultfd_remove() comes before the pages go.
TEST(Threads, DiscardingWaitsForTheReaderOfItsEvent) {
    holds_here_and_there(
        "A, 2 pages, messages, EVENT_REMOVE: store; REGISTER(MISSING); t1 DONTNEED -> blocked [P]; "
        "COPY -> EAGAIN; messages -> removed@all t1:done [N]; COPY -> done [P]");
    holds_here_and_there(
        "SS, 2 pages, messages, EVENT_REMOVE: store; REGISTER(MISSING); t1 REMOVE -> blocked [P]; "
        "store -> done; messages -> removed@all t1:done [N]");
}
TEST(Threads, UnmappingAndMovingTellTheirRanges) {
    holds_here_and_there(
        "A, 2 pages, messages, EVENT_UNMAP: REGISTER(MISSING); t1 munmap@1 -> blocked; messages "
        "-> unmapped@1 t1:done");
    holds_here_and_there(
        "A, 2 pages, messages, EVENT_REMAP: store; REGISTER(MISSING); t1 mremap -> blocked; "
        "messages -> remapped@all>all' t1:done");
}
TEST(Threads, AForkWaitsForTheReaderOfItsEvent) {
    holds_here_and_there(
        "A, messages, EVENT_FORK: store; REGISTER(MISSING|WP); WRITEPROTECT; t1 fork -> blocked; "
        "messages -> forked t1:done; child load -> = 1");
}
TEST(Threads, AChildsUserfaultfdServesTheChildIfItIsKept) {
    holds_here_and_there(
        "A, messages, EVENT_FORK: REGISTER(MISSING); t1 fork -> blocked; messages(KEEP) -> forked "
        "t1:done; child t1 load -> blocked; other messages -> missing@0; other COPY(5) -> "
        "child.t1:= 5; other messages -> none");
}
TEST(Threads, AUserfaultfdOfUserModeServesNoFaultsOfTheKernel) {
    holds_here_and_there(
        "A, messages, USER_MODE: REGISTER(MISSING); write -> EFAULT; t1 load -> blocked; "
        "messages -> missing@0; ZEROPAGE -> t1:= 0");
}
TEST(Threads, AMessageCanSayTheAddressToTheByte) {
    holds_here_and_there(
        "A, messages, exact: REGISTER(MISSING); t1 load@0+ -> blocked; messages -> missing@0; "
        "ZEROPAGE -> t1:= 0");
}
TEST(Threads, AMoveMayWakeNobody) {
    holds_here_and_there(
        "A, messages, move: map; store(7)@'; REGISTER(MISSING); t1 load -> blocked; messages; "
        "MOVE(DONTWAKE) -> t1:blocked; WAKE -> t1:= 7");
}
TEST(Threads, AClosedUserfaultfdLetsEverybodyGoOn) {
    holds_here_and_there(
        "SS, messages: store; REGISTER(WP); WRITEPROTECT; t1 store(9) -> blocked; close -> "
        "t1:done; load -> = 9");
}
TEST(Threads, WithoutMessagesAThreadIsSignalled) {
    holds_here_and_there(
        "A: store; REGISTER(WP); WRITEPROTECT; t1 store -> SIGBUS; clear; "
        "t1 store -> done");
}
TEST(Threads, AThreadThatSleepsCanMakeNoFurtherStep) {
    const Program program = read("A, messages: REGISTER(MISSING); t1 store; t1 load");
    const Trace trace = run_on_model(mm::mainline(), program);
    EXPECT_NE(trace.why_not.find("t1 is still in t1 store"), std::string::npos) << trace.why_not;
}
TEST(Threads, AMessageThatWasNotNamedIsNoted) {
    const Program program = read(
        "A, 2 pages, messages: REGISTER(MISSING); t1 store@0; t2 store@1; messages -> "
        "missing+write@1");
    EXPECT_NE(unmet(program, run_on_model(mm::mainline(), program)), "");
}

}  // namespace
}  // namespace verso::check
