// Fd: one owner, one close, and what a failing close means.
#include "base/fd.h"

#include <cerrno>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace verso {
namespace {

int new_descriptor() {
    // Why safe: opens a device that takes everything.
    return ::open("/dev/null", O_RDWR | O_CLOEXEC);
}
bool is_open(int number) {
    // Why safe: asks for the flags of a number.
    return ::fcntl(number, F_GETFD) >= 0;
}

/// Replaces close(2) by one that notes its argument and answers as told.
class InjectedClose : public testing::Test {
protected:
    void SetUp() override {
        closed.clear();
        answer_errno = 0;
        Fd::set_closer_for_testing(+[](int number) {
            closed.push_back(number);
            errno = answer_errno;
            return answer_errno == 0 ? 0 : -1;
        });
    }
    void TearDown() override { Fd::set_closer_for_testing(nullptr); }
    static inline std::vector<int> closed;
    static inline int answer_errno = 0;
};

TEST(Fd, ClosesItsDescriptorAtTheEndOfItsLife) {
    const int number = new_descriptor();
    {
        const Fd fd(number);
        EXPECT_TRUE(is_open(number));
    }
    EXPECT_FALSE(is_open(number));
}

TEST(Fd, ReleaseHandsTheDescriptorOverUnclosed) {
    const int number = new_descriptor();
    {
        Fd fd(number);
        EXPECT_EQ(fd.release(), number);
        EXPECT_FALSE(fd.valid());
    }
    EXPECT_TRUE(is_open(number));
    const Fd cleanup(number);
}

TEST_F(InjectedClose, ClosesExactlyOnceHoweverOftenItMoves) {
    {
        Fd first(1000);
        Fd second(std::move(first));
        Fd third;
        third = std::move(second);
        third.reset();
        third.reset();
    }
    EXPECT_EQ(closed, std::vector<int>{1000});
}

TEST_F(InjectedClose, MoveAssignmentClosesWhatWasHeldBefore) {
    Fd held(1000);
    held = Fd(1001);
    EXPECT_EQ(closed, std::vector<int>{1000});
    EXPECT_EQ(held.get(), 1001);
}

TEST_F(InjectedClose, MovingOntoItselfKeepsIt) {
    Fd held(1000);
    Fd& alias = held;
    held = std::move(alias);
    EXPECT_EQ(held.get(), 1000);
    EXPECT_TRUE(closed.empty());
}

TEST_F(InjectedClose, AnEmptyOneClosesNothing) {
    { const Fd none; }
    EXPECT_TRUE(closed.empty());
}

TEST_F(InjectedClose, InterruptionMeansClosedAndIsNotTriedAgain) {
    answer_errno = EINTR;
    { const Fd fd(1000); }
    EXPECT_EQ(closed, std::vector<int>{1000});
}

TEST_F(InjectedClose, LateWriteBackErrorsAreNotOurs) {
    answer_errno = EIO;
    { const Fd fd(1000); }
    EXPECT_EQ(closed, std::vector<int>{1000});
}

using InjectedCloseDeathTest = InjectedClose;

TEST_F(InjectedCloseDeathTest, ADescriptorClosedByOthersIsABugAndAborts) {
    EXPECT_DEATH(
        {
            answer_errno = EBADF;
            const Fd fd(1000);
        },
        "descriptor 1000 was closed by someone else");
}

}  // namespace
}  // namespace verso
