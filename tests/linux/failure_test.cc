// errno to Verdict, and the pair (errno, result field) of the fills.
#include "kernel/failing_kernel.h"
#include "linux/linux_test.h"

namespace verso::host {
namespace {

TEST(Failure, KeepsTheNumberEvenWhereNobodyHasAWordForIt) {
    EXPECT_EQ(failure(EXDEV).verdict, Verdict::other);
    EXPECT_EQ(failure(EXDEV).error, EXDEV);
}

TEST(Failure, EveryDocumentedAnswerIsOneThatLinuxCalledByItsErrnoGives) {
    for (unsigned i = 0; i < kernel::op_count; ++i) {
        const Op op = static_cast<Op>(i);
        for (const Outcome& outcome : kernel::documented_failures(op)) {
            const bool by_call = outcome.error == 0 || outcome.error == EAGAIN ||
                                 outcome.error == EMSGSIZE || op == Op::uffd_open;
            if (!by_call) {
                EXPECT_EQ(failure(outcome.error).verdict, outcome.verdict)
                    << name_of(op) << ": " << to_string(outcome);
            }
        }
    }
}

TEST(H31_PartialFills, SuccessIsTheWholeLength) {
    const Outcome outcome = fill_outcome(0, 8192, 8192);
    EXPECT_TRUE(outcome.ok());
    EXPECT_EQ(outcome.value, 8192);
}

TEST(H31_PartialFills, EveryPartialCountIsPartialWhateverTheErrno) {
    for (const int error : {EAGAIN, EEXIST, ENOMEM, EFAULT}) {
        for (i64 bytes = 4096; bytes < 16 * 4096; bytes += 4096) {
            const Outcome outcome = fill_outcome(error, bytes, 16 * 4096);
            EXPECT_EQ(outcome.verdict, Verdict::partial);
            EXPECT_EQ(outcome.value, bytes);
        }
    }
}

TEST(H31_PartialFills, ANegativeErrnoInTheResultIsNeverACount) {
    const Outcome exists = fill_outcome(EEXIST, -EEXIST, 8192);
    EXPECT_EQ(exists.verdict, Verdict::exists);
    EXPECT_EQ(exists.value, 0);
    const Outcome gone = fill_outcome(ESRCH, -ESRCH, 8192);
    EXPECT_EQ(gone.verdict, Verdict::target_gone);
    EXPECT_EQ(gone.value, 0);
}

TEST(H2_LayoutChanging, NothingDoneAndAgainMeansALayoutEventIsUnread) {
    EXPECT_EQ(fill_outcome(EAGAIN, 0, 8192).verdict, Verdict::layout_changing);
    EXPECT_EQ(fill_outcome(EAGAIN, -EAGAIN, 8192).verdict, Verdict::layout_changing);
}

}  // namespace
}  // namespace verso::host
