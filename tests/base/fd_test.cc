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

/// A table whose close notes its argument and answers as told.
class InjectedClose : public testing::Test, protected DescriptorTable {
protected:
    int close_number(int number) override {
        closed.push_back(number - base());
        errno = answer_errno;
        return answer_errno == 0 ? 0 : -1;
    }
    std::vector<int> closed;
    int answer_errno = 0;
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
        Fd one(base() + 1000);
        Fd two(std::move(one));
        Fd third;
        third = std::move(two);
        third.reset();
        third.reset();
    }
    EXPECT_EQ(closed, std::vector<int>{1000});
}

TEST_F(InjectedClose, MoveAssignmentClosesWhatWasHeldBefore) {
    Fd held(base() + 1000);
    held = Fd(base() + 1001);
    EXPECT_EQ(closed, std::vector<int>{1000});
    EXPECT_EQ(held.get(), base() + 1001);
}

TEST_F(InjectedClose, MovingOntoItselfKeepsIt) {
    Fd held(base() + 1000);
    Fd& alias = held;
    held = std::move(alias);
    EXPECT_EQ(held.get(), base() + 1000);
    EXPECT_TRUE(closed.empty());
}

TEST_F(InjectedClose, AnEmptyOneClosesNothing) {
    { const Fd none; }
    EXPECT_TRUE(closed.empty());
}

TEST_F(InjectedClose, InterruptionMeansClosedAndIsNotTriedAgain) {
    answer_errno = EINTR;
    { const Fd fd(base() + 1000); }
    EXPECT_EQ(closed, std::vector<int>{1000});
}

TEST_F(InjectedClose, LateWriteBackErrorsAreNotOurs) {
    answer_errno = EIO;
    { const Fd fd(base() + 1000); }
    EXPECT_EQ(closed, std::vector<int>{1000});
}

using InjectedCloseDeathTest = InjectedClose;

TEST_F(InjectedCloseDeathTest, ADescriptorClosedByOthersIsABugAndAborts) {
    EXPECT_DEATH(
        {
            answer_errno = EBADF;
            const Fd fd(base() + 1000);
        },
        "was closed by someone else");
}

TEST(DescriptorTable, TablesThatComeOneAfterAnotherHaveTheSameNumbers) {
    class Empty final : public DescriptorTable {
        int close_number(int) override { return 0; }
    };
    const int one = Empty().base();
    EXPECT_EQ(Empty().base(), one);
}

TEST(DescriptorTable, TablesThatLiveTogetherShareNoNumber) {
    class Noting final : public DescriptorTable {
    public:
        int close_number(int number) override {
            closed = number;
            return 0;
        }
        int closed = -1;
    };
    Noting one;
    Noting two;
    { const Fd fd(two.base() + 7); }
    EXPECT_EQ(one.closed, -1);
    EXPECT_EQ(two.closed, two.base() + 7);
}

TEST(DescriptorTableDeathTest, ADescriptorThatOutlivesItsTableIsABugAndAborts) {
    EXPECT_DEATH({ const Fd fd(DescriptorTable::first + DescriptorTable::size - 1); },
                 "outlives the table");
}

}  // namespace
}  // namespace verso
