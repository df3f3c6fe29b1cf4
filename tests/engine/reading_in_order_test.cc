// A child that reads in order has the next chunks of 512 pages mapped while it reads: up to eight
// where they are captured, one where they are live, none that holds a page which was written since.
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "support/backends.h"
#include "support/contents.h"
#include "support/needs.h"

namespace verso::test {
namespace {

bool holds(std::span<const std::byte> bytes, u64 seed, u64 version) {
    return tally(bytes, seed, version).right == to_pages(bytes.size());
}

void load(std::span<const std::byte> bytes, u64 page) {
    const volatile std::byte* const at = &bytes[to_bytes(page)];
    (void)*at;
}

/// Waits until `region` has mapped so many pages into children; false: it never did.
bool has_mapped(const Region& region, u64 pages) {
    for (unsigned tries = 0; tries < 10'000; ++tries) {
        if (region.stats().pages_mapped >= pages) {
            return true;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return false;
}

TEST(ReadingInOrder, AChildOfCapturedPagesAsksForAFewChunksAndSeesTheRestRight) {
    VERSO_NEEDS_USERFAULTFD();
    constexpr u64 chunks = 40;
    Result<Region> region = Region::create({.size = to_bytes(chunks * 512)});
    VERSO_ASSERT_OK(region);
    write_all(region->bytes(), 1, 0);
    const Result<Snapshot> moment = region->snapshot();
    VERSO_ASSERT_OK(moment);
    write_all(region->bytes(), 1, 1);
    const u64 before = region->stats().pages_mapped;
    const Result<Region> child = moment->fork();
    VERSO_ASSERT_OK(child);
    EXPECT_TRUE(holds(child->bytes(), 1, 0));
    EXPECT_GE(region->stats().pages_mapped - before, 39U * 512);  // shared, none copied
    EXPECT_EQ(region->stats().pages_copied, 0U);
}

TEST(ReadingInOrder, AChildOfLivePagesHasOneChunkMappedAheadWhichTheSourceTakesBackToWriteIt) {
    VERSO_NEEDS_USERFAULTFD();
    constexpr u64 chunks = 8;
    Result<Region> region = Region::create({.size = to_bytes(chunks * 512)});
    VERSO_ASSERT_OK(region);
    write_all(region->bytes(), 1, 0);
    const Result<Snapshot> moment = region->snapshot();
    VERSO_ASSERT_OK(moment);
    const Result<Region> child = moment->fork();
    VERSO_ASSERT_OK(child);
    load(child->bytes(), 0);
    load(child->bytes(), 512);
    EXPECT_TRUE(has_mapped(*region, 3 * u64{512}));
    write_all(region->bytes(), 1, 1);
    EXPECT_GE(region->stats().pages_revoked, 3 * u64{512});
    EXPECT_TRUE(holds(child->bytes(), 1, 0));
}

TEST(ReadingInOrder, AChildOfLivePagesHasNoChunkMappedAheadThatHoldsAWrittenPage) {
    VERSO_NEEDS_USERFAULTFD();
    constexpr u64 chunks = 12;
    Result<Region> region = Region::create({.size = to_bytes(chunks * 512)});
    VERSO_ASSERT_OK(region);
    write_all(region->bytes(), 1, 0);
    const Result<Snapshot> moment = region->snapshot();
    VERSO_ASSERT_OK(moment);
    for (u64 chunk = 0; chunk < chunks; ++chunk) {
        region->bytes()[to_bytes(chunk * 512 + 511) + 9] = std::byte{0xAB};
    }
    const Result<Region> child = moment->fork();
    VERSO_ASSERT_OK(child);
    for (u64 chunk = 0; chunk < chunks; ++chunk) {
        load(child->bytes(), chunk * 512);
        std::this_thread::sleep_for(std::chrono::milliseconds(2));  // for what may be ahead
    }
    EXPECT_TRUE(holds(child->bytes(), 1, 0));
}

}  // namespace
}  // namespace verso::test
