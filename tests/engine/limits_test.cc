// The named limits (verso::Limits): what is within one works, what exceeds it is refused with a
// sentence that names it. How many snapshots a region may have: fork_test.cc.
#include <chrono>
#include <thread>

#include <fmt/core.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "hazards/hooked.h"

namespace verso::test {
namespace {

TEST(LimitOfSize, NothingAndTooMuchAreRefused) {
    for (const Backend backend : {Backend::automatic, Backend::mprotect_segv}) {
        const Result<Region> none = Region::create({.size = 0, .backend = backend});
        ASSERT_FALSE(none.has_value());
        EXPECT_EQ(none.error().kind, ErrorKind::invalid_argument);
        const Result<Region> much =
            Region::create({.size = Limits::region_bytes_max + 1, .backend = backend});
        ASSERT_FALSE(much.has_value());
        EXPECT_EQ(much.error().kind, ErrorKind::invalid_argument);
        EXPECT_NE(much.error().message.find(std::to_string(Limits::region_bytes_max)),
                  std::string::npos)
            << much.error().message;
    }
}

TEST(LimitOfRegions, OneTooManyIsRefusedAndTheNextReleaseMakesRoom) {
    Hooked hooked;
    std::vector<engine::Runtime::Seat> seats;
    for (unsigned i = 1; i < Limits::regions_max; ++i) {
        Result<engine::Runtime::Seat> seat = hooked.runtime.seat();
        VERSO_ASSERT_OK(seat);
        seats.push_back(std::move(*seat));
    }
    const Result<Region> last = hooked.create(1);
    VERSO_ASSERT_OK(last);
    const Result<Region> one_too_many = hooked.create(1);
    ASSERT_FALSE(one_too_many.has_value());
    EXPECT_EQ(one_too_many.error().kind, ErrorKind::resource);
    EXPECT_NE(one_too_many.error().message.find(std::to_string(Limits::regions_max)),
              std::string::npos)
        << one_too_many.error().message;
    seats.pop_back();
    VERSO_EXPECT_OK(hooked.create(1));
}

/// A fork of `source` by way of a socket, as into another process.
Result<Region> handed_over(const Snapshot& snapshot) {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    Fd ours(ends[0]);
    const Fd theirs(ends[1]);
    Result<void> exported;
    std::thread exporter([&] {
        exported = snapshot.export_fork(ours.get());
        ours.reset();  // so that a refusal is heard
    });
    Result<Region> child = Region::import(theirs.get());
    exporter.join();
    if (!exported) {
        return tl::unexpected<Error>(exported.error());
    }
    return child;
}

TEST(LimitOfDepth, TheDeepestForkReadsItsMomentAndOneDeeperIsRefused) {
    VERSO_NEEDS_USERFAULTFD();
    ::rlimit descriptors{};  // each of them keeps a few of each of its ancestors
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &descriptors), 0);
    if (descriptors.rlim_cur < 15'000) {
        GTEST_SKIP() << "sixty forks in one process take 15,000 descriptors; there may be "
                     << descriptors.rlim_cur;
    }
    constexpr u64 pages = 70;  // one for each level to write
    std::vector<Region> regions;
    std::vector<Snapshot> moments;
    Result<Region> root = Region::create({.size = to_bytes(pages)});
    VERSO_ASSERT_OK(root);
    write_all(root->bytes(), 1, 0);
    regions.push_back(std::move(*root));
    unsigned depth = 0;
    for (;; ++depth) {
        write_page(regions.back().bytes(), 1, depth, 1);
        Result<Snapshot> moment = regions.back().snapshot();
        VERSO_ASSERT_OK(moment);
        write_all(regions.back().bytes(), 1, 2 + depth);
        moments.push_back(std::move(*moment));
        Result<Region> child = handed_over(moments.back());
        if (!child) {
            EXPECT_EQ(child.error().kind, ErrorKind::resource);
            EXPECT_NE(child.error().message.find(std::to_string(Limits::depth_max)),
                      std::string::npos)
                << child.error().message;
            break;
        }
        regions.push_back(std::move(*child));
        ASSERT_LT(depth, 2 * Limits::depth_max) << "nothing was refused";
    }
    EXPECT_EQ(depth, Limits::depth_max);
    const Result<std::span<const std::byte>> deepest = moments.back().bytes();
    VERSO_ASSERT_OK(deepest);
    for (u64 page = 0; page < pages; ++page) {
        Page seen;
        ASSERT_TRUE(load_page(deepest->data() + to_bytes(page), seen)) << page;
        EXPECT_EQ(seen, page_of(1, page, page <= depth ? 1 : 0)) << page;
    }
    while (!regions.empty()) {  // the sources first: whoever is left keeps what it needs
        regions.erase(regions.begin());
    }
    moments.clear();
    for (unsigned waits = 0; process_runtime().services() > 0 && waits < 10'000; ++waits) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));  // their servers are joined
    }
    EXPECT_EQ(process_runtime().services(), 0U);
}

}  // namespace
}  // namespace verso::test
