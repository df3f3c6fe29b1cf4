// Which layer needs which page, who holds it, when storage can go; and what a full disk does to it.
#include <gtest/gtest.h>

#include "engine/frozen.h"
#include "kernel/failing_kernel.h"
#include "linux/linux_kernel.h"

namespace verso::engine {
namespace {

constexpr u64 pages = 64;

class FrozenPages : public testing::Test {
protected:
    Layer& take() {
        Result<std::unique_ptr<Layer>> layer = frozen_.prepare();
        EXPECT_TRUE(layer.has_value());
        return frozen_.push(std::move(*layer));
    }
    void release(Layer& layer) { frozen_.collect(frozen_.unpin(layer)); }
    kernel::Outcome store(Layer& layer, u64 page, char value) {
        const std::vector<std::byte> bytes(page_size, static_cast<std::byte>(value));
        return frozen_.store(layer, page, bytes);
    }
    char read(const Layer& from, u64 page) {
        const Layer* holder = frozen_.holder(from, page);
        return holder == nullptr ? '\0' : static_cast<char>(frozen_.bytes(*holder, page, 1)[0]);
    }

    kernel::FailingKernel kernel_{host::linux_kernel()};
    Frozen frozen_ = std::move(*Frozen::create(kernel_, pages, true));
};

TEST_F(FrozenPages, WithoutASnapshotNobodyNeedsAnything) {
    EXPECT_EQ(frozen_.needed_by(3), nullptr);
}

TEST_F(FrozenPages, TheLatestPinnedLayerStoresForAllBeforeIt) {
    const Layer& first = take();
    Layer& second = take();
    EXPECT_EQ(frozen_.needed_by(3), &second);
    ASSERT_TRUE(store(second, 3, 'b').ok());
    EXPECT_EQ(frozen_.needed_by(3), nullptr) << "stored once is stored for both";
    EXPECT_EQ(read(first, 3), 'b');
    EXPECT_EQ(read(second, 3), 'b');
}

TEST_F(FrozenPages, ALaterLayerDoesNotSeeEarlierBytes) {
    Layer& first = take();
    ASSERT_TRUE(store(first, 3, 'a').ok());
    const Layer& second = take();
    EXPECT_EQ(read(first, 3), 'a');
    EXPECT_EQ(frozen_.holder(second, 3), nullptr) << "to it the page is what it is now";
}

TEST_F(FrozenPages, AReleasedLayerKeepsWhatAnOlderOneReadsFromIt) {
    const Layer& first = take();
    Layer& second = take();
    ASSERT_TRUE(store(second, 3, 'b').ok());
    release(second);
    EXPECT_EQ(read(first, 3), 'b');
    EXPECT_EQ(frozen_.layers().size(), 2U);
}

TEST_F(FrozenPages, AReleasedLayerGivesBackWhatAnOlderOneHasItself) {
    Layer& first = take();
    ASSERT_TRUE(store(first, 3, 'a').ok());
    Layer& second = take();
    ASSERT_TRUE(store(second, 3, 'b').ok());
    release(second);
    EXPECT_EQ(frozen_.layers().size(), 1U);
    EXPECT_EQ(read(first, 3), 'a');
    EXPECT_EQ(frozen_.used_bytes(), page_size);
}

TEST_F(FrozenPages, TheLastReleaseGivesEverythingBack) {
    Layer& first = take();
    Layer& second = take();
    ASSERT_TRUE(store(second, 3, 'b').ok());
    release(first);
    release(second);
    EXPECT_EQ(frozen_.layers().size(), 0U);
    EXPECT_EQ(frozen_.used_bytes(), 0U);
}

TEST_F(FrozenPages, ASlotThatIsTakenAgainStartsEmpty) {
    Layer& first = take();
    const u32 slot = first.slot;
    ASSERT_TRUE(store(first, 3, 'a').ok());
    frozen_.lose(first, 5, 1);
    release(first);
    const Layer& again = take();
    EXPECT_EQ(again.slot, slot);
    EXPECT_FALSE(again.captured.test(3));
    EXPECT_FALSE(again.lost.test(5));
}

TEST_F(FrozenPages, ASlotThatCannotBeEmptiedIsNotTakenAgain) {
    Layer& first = take();
    const u32 slot = first.slot;
    ASSERT_TRUE(store(first, 3, 'a').ok());
    kernel_.fail({.outcome = {kernel::Verdict::other, EIO, 0, 0},
                  .only = kernel::Op::file_punch,
                  .times = 1'000'000});
    release(first);
    kernel_.stop_failing();
    const Layer& next = take();
    EXPECT_NE(next.slot, slot);
    EXPECT_EQ(frozen_.holder(next, 3), nullptr);
}

TEST_F(FrozenPages, APageIsMarkedOnlyOnceItIsStored) {
    Layer& layer = take();
    kernel_.fail({.outcome = {kernel::Verdict::no_memory, ENOSPC, 0, 0},
                  .only = kernel::OpSet{kernel::Op::uffd_copy, kernel::Op::file_write},
                  .times = 2});
    EXPECT_FALSE(store(layer, 3, 'a').ok());
    EXPECT_FALSE(layer.captured.test(3));
    EXPECT_EQ(frozen_.needed_by(3), &layer);
}

TEST_F(FrozenPages, HalfAStoreIsNoStore) {
    Layer& layer = take();
    kernel_.fail({.nth = 1,
                  .outcome = {kernel::Verdict::partial, 0, page_size / 2, 0},
                  .only = kernel::OpSet{kernel::Op::uffd_copy, kernel::Op::file_write},
                  .times = 2});
    EXPECT_FALSE(store(layer, 3, 'a').ok());
    EXPECT_FALSE(layer.captured.test(3));
}

TEST_F(FrozenPages, WhatUserfaultfdStoredInPartIsStoredWhole) {
    Layer& layer = take();
    const std::vector<std::byte> bytes(4 * page_size, std::byte{'p'});
    kernel_.fail({.outcome = {kernel::Verdict::partial, 0, 2 * page_size, 0},
                  .only = kernel::Op::uffd_copy});
    ASSERT_TRUE(frozen_.store(layer, 2, bytes).ok());
    EXPECT_EQ(kernel_.calls(kernel::Op::file_write), 1U);
    EXPECT_TRUE(std::ranges::equal(frozen_.bytes(layer, 2, 4), bytes));
}

TEST_F(FrozenPages, WithoutUserfaultfdPagesAreWritten) {
    kernel_.fail(
        {.outcome = {kernel::Verdict::denied, EPERM, 0, 0}, .only = kernel::Op::uffd_open});
    Layer& layer = take();
    ASSERT_TRUE(store(layer, 3, 'a').ok());
    EXPECT_EQ(kernel_.calls(kernel::Op::uffd_copy), 0U);
    EXPECT_EQ(frozen_.bytes(layer, 3, 1)[0], std::byte{'a'});
}

TEST_F(FrozenPages, ALostPageIsHeldAndNotNeededAgain) {
    Layer& layer = take();
    frozen_.lose(layer, 3, 1);
    EXPECT_EQ(frozen_.holder(layer, 3), &layer);
    EXPECT_TRUE(layer.lost.test(3));
    EXPECT_EQ(frozen_.needed_by(3), nullptr);
}

TEST_F(FrozenPages, OneSnapshotTooManyIsRefusedInWords) {
    for (unsigned i = 0; i < Limits::snapshots_max; ++i) {
        take();
    }
    const Result<std::unique_ptr<Layer>> over = frozen_.prepare();
    ASSERT_FALSE(over.has_value());
    EXPECT_EQ(over.error().kind, ErrorKind::resource);
    EXPECT_NE(over.error().message.find("release"), std::string::npos) << over.error().message;
}

}  // namespace
}  // namespace verso::engine
