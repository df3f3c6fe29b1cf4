// H33: bytes that reach the memory without a page fault of the region's mapping. What the engine
// sees and what it cannot see, as docs/engine.md and `verso doctor` say it:
//
//   calls that write by address (read(2), io_uring,           fault when they write: seen,
//   process_vm_writev, direct reads)                          tests/vm/system_call_test.cc
//   /proc/PID/mem, ptrace (a debugger)                        refused with EIO, never unseen
//   a buffer registered with io_uring before the snapshot     pinned: never seen
//   the same page, taken back from a child meanwhile          the pin keeps a page that is no
//                                                             longer the region's: I/O is lost
//   a second mapping, write(2) to the memfd                   never seen
//   vmsplice                                                  reads: harms nobody
#include <csignal>
#include <cstring>
#include <fstream>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "hazards/brought.h"
#include "hazards/hooked.h"
#include "support/io_ring.h"

namespace verso::test {
namespace {

constexpr u64 pages = 16;
constexpr u64 pinned = 3;  // the page that devices write

/// A file whose first page is page_of(1, pinned, version): what a device would deliver.
Fd delivery(u64 version) {
    Fd file(::memfd_create("delivery", MFD_CLOEXEC));
    const Page bytes = page_of(1, pinned, version);
    VERSO_CHECK(::pwrite(file.get(), bytes.data(), page_size, 0) == page_size, "pwrite");
    return file;
}

class H33_WritesWithoutAFault : public testing::Test {
protected:
    void SetUp() override {
        Result<Region> made = Region::create({.size = to_bytes(pages)});
        VERSO_ASSERT_OK(made);
        region_.emplace(std::move(*made));
        write_all(region_->bytes(), 1, 0);
    }
    std::span<std::byte> buffer() const {
        return region_->bytes().subspan(to_bytes(pinned), page_size);
    }
    u64 version_of(std::span<const std::byte> page) const {
        for (u64 version = 0; version < 10; ++version) {
            if (std::ranges::equal(page, page_of(1, pinned, version))) {
                return version;
            }
        }
        return ~u64{0};
    }
    u64 in_region() const { return version_of(buffer()); }
    u64 in_snapshot(const Snapshot& moment) const {
        return version_of(moment.bytes()->subspan(to_bytes(pinned), page_size));
    }
    std::optional<Region> region_;
};

TEST_F(H33_WritesWithoutAFault, ADebuggersWriteIsRefusedAndNeverUnseen) {
    VERSO_NEEDS_USERFAULTFD();
    const Fd memory(::open("/proc/self/mem", O_RDWR | O_CLOEXEC));
    const auto in_place = static_cast<off_t>(reinterpret_cast<u64>(buffer().data()));
    const Page bytes = page_of(1, pinned, 5);
    const Result<Snapshot> moment = region_->snapshot();
    const ssize_t written = ::pwrite(memory.get(), bytes.data(), page_size, in_place);
    if (written < 0) {  // it takes no fault that somebody else must serve
        EXPECT_EQ(errno, EIO);
        EXPECT_EQ(in_region(), 0U);
        write_page(region_->bytes(), 1, pinned, 4);  // from then on it may
        EXPECT_EQ(::pwrite(memory.get(), bytes.data(), page_size, in_place),
                  static_cast<ssize_t>(page_size));
    }
    EXPECT_EQ(in_region(), 5U);
    EXPECT_EQ(in_snapshot(*moment), 0U);
}

TEST_F(H33_WritesWithoutAFault, ABufferThatIoUringHasPinnedIsWrittenUnseenAsDocumented) {
    VERSO_NEEDS_USERFAULTFD();
    const Ring ring;
    if (!ring.had() || !ring.register_buffer(buffer())) {
        GTEST_SKIP() << no_ring;
    }
    const Result<Written> before = region_->written(Mark{});
    VERSO_ASSERT_OK(before);
    const Result<Snapshot> moment = region_->snapshot();
    const Fd file = delivery(1);
    ASSERT_EQ(ring.read(file.get(), buffer(), true), static_cast<int>(page_size));
    EXPECT_EQ(in_region(), 1U);                    // the program has what was delivered,
    EXPECT_EQ(in_snapshot(*moment), 1U);           // and so has the snapshot, wrongly:
    EXPECT_EQ(region_->stats().write_faults, 0U);  // nobody was told
    EXPECT_EQ(region_->written(before->mark)->pages, 0U);
    EXPECT_EQ(region_->damage(), "");
}

TEST_F(H33_WritesWithoutAFault, ATransferThatEndsBeforeTheSnapshotIsInItAndTheNextOneIsToo) {
    VERSO_NEEDS_USERFAULTFD();
    const Ring ring;
    if (!ring.had() || !ring.register_buffer(buffer())) {
        GTEST_SKIP() << no_ring;
    }
    ASSERT_EQ(ring.read(delivery(1).get(), buffer(), true), static_cast<int>(page_size));
    const Result<Snapshot> first = region_->snapshot();
    VERSO_ASSERT_OK(first->detach());  // its bytes are stored: whatever comes, they stay
    ASSERT_EQ(ring.read(delivery(2).get(), buffer(), true), static_cast<int>(page_size));
    const Result<Snapshot> second = region_->snapshot();
    write_page(region_->bytes(), 1, pinned, 3);
    EXPECT_EQ(in_snapshot(*first), 1U);
    EXPECT_EQ(in_snapshot(*second), 2U);
    EXPECT_EQ(in_region(), 3U);
}

TEST_F(H33_WritesWithoutAFault, APinnedPageThatIsTakenBackFromAChildNoLongerReachesTheRegion) {
    VERSO_NEEDS_USERFAULTFD();
    const Ring ring;
    if (!ring.had() || !ring.register_buffer(buffer())) {
        GTEST_SKIP() << no_ring;
    }
    const Result<Snapshot> moment = region_->snapshot();
    const Result<Region> child = moment->fork();
    VERSO_ASSERT_OK(child);
    EXPECT_TRUE(holds(child->bytes(), 1, 0));    // maps the region's own pages
    write_page(region_->bytes(), 1, pinned, 4);  // taken back: the region has a new page here
    if (region_->stats().pages_revoked == 0) {
        GTEST_SKIP() << "children share no live pages here";
    }
    ASSERT_EQ(ring.read(delivery(5).get(), buffer(), true), static_cast<int>(page_size));
    EXPECT_EQ(in_region(), 4U) << "what was delivered is where nobody looks";
    EXPECT_EQ(in_snapshot(*moment), 0U);
}

TEST_F(H33_WritesWithoutAFault, InAdoptedMemoryAPinnedPageStaysTheRegions) {
    VERSO_NEEDS_USERFAULTFD();
    Brought memory(::memfd_create("app", MFD_CLOEXEC), pages);
    region_.emplace(std::move(*memory.adopt()));
    write_all(memory.memory(), 1, 0);
    const Ring ring;
    if (!ring.had() || !ring.register_buffer(buffer())) {
        GTEST_SKIP() << no_ring;
    }
    const Result<Snapshot> moment = region_->snapshot();
    const Result<Region> child = moment->fork();
    VERSO_ASSERT_OK(child);
    EXPECT_TRUE(holds(child->bytes(), 1, 0));
    write_page(region_->bytes(), 1, pinned, 4);
    ASSERT_EQ(ring.read(delivery(5).get(), buffer(), true), static_cast<int>(page_size));
    EXPECT_EQ(in_region(), 5U);
    EXPECT_EQ(in_snapshot(*moment), 0U);  // stored before: whoever wrote first was seen
    EXPECT_TRUE(holds(child->bytes(), 1, 0));
}

TEST_F(H33_WritesWithoutAFault, PagesInAPipeAreReadOnlyAndHarmNoSnapshot) {
    std::array<int, 2> ends{-1, -1};
    ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    const Fd out(ends[0]);
    const Fd in(ends[1]);
    const iovec part{buffer().data(), page_size};
    ASSERT_EQ(::vmsplice(in.get(), &part, 1, 0), static_cast<ssize_t>(page_size));
    const Result<Snapshot> moment = region_->snapshot();
    VERSO_ASSERT_OK(moment);
    write_page(region_->bytes(), 1, pinned, 6);
    Page piped;
    ASSERT_EQ(::read(out.get(), piped.data(), page_size), static_cast<ssize_t>(page_size));
    EXPECT_EQ(version_of(piped), 6U);  // the page itself lies in the pipe, as vmsplice has it
    EXPECT_EQ(in_snapshot(*moment), 0U);
}

TEST_F(H33_WritesWithoutAFault, ASecondMappingIsNotSeenByAnySnapshotAsDocumented) {
    Brought memory(::memfd_create("app", MFD_CLOEXEC), pages);
    Result<Region> region = memory.adopt();
    VERSO_ASSERT_OK(region);
    write_all(region->bytes(), 1, 0);
    const Result<Snapshot> moment = region->snapshot();
    VERSO_ASSERT_OK(moment);
    void* const second =
        ::mmap(nullptr, memory.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, memory.fd.get(), 0);
    ASSERT_NE(second, MAP_FAILED);
    write_page({static_cast<std::byte*>(second), memory.bytes}, 1, 3, 1);
    EXPECT_EQ(region->stats().write_faults, 0U);  // nobody was told
    EXPECT_EQ(tally(*moment->bytes(), 1, 0).first_wrong, 3U);
    (void)::munmap(second, memory.bytes);
}

}  // namespace
}  // namespace verso::test
