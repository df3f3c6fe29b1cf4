// Bytes follow their pages wherever the model moves them.
#include <array>
#include <cstring>

#include "sim/sim_test.h"

namespace verso::mm::sim {
namespace {

using kernel::Trigger;

using Contents = Sim;

TEST_F(Contents, OfAnonymousMemorySurviveSwap) {
    const u64 at = anonymous(2);
    store(at, 0x1122334455667788);
    store(at + 4088, 42);
    ASSERT_TRUE(provoke(Trigger::reclaim, at).acted);
    EXPECT_NE(pagemap(at) & abi::PagemapBit::swapped, 0U);
    EXPECT_EQ(load(at), 0x1122334455667788);
    EXPECT_EQ(load(at + 4088), 42U);
    EXPECT_EQ(load(at + 8), 0U);
}

TEST_F(Contents, SurviveSwapoff) {
    const u64 at = anonymous(1);
    store(at, 7);
    ASSERT_TRUE(provoke(Trigger::reclaim, at).acted);
    ASSERT_TRUE(provoke(Trigger::swap_off, at).acted);
    EXPECT_EQ(load(at), 7U);
}

TEST_F(Contents, SurviveMigrationToAnotherFrame) {
    const u64 at = anonymous(1);
    store(at, 7);
    const u64 before = pagemap(at);
    ASSERT_TRUE(provoke(Trigger::migrate, at).acted);
    EXPECT_NE(pagemap(at), before);
    EXPECT_EQ(load(at), 7U);
}

TEST_F(Contents, OfAFileArePrivateOnceWritten) {
    const Fd file = memfd(1);
    const u64 one = must(Call::map(file.get(), 0, page_size, shared));
    const u64 other = must(Call::map(file.get(), 0, page_size, plain));
    store(one, 1);
    EXPECT_EQ(load(other), 1U);
    store(other + 8, 2);
    store(one, 3);
    EXPECT_EQ(load(other), 1U);
    EXPECT_EQ(load(other + 8), 2U);
    EXPECT_EQ(load(one + 8), 0U);
}

TEST_F(Contents, OfAChildAreItsParentsUntilWritten) {
    const u64 at = anonymous(1);
    store(at, 1);
    const int child = world.fork(0).value();
    store(at, 2);
    EXPECT_EQ(load(at, child), 1U);
    store(at, 3, child);
    EXPECT_EQ(load(at), 2U);
    EXPECT_EQ(load(at, child), 3U);
}

TEST_F(Contents, OfAPinnedPageAreCopiedWhenItsProcessForks) {
    const u64 at = anonymous(1);
    store(at, 1);
    const Fd pin(static_cast<int>(must(Call::pin(at, page_size))));
    const int child = world.fork(0).value();
    store(at, 2);
    EXPECT_EQ(load(at, child), 1U);
    EXPECT_EQ(load(at), 2U);
}

TEST_F(Contents, OfEqualPagesAreSharedByMergingAndComeApartByAStore) {
    const u64 at = anonymous(2);
    must(Call::advise(at, to_bytes(2), kernel::Advice::mergeable));
    store(at, 5);
    store(at + page_size, 5);
    ASSERT_TRUE(provoke(Trigger::ksm_merge, at, to_bytes(2)).acted);
    EXPECT_EQ(pagemap(at) << 9, pagemap(at + page_size) << 9) << "one frame";
    store(at, 6);
    EXPECT_EQ(load(at), 6U);
    EXPECT_EQ(load(at + page_size), 5U);
}

TEST_F(Contents, AStoreAcrossTwoPagesIsOneValue) {
    const u64 at = anonymous(2);
    store(at + page_size - 4, 0x1122334455667788);
    EXPECT_EQ(load(at + page_size - 4), 0x1122334455667788U);
    EXPECT_EQ(load(at + page_size) & 0xffffffff, 0x11223344U);
}

TEST_F(Contents, WrittenThroughTheFileAreSeenThroughMappings) {
    const Fd file = memfd(2);
    const u64 at = must(Call::map(file.get(), 0, to_bytes(2), shared));
    const std::array<u64, 2> sent = {11, 12};
    must(Call::file_write(file.get(), page_size - 8, 16), {.in = std::as_bytes(std::span(sent))});
    EXPECT_EQ(load(at + page_size - 8), 11U);
    EXPECT_EQ(load(at + page_size), 12U);
    store(at + 16, 13);
    u64 got = 0;
    must(Call::file_read(file.get(), 16, 8), {.out = std::as_writable_bytes(std::span(&got, 1))});
    EXPECT_EQ(got, 13U);
}

TEST_F(Contents, APunchedHoleReadsZeroes) {
    const Fd file = memfd(2);
    const u64 at = must(Call::map(file.get(), 0, to_bytes(2), shared));
    store(at, 1);
    store(at + page_size, 2);
    EXPECT_EQ(must(Call::file_used(file.get())), to_bytes(2));
    must(Call::file_punch(file.get(), 0, page_size));
    EXPECT_EQ(must(Call::file_used(file.get())), page_size);
    EXPECT_EQ(must(Call::file_next_data(file.get(), 0)), page_size);
    EXPECT_EQ(load(at), 0U);
    EXPECT_EQ(load(at + page_size), 2U);
}

TEST_F(Contents, BeyondACutAreGoneWhenTheFileGrowsAgain) {
    const Fd file = memfd(2);
    const u64 at = must(Call::map(file.get(), 0, to_bytes(2), shared));
    store(at + 8, 1);
    store(at + page_size, 2);
    must(Call::file_resize(file.get(), 8));
    EXPECT_EQ(perform(Call::load(at + page_size)).verdict, kernel::Verdict::signal);
    must(Call::file_resize(file.get(), to_bytes(2)));
    EXPECT_EQ(load(at + 8), 0U);
    EXPECT_EQ(load(at + page_size), 0U);
}

TEST_F(Contents, VersionsThatNobodyHasAreForgotten) {
    const u64 at = anonymous(1);
    for (u64 i = 0; i < 10'000; ++i) {
        store(at, i);
    }
    EXPECT_LT(world.versions_kept(), 2000U);
    EXPECT_EQ(load(at), 9999U);
}

}  // namespace
}  // namespace verso::mm::sim
