// PAGEMAP_SCAN and plain pagemap entries.
#include <array>

#include "linux/linux_test.h"

namespace verso::host {
namespace {
using abi::Feature;

constexpr u64 async_features =
    Feature::wp_async | Feature::wp_hugetlbfs_shmem | Feature::wp_unpopulated;

/// Memory under async write-protection, all armed.
struct Tracked {
    explicit Tracked(u64 pages) : file(new_memfd(pages)), memory(file.get(), pages, shared_write) {
        const Outcome opened = perform(Call::uffd_open(async_features));
        EXPECT_TRUE(opened.ok()) << to_string(opened);
        uffd = Fd(static_cast<int>(opened.value));
        EXPECT_TRUE(perform(Call::uffd_register(uffd.get(), memory.at(0), memory.bytes(),
                                                RegisterMode::write_protect))
                        .ok());
        EXPECT_TRUE(
            perform(Call::uffd_write_protect(uffd.get(), memory.at(0), memory.bytes(), true)).ok());
    }
    Outcome scan(std::span<PageRun> runs, u64 flags = ScanFlag::written | ScanFlag::arm) const {
        return perform(Call::pagemap_scan(memory.at(0), memory.bytes(), flags), {.runs = runs});
    }
    Fd file;
    Scratch memory;
    Fd uffd;
};

TEST(PagemapScan, NamesWrittenPagesOnceAndArmsThemAgain) {
    VERSO_NEEDS(wp_async);
    const Tracked tracked(8);
    tracked.memory.byte(2) = 1;
    tracked.memory.byte(3) = 1;
    tracked.memory.byte(6) = 1;
    std::array<PageRun, 8> runs;
    const Outcome first = tracked.scan(runs);
    ASSERT_EQ(first.value, 2) << to_string(first);
    EXPECT_EQ(runs[0].start, tracked.memory.at(2));
    EXPECT_EQ(runs[0].end, tracked.memory.at(4));
    EXPECT_EQ(runs[1].start, tracked.memory.at(6));
    EXPECT_EQ(first.walk_end, tracked.memory.at(8));
    EXPECT_EQ(tracked.scan(runs).value, 0);
    tracked.memory.byte(3) = 2;
    EXPECT_EQ(tracked.scan(runs).value, 1);
}

TEST(PagemapScan, WithoutArmingThePagesStayWritten) {
    VERSO_NEEDS(wp_async);
    const Tracked tracked(2);
    tracked.memory.byte(1) = 1;
    std::array<PageRun, 2> runs;
    EXPECT_EQ(tracked.scan(runs, ScanFlag::written).value, 1);
    EXPECT_EQ(tracked.scan(runs, ScanFlag::written).value, 1);
}

// H22: a full buffer ends the scan early; what it did not reach is neither reported nor armed.
TEST(H22_FullBuffer, TheScanGoesOnWhereItStoppedAndLosesNothing) {
    VERSO_NEEDS(wp_async);
    constexpr u64 pages = 4096;
    const Tracked tracked(pages);
    for (u64 page = 0; page < pages; page += 2) {
        tracked.memory.byte(page) = 1;
    }
    std::array<PageRun, 100> runs;
    u64 found = 0;
    const u64 end = tracked.memory.at(pages);
    for (u64 at = tracked.memory.at(0); at < end;) {
        const Outcome outcome = perform(
            Call::pagemap_scan(at, end - at, ScanFlag::written | ScanFlag::arm), {.runs = runs});
        ASSERT_TRUE(outcome.ok()) << to_string(outcome);
        ASSERT_GT(outcome.walk_end, at);
        for (u64 i = 0; i < static_cast<u64>(outcome.value); ++i) {
            EXPECT_EQ(runs[i].start, tracked.memory.at(2 * (found + i)));
        }
        found += static_cast<u64>(outcome.value);
        at = outcome.walk_end;
    }
    EXPECT_EQ(found, pages / 2);
}

TEST(H22_FullBuffer, MoreRunsThanOneSystemCallBringsAreAllThere) {
    VERSO_NEEDS(wp_async);
    constexpr u64 pages = 4096;
    const Tracked tracked(pages);
    for (u64 page = 0; page < pages; page += 2) {
        tracked.memory.byte(page) = 1;
    }
    std::vector<PageRun> runs(pages);
    const Outcome outcome = tracked.scan(runs);
    EXPECT_EQ(outcome.value, static_cast<i64>(pages / 2));
    EXPECT_EQ(outcome.walk_end, tracked.memory.at(pages));
}

// H9: memory mapped over a tracked range must not be called clean.
TEST(H9_LostRegistration, AScanOverAReplacedMappingIsRefused) {
    VERSO_NEEDS(wp_async);
    const Tracked tracked(4);
    ASSERT_TRUE(
        perform(Call::map(-1, 0, page_size, read_write | MapFlag::fixed, tracked.memory.at(1)))
            .ok());
    std::array<PageRun, 4> runs;
    EXPECT_EQ(tracked.scan(runs).verdict, Verdict::denied);
}

TEST(Pagemap, EntriesTellPresentFromAbsent) {
    const Scratch memory(-1, 2, read_write);
    memory.byte(1) = 1;
    EXPECT_EQ(pagemap_entry(memory.at(0)) & abi::PagemapBit::present, 0U);
    EXPECT_NE(pagemap_entry(memory.at(1)) & abi::PagemapBit::present, 0U);
}

/// A private mapping of a memfd whose two absent pages are protected, which leaves PTE markers, and
/// the entry of the first.
u64 entry_of_a_marker() {
    const Fd file = new_memfd(2);
    const Scratch memory(file.get(), 2, read_write);
    const Outcome opened =
        perform(Call::uffd_open(Feature::pagefault_flag_wp | Feature::wp_hugetlbfs_shmem));
    const Fd uffd(opened.ok() ? static_cast<int>(opened.value) : -1);
    EXPECT_TRUE(perform(Call::uffd_register(uffd.get(), memory.at(0), memory.bytes(),
                                            RegisterMode::write_protect))
                    .ok());
    EXPECT_TRUE(
        perform(Call::uffd_write_protect(uffd.get(), memory.at(0), memory.bytes(), true)).ok());
    return pagemap_entry(memory.at(0));
}

TEST(Pagemap, AMarkerOfAProtectedAbsentPageIsNoPrivateCopy) {
    VERSO_NEEDS(write_protect_shmem);
    const u64 entry = entry_of_a_marker();
    EXPECT_NE(entry & abi::PagemapBit::uffd_wp, 0U);
    if (::geteuid() != 0) {
        GTEST_SKIP() << "only root is told the swap type that tells a marker from a swapped page";
    }
    EXPECT_FALSE(abi::is_private_copy(entry)) << std::hex << entry;
}

TEST(Pagemap, WithoutPrivilegeAMarkerCountsAsACopySoThatNoneIsMissed) {
    VERSO_NEEDS(write_protect_shmem);
    EXPECT_EQ(in_child([] {
                  if (!become_nobody()) {
                      return 2;
                  }
                  return abi::is_private_copy(entry_of_a_marker()) ? 0 : 1;
              }),
              0);
}

// The cached descriptor names an address space: a child must not look at its parent's.
TEST(Pagemap, AForkedChildSeesItsOwnPages) {
    const Scratch memory(-1, 2, read_write);
    EXPECT_EQ(pagemap_entry(memory.at(0)) & abi::PagemapBit::present, 0U);
    EXPECT_EQ(in_child([&] {
                  memory.byte(0) = 1;
                  return (pagemap_entry(memory.at(0)) & abi::PagemapBit::present) != 0 ? 0 : 1;
              }),
              0);
    EXPECT_EQ(pagemap_entry(memory.at(0)) & abi::PagemapBit::present, 0U);
}

}  // namespace
}  // namespace verso::host
