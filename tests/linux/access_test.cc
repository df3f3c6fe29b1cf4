// Single accesses whose signal is their outcome, and the kernel's own accesses.
#include <csignal>
#include <thread>

#include <gtest/gtest.h>

#include "linux/linux_test.h"

namespace verso::host {
namespace {

void expect_signal(const Outcome& outcome, int number) {
    EXPECT_EQ(outcome.verdict, Verdict::signal) << to_string(outcome);
    EXPECT_EQ(outcome.value, number);
}

/// A page under a context whose messages are signals (feature SIGBUS).
class Watched {
public:
    Watched(u64 mode, int file = -1)
        : memory(file, 1, file < 0 ? read_write : shared_write),
          fd(static_cast<int>(
              perform(Call::uffd_open(abi::Feature::sigbus | (mode == RegisterMode::write_protect
                                                                  ? abi::Feature::pagefault_flag_wp
                                                                  : 0)))
                  .value)) {
        const Outcome registered =
            perform(Call::uffd_register(fd.get(), memory.at(0), page_size, mode));
        EXPECT_TRUE(registered.ok()) << to_string(registered);
    }
    u64 at() const { return memory.at(0); }
    const Scratch memory;
    const Fd fd;
};

TEST(Access, AStoreIsWhatALoadFinds) {
    const Scratch memory(-1, 1, read_write);
    EXPECT_TRUE(perform(Call::store(memory.at(0) + 8, ~u64{0} - 5)).ok());
    const Outcome loaded = perform(Call::load(memory.at(0) + 8));
    EXPECT_TRUE(loaded.ok());
    EXPECT_EQ(static_cast<u64>(loaded.value), ~u64{0} - 5);
    EXPECT_EQ(perform(Call::load(memory.at(0))).value, 0);
}

TEST(Access, WhereNothingIsMappedBothRaiseSegv) {
    u64 gone = 0;
    {
        const Scratch memory(-1, 1, read_write);
        gone = memory.at(0);
    }
    expect_signal(perform(Call::load(gone)), SIGSEGV);
    expect_signal(perform(Call::store(gone, 1)), SIGSEGV);
}

TEST(Access, AReadOnlyPageRefusesTheStoreAlone) {
    const Scratch memory(-1, 1, MapFlag::read);
    expect_signal(perform(Call::store(memory.at(0), 1)), SIGSEGV);
    EXPECT_TRUE(perform(Call::load(memory.at(0))).ok());
}

TEST(Access, BehindTheEndOfAFileIsBus) {
    const Fd file = new_memfd(1);
    const Scratch memory(file.get(), 2, shared_write);
    EXPECT_TRUE(perform(Call::load(memory.at(0))).ok());
    expect_signal(perform(Call::load(memory.at(1))), SIGBUS);
}

TEST(Access, AMissingPageIsBusUntilItIsFilled) {
    VERSO_NEEDS(userfaultfd);
    const Watched page(RegisterMode::missing);
    expect_signal(perform(Call::load(page.at())), SIGBUS);
    expect_signal(perform(Call::store(page.at(), 1)), SIGBUS);
    ASSERT_TRUE(perform(Call::uffd_zeropage(page.fd.get(), page.at(), page_size)).ok());
    EXPECT_TRUE(perform(Call::store(page.at(), 1)).ok());
    EXPECT_EQ(perform(Call::load(page.at())).value, 1);
}

TEST(Access, AProtectedPageIsBusForStoresUntilItIsReleased) {
    VERSO_NEEDS(userfaultfd);
    const Watched page(RegisterMode::write_protect);
    ASSERT_TRUE(perform(Call::store(page.at(), 1)).ok());
    ASSERT_TRUE(perform(Call::uffd_write_protect(page.fd.get(), page.at(), page_size, true)).ok());
    expect_signal(perform(Call::store(page.at(), 2)), SIGBUS);
    EXPECT_EQ(perform(Call::load(page.at())).value, 1);
    ASSERT_TRUE(perform(Call::uffd_write_protect(page.fd.get(), page.at(), page_size, false)).ok());
    EXPECT_TRUE(perform(Call::store(page.at(), 2)).ok());
}

TEST(Access, EachThreadGetsTheOutcomeOfItsOwnAccess) {
    const Scratch good(-1, 1, read_write);
    const Scratch bad(-1, 1, 0);
    std::jthread other([&] {
        for (int i = 0; i < 500; ++i) {
            EXPECT_TRUE(perform(Call::store(good.at(0), 1)).ok());
        }
    });
    for (int i = 0; i < 500; ++i) {
        expect_signal(perform(Call::store(bad.at(0), 1)), SIGSEGV);
    }
}

TEST(Access, AChildOfForkHasItAsWell) {
    const Scratch memory(-1, 1, MapFlag::read);
    expect_signal(perform(Call::store(memory.at(0), 1)), SIGSEGV);
    EXPECT_EQ(
        in_child([&] { return static_cast<int>(perform(Call::store(memory.at(0), 1)).value); }),
        SIGSEGV);
}

class AccessDeathTest : public testing::Test {
protected:
    void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

TEST_F(AccessDeathTest, AFaultThatIsNoAccessGoesToTheHandlerThatWasThereBefore) {
    EXPECT_EXIT(
        {
            ::signal(
                SIGSEGV, +[](int) { ::_exit(42); });
            const Scratch memory(-1, 1, MapFlag::read);
            static_cast<void>(perform(Call::store(memory.at(0), 1)));
            memory.byte(0) = 1;
        },
        testing::ExitedWithCode(42), "");
}

TEST_F(AccessDeathTest, AFaultThatIsNobodysEndsTheProcess) {
    EXPECT_DEATH(
        {
            const Scratch memory(-1, 1, MapFlag::read);
            static_cast<void>(perform(Call::store(memory.at(0), 1)));
            memory.byte(0) = 1;
        },
        "");
}

TEST(KernelAccess, TheKernelReadsAndWritesForUs) {
    const Scratch memory(-1, 1, read_write);
    EXPECT_TRUE(perform(Call::gup_write(memory.at(0), 77)).ok());
    EXPECT_EQ(perform(Call::load(memory.at(0))).value, 77);
    EXPECT_EQ(perform(Call::gup_read(memory.at(0))).value, 77);
}

TEST(KernelAccess, WhereALoadWouldRaiseASignalItAnswers) {
    VERSO_NEEDS(userfaultfd);
    const Watched page(RegisterMode::missing);
    EXPECT_EQ(perform(Call::gup_read(page.at())).verdict, Verdict::no_page);
    EXPECT_EQ(perform(Call::gup_write(page.at(), 1)).verdict, Verdict::no_page);
}

TEST(KernelAccess, OnlyAForcedWriteGetsPastAReadOnlyMapping) {
    const Scratch memory(-1, 1, MapFlag::read);
    EXPECT_EQ(perform(Call::gup_write(memory.at(0), 1)).verdict, Verdict::no_page);
    const Outcome forced = perform(Call::forced_write(memory.at(0), 5));
    if (forced.verdict != Verdict::done) {
        ASSERT_EQ(forced.error, EIO) << to_string(forced);
        GTEST_SKIP() << "this kernel forbids writing past protection: " << to_string(forced);
    }
    EXPECT_EQ(perform(Call::load(memory.at(0))).value, 5);
}

TEST(KernelAccess, APinIsADescriptorAndGoesWithIt) {
    const Scratch memory(-1, 2, read_write);
    const int before = lowest_free_fd();
    const Outcome pinned = perform(Call::pin(memory.at(0), memory.bytes()));
    if (!pinned.ok()) {
        ASSERT_TRUE(pinned.verdict == Verdict::denied || pinned.verdict == Verdict::unsupported ||
                    pinned.verdict == Verdict::no_memory)
            << to_string(pinned);
        GTEST_SKIP() << "this kernel lets nobody pin memory: " << to_string(pinned);
    }
    EXPECT_NE(pagemap_entry(memory.at(1)) & abi::PagemapBit::present, 0U) << "pinning populates";
    EXPECT_TRUE(perform(Call::close(static_cast<int>(pinned.value))).ok());
    EXPECT_EQ(lowest_free_fd(), before);
    EXPECT_EQ(perform(Call::pin(page_size, page_size)).verdict, Verdict::no_page);
    EXPECT_EQ(lowest_free_fd(), before) << "nor does one that failed leave its ring";
}

TEST(KernelAccess, LockingPopulatesAndFailsWhereNothingIsMapped) {
    const Scratch memory(-1, 2, read_write);
    ASSERT_TRUE(perform(Call::lock(memory.at(0), memory.bytes())).ok());
    EXPECT_NE(pagemap_entry(memory.at(1)) & abi::PagemapBit::present, 0U);
    EXPECT_EQ(perform(Call::lock(page_size, page_size)).verdict, Verdict::no_memory);
}

TEST(KernelAccess, LockingAMissingPageThatNobodyFillsFails) {
    VERSO_NEEDS(userfaultfd);
    const Watched page(RegisterMode::missing);
    EXPECT_FALSE(perform(Call::lock(page.at(), page_size)).ok());
}

}  // namespace
}  // namespace verso::host
