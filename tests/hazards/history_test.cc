// Hazards of time: discards, swaps, rewinds, forks and freezes in unlucky orders.
#include <algorithm>
#include <atomic>
#include <fstream>

#include <sys/mman.h>
#include <unistd.h>

#include "hazards/hooked.h"
#include "support/peer.h"

namespace verso::test {
namespace {

TEST(H17_DiscardWhileASnapshotNeedsThePage, RegionDiscardKeepsTheOldBytes) {
    Result<Region> region = Region::create({.size = to_bytes(32)});
    VERSO_ASSERT_OK(region);
    write_all(region->bytes(), 1, 0);
    const Result<Snapshot> moment = region->snapshot();
    VERSO_ASSERT_OK(region->discard({0, 32}));
    EXPECT_TRUE(holds(*moment->bytes(), 1, 0));
    write_all(region->bytes(), 1, 2);
    const Result<Snapshot> next = region->snapshot();  // discarded pages are protected again
    write_all(region->bytes(), 1, 3);
    EXPECT_TRUE(holds(*next->bytes(), 1, 2));
}

TEST(H17_DiscardWhileASnapshotNeedsThePage, BehindTheEnginesBackItFailsLoudlyAndShowsNoZeroes) {
    VERSO_NEEDS_USERFAULTFD();
    Result<Region> region = Region::create({.size = to_bytes(32)});
    VERSO_ASSERT_OK(region);
    write_all(region->bytes(), 1, 0);
    const Result<Snapshot> moment = region->snapshot();
    ASSERT_EQ(::madvise(region->bytes().data() + to_bytes(4), to_bytes(2), MADV_REMOVE), 0);
    const auto bytes = moment->bytes();
    VERSO_ASSERT_OK(bytes);
    const Tally seen = tally(*bytes, 1, 0);
    EXPECT_EQ(seen.wrong, 0U);
    EXPECT_EQ(seen.lost, 2U);
    EXPECT_NE(region->damage(), "");
}

TEST(H20_TwoUnsynchronisedReads, AnExportedChildIsRightWhilePagesMigrate) {
    VERSO_NEEDS_USERFAULTFD();
    Result<Region> source = Region::create({.size = to_bytes(1'500)});
    VERSO_ASSERT_OK(source);
    write_all(source->bytes(), 1, 0);
    const Result<Snapshot> moment = source->snapshot();
    const Result<Region> child = moment->fork();
    write_all(child->bytes().first(to_bytes(700)), 1, 0);  // its own pages, same bytes
    std::atomic<bool> ending{false};
    std::thread migrator([&] {
        while (!ending.load()) {
            std::ofstream("/proc/sys/vm/compact_memory") << "1" << std::flush;
        }
    });
    Region& middle = const_cast<Region&>(*child);
    const Result<Snapshot> of_child = middle.snapshot();
    VERSO_ASSERT_OK(of_child);
    Peer peer;
    const auto [ours, theirs] = socket_pair();
    peer.tell({.verb = Verb::import, .seed = 1}, theirs.get());
    VERSO_EXPECT_OK(of_child->export_fork(ours.get()));
    EXPECT_TRUE(peer.hear().ok);
    EXPECT_EQ(peer.ask({.verb = Verb::check}).right, 1'500U);
    ending.store(true);
    migrator.join();
}

/// A swap file for the length of a test.
class SwapFile {
public:
    SwapFile() {
        const std::string make =
            "dd if=/dev/zero of=" + path_ + " bs=1M count=32 status=none && chmod 600 " + path_ +
            " && mkswap " + path_ + " >/dev/null 2>&1 && swapon " + path_ + " 2>/dev/null";
        on_ = std::system(make.c_str()) == 0;
    }
    ~SwapFile() {
        const std::string undo = "swapoff " + path_ + " 2>/dev/null; rm -f " + path_;
        (void)(std::system(undo.c_str()) == 0);
    }
    SwapFile(const SwapFile&) = delete;
    SwapFile& operator=(const SwapFile&) = delete;
    bool on() const { return on_; }

private:
    std::string path_ = std::string(VERSO_BINARY_DIR) + "/test.swap." + std::to_string(::getpid());
    bool on_ = false;
};

TEST(H21_SwappedOutWrites, AreReportedAndRewound) {
    const SwapFile swap;
    if (!swap.on()) {
        GTEST_SKIP() << "no swap file can be made here (root, mkswap, and a file system that "
                        "allows it)";
    }
    for (const Tracking tracking : {Tracking::contents, Tracking::pages}) {
        Result<Region> region = Region::create({.size = to_bytes(1'000), .tracking = tracking});
        VERSO_ASSERT_OK(region);
        write_all(region->bytes(), 1, 0);
        const Result<Written> before = region->written(Mark{});
        std::optional<Snapshot> moment;
        if (tracking == Tracking::contents) {
            moment = std::move(*region->snapshot());
        }
        write_all(region->bytes(), 1, 1);
        (void)::madvise(region->bytes().data(), region->size(), MADV_PAGEOUT);
        EXPECT_EQ(region->written(before->mark)->pages, 1'000U);
        if (moment) {
            VERSO_EXPECT_OK(region->rewind(*moment));
            EXPECT_TRUE(holds(region->bytes(), 1, 0));
        }
    }
}

TEST(H22_ScanStoppedAtAFullBuffer, TwelveThousandSeparateRunsAreAllNamed) {
    for (const Tracking tracking : {Tracking::contents, Tracking::pages}) {
        Result<Region> region = Region::create({.size = to_bytes(24'001), .tracking = tracking});
        VERSO_ASSERT_OK(region);
        const Result<Written> before = region->written(Mark{});
        VERSO_ASSERT_OK(before);
        for (u64 page = 0; page < 24'001; page += 2) {
            region->bytes()[to_bytes(page)] = std::byte{1};
        }
        const Result<Written> after = region->written(before->mark);
        VERSO_ASSERT_OK(after);
        std::vector<bool> named(24'001);
        for (const PageRange& range : after->ranges) {
            std::fill_n(named.begin() + static_cast<std::ptrdiff_t>(range.first), range.count,
                        true);
        }
        for (u64 page = 0; page < 24'001; page += 2) {
            ASSERT_TRUE(named[page]) << page;
        }
    }
}

TEST(H23_BitsOfTheNextSlot, OddSizesWithACleanLastPageAndADirtyFirstPageStayApart) {
    std::vector<Region> regions;
    std::vector<Mark> marks;
    for (const u64 pages : {u64{1}, u64{63}, u64{65}, u64{127}, u64{513}}) {
        Result<Region> region = Region::create({.size = to_bytes(pages)});
        VERSO_ASSERT_OK(region);
        marks.push_back(region->written(Mark{})->mark);
        regions.push_back(std::move(*region));
    }
    for (std::size_t i = 0; i < regions.size(); ++i) {
        regions[i].bytes()[0] = std::byte{1};
        EXPECT_EQ(regions[i].written(marks[i])->ranges, (std::vector<PageRange>{{0, 1}})) << i;
    }
}

TEST(H24_WrongBaseAfterARewind, ALaterSnapshotHoldsTheRewoundBytesAndTheNewOnly) {
    Result<Region> region = Region::create({.size = to_bytes(64)});
    VERSO_ASSERT_OK(region);
    write_all(region->bytes(), 1, 0);
    const Result<Snapshot> a = region->snapshot();
    write_all(region->bytes().first(to_bytes(40)), 1, 1);
    const Result<Snapshot> b = region->snapshot();
    VERSO_ASSERT_OK(region->rewind(*a));
    write_page(region->bytes(), 1, 5, 2);
    const Result<Snapshot> c = region->snapshot();
    write_all(region->bytes(), 1, 3);
    const Tally of_c = tally(*c->bytes(), 1, 0);
    EXPECT_EQ(of_c.right, 63U);
    EXPECT_EQ(of_c.first_wrong, 5U);
    EXPECT_EQ(tally(*b->bytes(), 1, 1).right, 40U);
    EXPECT_TRUE(holds(*a->bytes(), 1, 0));
}

TEST(H25_SecondSnapshotLostPages, NestedSnapshotsAreRewoundToInEveryOrder) {
    std::vector<std::size_t> order{0, 1, 2, 3};
    do {
        Result<Region> region = Region::create({.size = to_bytes(20)});
        VERSO_ASSERT_OK(region);
        std::vector<Snapshot> moments;
        std::vector<std::vector<std::byte>> truth;
        for (u64 level = 0; level < 4; ++level) {
            for (u64 page = level; page < 20; page += level + 1) {
                write_page(region->bytes(), 1, page, level);
            }
            truth.emplace_back(region->bytes().begin(), region->bytes().end());
            moments.push_back(std::move(*region->snapshot()));
        }
        for (const std::size_t level : order) {
            write_page(region->bytes(), 1, level, 99);
            VERSO_ASSERT_OK(region->rewind(moments[level]));
            ASSERT_EQ(first_difference(region->bytes(), truth[level]), 20U) << level;
        }
    } while (std::next_permutation(order.begin(), order.end()));
}

TEST(H26_HolesOfALazySource, AForkOfPagesThatTheSourceNeverTouchedReadsTheImagesBytes) {
    VERSO_NEEDS_USERFAULTFD();
    Result<Region> image = Region::create({.size = to_bytes(200)});
    VERSO_ASSERT_OK(image);
    write_all(image->bytes().first(to_bytes(150)), 1, 0);  // the rest was never touched by anybody
    const Result<Snapshot> moment = image->snapshot();
    Result<Region> lazy = moment->fork();
    const Result<Snapshot> of_lazy = lazy->snapshot();
    VERSO_ASSERT_OK(of_lazy);
    const Result<Region> child = of_lazy->fork();
    VERSO_ASSERT_OK(child);
    EXPECT_EQ(tally(child->bytes(), 1, 0).right, 150U);
    const auto rest = child->bytes().subspan(to_bytes(150));
    EXPECT_EQ(std::count(rest.begin(), rest.end(), std::byte{}),
              static_cast<std::ptrdiff_t>(rest.size()));
}

TEST(H27_ForksThatShareOldPages, EachSeesTheValueOfItsOwnMoment) {
    Result<Region> region = Region::create({.size = to_bytes(4)});
    VERSO_ASSERT_OK(region);
    write_all(region->bytes(), 1, 1);
    const Result<Snapshot> first = region->snapshot();
    const Result<Region> early = first->fork();
    write_all(region->bytes(), 1, 2);
    const Result<Snapshot> second = region->snapshot();
    const Result<Region> late = second->fork();
    write_all(region->bytes(), 1, 3);
    EXPECT_TRUE(holds(early->bytes(), 1, 1));
    EXPECT_TRUE(holds(late->bytes(), 1, 2));
    EXPECT_TRUE(holds(region->bytes(), 1, 3));
}

TEST(H28_LivePageReadWhileItsOldVersionIsSaved, ChildrenNeverReadTheSourcesNewBytes) {
    Result<Region> source = Region::create({.size = to_bytes(128)});
    VERSO_ASSERT_OK(source);
    for (u64 round = 0; round < 40; ++round) {
        write_all(source->bytes(), 1, 2 * round);
        const Result<Snapshot> moment = source->snapshot();
        const Result<Region> child = moment->fork();
        VERSO_ASSERT_OK(child);
        std::thread writer([&] { write_all(source->bytes(), 1, 2 * round + 1); });
        EXPECT_TRUE(holds(child->bytes(), 1, 2 * round)) << round;
        writer.join();
        ASSERT_TRUE(holds(child->bytes(), 1, 2 * round)) << round;
    }
}

TEST(H32_OneBusyClient, OthersFinishWhileOneChildFloodsTheSourceWithFaults) {
    VERSO_NEEDS_USERFAULTFD();
    Result<Region> source = Region::create({.size = to_bytes(1'000)});
    VERSO_ASSERT_OK(source);
    write_all(source->bytes(), 1, 0);
    std::atomic<bool> ending{false};
    std::thread flood([&] {
        while (!ending.load()) {
            const Result<Snapshot> moment = source->snapshot();
            const Result<Region> child = moment->fork();
            (void)holds(child->bytes(), 1, 0);
        }
    });
    const Result<Snapshot> moment = source->snapshot();
    Peer peer;
    for (int round = 0; round < 5; ++round) {
        const auto [ours, theirs] = socket_pair();
        peer.tell({.verb = Verb::import, .seed = 1}, theirs.get());
        VERSO_EXPECT_OK(moment->export_fork(ours.get()));
        const Answer imported = peer.hear();
        EXPECT_EQ(peer.ask({.verb = Verb::check, .region = static_cast<u32>(imported.value)}).right,
                  1'000U);
    }
    ending.store(true);
    flood.join();
}

}  // namespace
}  // namespace verso::test
