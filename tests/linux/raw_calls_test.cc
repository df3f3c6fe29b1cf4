// The raw calls of programs that try a kernel out: arguments reach the kernel as they are, and its
// first error comes back.
#include <array>

#include <gtest/gtest.h>

#include "abi/pagemap.h"
#include "linux/linux_test.h"

namespace verso::host {
namespace {
using kernel::MoveFlag;
using kernel::RemapFlag;
using kernel::ScanQuestion;
using kernel::ScanRegion;

/// Several adjacent pages whose parts may be unmapped or moved by a test.
class Range {
public:
    explicit Range(u64 pages) : bytes_(to_bytes(pages)) {
        address_ = static_cast<u64>(perform(Call::map(-1, 0, bytes_, read_write)).value);
    }
    ~Range() { static_cast<void>(perform(Call::unmap(address_, bytes_))); }
    Range(const Range&) = delete;
    Range& operator=(const Range&) = delete;
    u64 at(u64 page) const { return address_ + to_bytes(page); }

private:
    u64 bytes_;
    u64 address_ = 0;
};

TEST(Remap, AMovedRangeKeepsItsContents) {
    const Range from(2);
    const Range to(2);
    ASSERT_TRUE(perform(Call::store(from.at(1), 5)).ok());
    const Outcome moved = perform(Call::remap(from.at(0), to_bytes(2), to_bytes(2),
                                              RemapFlag::may_move | RemapFlag::fixed, to.at(0)));
    ASSERT_TRUE(moved.ok()) << to_string(moved);
    EXPECT_EQ(static_cast<u64>(moved.value), to.at(0));
    EXPECT_EQ(perform(Call::load(to.at(1))).value, 5);
    EXPECT_EQ(perform(Call::load(from.at(1))).verdict, Verdict::signal);
}

TEST(Remap, WithDontunmapTheOldRangeStaysAndIsEmpty) {
    const Range from(1);
    const Range to(1);
    ASSERT_TRUE(perform(Call::store(from.at(0), 5)).ok());
    const Outcome moved = perform(
        Call::remap(from.at(0), page_size, page_size,
                    RemapFlag::may_move | RemapFlag::fixed | RemapFlag::dontunmap, to.at(0)));
    if (moved.verdict == Verdict::invalid) {
        GTEST_SKIP() << "MREMAP_DONTUNMAP needs Linux 5.7";
    }
    EXPECT_EQ(perform(Call::load(to.at(0))).value, 5);
    EXPECT_EQ(perform(Call::load(from.at(0))).value, 0);
}

TEST(Remap, WhatMayNotMoveCannotGrowIntoANeighbour) {
    const Range range(2);
    EXPECT_EQ(perform(Call::remap(range.at(0), page_size, to_bytes(2), 0)).verdict,
              Verdict::no_memory);
}

TEST(Remap, AnUnalignedAddressIsInvalid) {
    const Range range(1);
    EXPECT_EQ(perform(Call::remap(range.at(0) + 1, page_size, page_size, 0)).verdict,
              Verdict::invalid);
}

TEST(RawHandshake, BeforeItEverythingIsInvalid) {
    VERSO_NEEDS(userfaultfd);
    const Range range(1);
    const Outcome made = perform(Call::uffd_create());
    if (!made.ok()) {
        ASSERT_TRUE(made.verdict == Verdict::denied || made.verdict == Verdict::unsupported)
            << to_string(made);
        GTEST_SKIP() << "the system call is not for this user: " << to_string(made);
    }
    const Fd fd(static_cast<int>(made.value));
    EXPECT_EQ(perform(Call::uffd_register(fd.get(), range.at(0), page_size, RegisterMode::missing))
                  .verdict,
              Verdict::invalid);
    EXPECT_EQ(perform(Call::uffd_api(fd.get(), 0x1234, 0)).verdict, Verdict::invalid);
    EXPECT_EQ(perform(Call::uffd_api(fd.get(), 0xAA, u64{1} << 63)).verdict, Verdict::invalid);
    const Outcome features = perform(Call::uffd_api(fd.get(), 0xAA, 0));
    ASSERT_TRUE(features.ok()) << to_string(features);
    EXPECT_EQ(static_cast<u64>(features.value), linux_kernel().abilities().uffd_features);
    EXPECT_TRUE(
        perform(Call::uffd_register(fd.get(), range.at(0), page_size, RegisterMode::missing)).ok());
}

TEST(RawHandshake, ASecondOneIsRefused) {
    VERSO_NEEDS(userfaultfd);
    const Outcome made = perform(Call::uffd_create(true));
    ASSERT_TRUE(made.ok()) << to_string(made);
    const Fd fd(static_cast<int>(made.value));
    EXPECT_TRUE(perform(Call::uffd_api(fd.get(), 0xAA, 0)).ok());
    EXPECT_FALSE(perform(Call::uffd_api(fd.get(), 0xAA, 0)).ok());
}

class UffdMove : public testing::Test {
protected:
    void SetUp() override {
        if ((linux_kernel().abilities().uffd_features & abi::Feature::move) == 0) {
            GTEST_SKIP() << "UFFDIO_MOVE needs Linux 6.8";
        }
        fd = Fd(static_cast<int>(perform(Call::uffd_open(abi::Feature::move)).value));
        ASSERT_TRUE(
            perform(Call::uffd_register(fd.get(), to.at(0), to_bytes(2), RegisterMode::missing))
                .ok());
    }
    const Range from{2};
    const Range to{2};
    Fd fd;
};

TEST_F(UffdMove, ThePageIsThereAndNoLongerHere) {
    ASSERT_TRUE(perform(Call::store(from.at(0), 9)).ok());
    const Outcome moved =
        perform(Call::uffd_move(fd.get(), to.at(0), page_size, from.at(0), MoveFlag::no_wake));
    ASSERT_TRUE(moved.ok()) << to_string(moved);
    EXPECT_EQ(perform(Call::load(to.at(0))).value, 9);
    EXPECT_EQ(pagemap_entry(from.at(0)) & abi::PagemapBit::present, 0U);
}

TEST_F(UffdMove, AHoleInTheSourceIsAnErrorUnlessAllowed) {
    EXPECT_EQ(perform(Call::uffd_move(fd.get(), to.at(0), page_size, from.at(0), 0)).verdict,
              Verdict::no_such_range);
    EXPECT_TRUE(perform(Call::uffd_move(fd.get(), to.at(0), page_size, from.at(0),
                                        MoveFlag::allow_source_holes))
                    .ok());
}

TEST_F(UffdMove, AHoleInTheMiddleStopsItThere) {
    ASSERT_TRUE(perform(Call::store(from.at(0), 9)).ok());
    const Outcome moved = perform(Call::uffd_move(fd.get(), to.at(0), to_bytes(2), from.at(0), 0));
    EXPECT_EQ(moved.verdict, Verdict::partial) << to_string(moved);
    EXPECT_EQ(moved.value, page_size);
}

class RawScan : public testing::Test {
protected:
    void SetUp() override { VERSO_NEEDS(pagemap_scan); }
    const Range range{4};
    std::array<ScanRegion, 4> regions;
    ScanQuestion question{.category_mask = abi::PageIs::present,
                          .return_mask = abi::PageIs::present,
                          .regions = regions};
    Outcome scan() { return perform(Call::scan(range.at(0), to_bytes(4)), {.scan = &question}); }
};

TEST_F(RawScan, RegionsAreWhatMatches) {
    for (const u64 page : {0U, 2U, 3U}) {
        ASSERT_TRUE(perform(Call::store(range.at(page), 1)).ok());
    }
    const Outcome scanned = scan();
    ASSERT_EQ(scanned.value, 2) << to_string(scanned);
    EXPECT_EQ(regions[0], (ScanRegion{range.at(0), range.at(1), abi::PageIs::present}));
    EXPECT_EQ(regions[1], (ScanRegion{range.at(2), range.at(4), abi::PageIs::present}));
    EXPECT_EQ(scanned.walk_end, range.at(4));
}

TEST_F(RawScan, ALimitOfPagesEndsTheWalkThere) {
    for (u64 page = 0; page < 4; ++page) {
        ASSERT_TRUE(perform(Call::store(range.at(page), 1)).ok());
    }
    question.pages_max = 2;
    const Outcome scanned = scan();
    EXPECT_EQ(scanned.value, 1) << to_string(scanned);
    EXPECT_EQ(scanned.walk_end, range.at(2));
}

TEST_F(RawScan, UnknownCategoriesAndFlagsAreInvalid) {
    question.category_mask = u64{1} << 63;
    EXPECT_EQ(scan().verdict, Verdict::invalid);
    question.category_mask = abi::PageIs::present;
    question.flags = u64{1} << 40;
    EXPECT_EQ(scan().verdict, Verdict::invalid);
}

TEST_F(RawScan, ArmingMemoryThatIsNotUnderAsyncProtectionIsRefused) {
    ASSERT_TRUE(perform(Call::store(range.at(0), 1)).ok());
    question.flags = abi::PagemapScanFlag::wp_matching | abi::PagemapScanFlag::check_wp_async;
    EXPECT_EQ(scan().verdict, Verdict::denied);
}

TEST(ClearRefs, SoftDirtyIsGoneUntilTheNextStore) {
    const Range range(1);
    ASSERT_TRUE(perform(Call::store(range.at(0), 1)).ok());
    if ((pagemap_entry(range.at(0)) & abi::PagemapBit::soft_dirty) == 0) {
        GTEST_SKIP() << "this kernel is built without soft-dirty bits (CONFIG_MEM_SOFT_DIRTY)";
    }
    ASSERT_TRUE(perform(Call::clear_refs()).ok());
    EXPECT_EQ(pagemap_entry(range.at(0)) & abi::PagemapBit::soft_dirty, 0U);
    ASSERT_TRUE(perform(Call::store(range.at(0), 2)).ok());
    EXPECT_NE(pagemap_entry(range.at(0)) & abi::PagemapBit::soft_dirty, 0U);
}

TEST(Descriptors, AClosedOneIsNoMore) {
    const int fd = static_cast<int>(perform(Call::event_create()).value);
    EXPECT_TRUE(perform(Call::close(fd)).ok());
    EXPECT_EQ(perform(Call::event_signal(fd)).error, EBADF);
}

TEST(Descriptors, AFileOnDiskHasNoNameAndHoldsWhatIsStored) {
    constexpr std::string_view folder = "/var/tmp";
    const Outcome made = perform(Call::file_create(), {.in = std::as_bytes(std::span(folder))});
    if (!made.ok()) {
        GTEST_SKIP() << "no file without a name can be made in " << folder << ": "
                     << to_string(made);
    }
    const Fd file(static_cast<int>(made.value));
    ASSERT_TRUE(perform(Call::file_resize(file.get(), page_size)).ok());
    const Scratch memory(file.get(), 1, shared_write);
    ASSERT_TRUE(perform(Call::store(memory.at(0), 3)).ok());
    u64 back = 0;
    EXPECT_TRUE(perform(Call::file_read(file.get(), 0, sizeof back),
                        {.out = std::as_writable_bytes(std::span(&back, 1))})
                    .ok());
    EXPECT_EQ(back, 3U);
}

TEST(Advice, GuardsRaiseSegvUntilTheyAreRemoved) {
    const Range range(1);
    ASSERT_TRUE(perform(Call::store(range.at(0), 3)).ok());
    const Outcome guarded = perform(Call::advise(range.at(0), page_size, Advice::guard_install));
    if (guarded.verdict == Verdict::invalid) {
        GTEST_SKIP() << "guard pages need Linux 6.13";
    }
    EXPECT_EQ(perform(Call::load(range.at(0))).verdict, Verdict::signal);
    EXPECT_TRUE(perform(Call::advise(range.at(0), page_size, Advice::guard_remove)).ok());
    EXPECT_EQ(perform(Call::load(range.at(0))).value, 0) << "what was there went with the guard";
}

}  // namespace
}  // namespace verso::host
