// The sweeper: chunks that are worth it are captured and released by a second thread, and the
// snapshot keeps the old bytes of what nobody had asked for. That it may save time is for `bench`
// to say.
#include <gtest/gtest.h>

#include "engine/sweeper.h"
#include "hazards/hooked.h"
#include "support/contents.h"

namespace verso::test {
namespace {

constexpr u64 chunk = 512;
constexpr unsigned polls_max = 20'000;  // a millisecond each: only a hang takes that long

bool holds(std::span<const std::byte> bytes, u64 seed, u64 version) {
    return tally(bytes, seed, version).right == to_pages(bytes.size());
}

template <class Reached>
bool comes_true(Reached reached) {
    for (unsigned i = 0; i < polls_max; ++i) {
        if (reached()) {
            return true;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return false;
}

class Sweep : public testing::Test {
protected:
    static constexpr u64 pages = 12 * chunk;
    void SetUp() override {
        VERSO_NEEDS_USERFAULTFD();
        region_ = Region::create({.size = to_bytes(pages), .name = "swept"});
        VERSO_ASSERT_OK(region_);
        write_all(region_->bytes(), 1, 0);
        moment_ = region_->snapshot();
        VERSO_ASSERT_OK(moment_);
    }
    Result<Region> region_ = fail(ErrorKind::unsupported, 0, "not made yet");
    Result<Snapshot> moment_ = fail(ErrorKind::unsupported, 0, "not made yet");
};

TEST_F(Sweep, AChunkThatIsWrittenHereAndThereIsCapturedAsAWhole) {
    for (u64 i = 0; i < 16; ++i) {  // 32 apart: one in each half of a word, so that none is dense
        write_page(region_->bytes(), 1, 32 * i, 1);
    }
    EXPECT_TRUE(comes_true([&] { return moment_->report().pages_captured >= chunk; }))
        << moment_->report().pages_captured;
    EXPECT_TRUE(holds(*moment_->bytes(), 1, 0));
}

TEST_F(Sweep, AFewWritesInEachChunkStayAFewPages) {
    u64 written = 0;
    for (u64 first = 0; first < pages; first += chunk) {
        for (u64 i = 0; i < 8; ++i, ++written) {
            write_page(region_->bytes(), 1, first + 64 * i, 1);
        }
    }
    EXPECT_EQ(moment_->report().pages_captured, written);
    EXPECT_TRUE(holds(*moment_->bytes(), 1, 0));
}

TEST_F(Sweep, AWriterInOrderIsOvertakenAndTheOldBytesAreKept) {
    for (u64 page = 0; page < pages; ++page) {
        write_page(region_->bytes(), 1, page, 1);
    }
    EXPECT_LT(region_->stats().write_faults, pages / 16);
    EXPECT_TRUE(holds(*moment_->bytes(), 1, 0));
    EXPECT_TRUE(holds(region_->bytes(), 1, 1));
}

TEST_F(Sweep, ASnapshotTakenMeanwhileMeansItsOwnMoment) {
    std::vector<Snapshot> moments;
    for (u64 version = 1; version <= 6; ++version) {
        for (u64 page = 0; page < pages; ++page) {
            write_page(region_->bytes(), 1, page, version);
            if (page == 5 * chunk) {
                write_page(region_->bytes(), 1, page, version);
            }
        }
        Result<Snapshot> moment = region_->snapshot();
        VERSO_ASSERT_OK(moment);
        moments.push_back(std::move(*moment));
    }
    EXPECT_TRUE(holds(*moment_->bytes(), 1, 0));
    for (u64 version = 1; version <= 6; ++version) {
        EXPECT_TRUE(holds(*moments[version - 1].bytes(), 1, version)) << version;
    }
}

/// Where nothing must happen: a moment's rest in which the sweeper would have gone on.
void let_it_sweep() { std::this_thread::sleep_for(std::chrono::milliseconds(60)); }

TEST_F(Sweep, PagesThatAChildHasMappedAreNotWrittenForTheirNeighbours) {
    const Result<Region> child = moment_->fork();
    VERSO_ASSERT_OK(child);
    ASSERT_TRUE(holds(child->bytes().first(to_bytes(pages - 8)), 1, 0));  // maps all but a tail
    for (u64 i = 0; i < 16; ++i) {
        write_page(region_->bytes(), 1, 32 * i, 1);
    }
    let_it_sweep();
    EXPECT_EQ(moment_->report().pages_captured, 16U);
    EXPECT_TRUE(holds(child->bytes(), 1, 0));
}

TEST(SweepBesideASnapshot, TakesNoFaultOfItsOwnForAWriterInOrder) {
    VERSO_NEEDS_USERFAULTFD();
    Hooked hooked;
    Result<Region> region = hooked.create(12 * chunk);
    VERSO_ASSERT_OK(region);
    write_all(region->bytes(), 1, 0);
    const Result<Snapshot> first = region->snapshot();
    VERSO_ASSERT_OK(first);
    Result<Snapshot> second = fail(ErrorKind::unsupported, 0, "not taken yet");
    std::atomic<bool> taken{false};
    hooked.kernel.set_hook([&](const kernel::Call& call) {
        const bool sweeping = call.op == kernel::Op::advise &&
                              call.aux == static_cast<u64>(kernel::Advice::make_writable);
        if (sweeping && !taken.load()) {
            second = region->snapshot();
            taken.store(true);
        }
    });
    for (u64 i = 0; i < 16; ++i) {
        write_page(region->bytes(), 1, 32 * i, 1);
    }
    ASSERT_TRUE(comes_true([&] { return taken.load(); }));
    let_it_sweep();
    VERSO_ASSERT_OK(second);
    EXPECT_GT(second->report().pages_captured, 0U) << "the sweeper met no protected page";
    // One word of the sweeper's, and the store that made the chunk hot, if it comes after the cut.
    EXPECT_LE(second->report().pages_captured, 64U + 1U);
    hooked.kernel.set_hook(nullptr);
}

TEST_F(Sweep, ARegionEndsWhileItsSweeperIsBusy) {
    for (u64 page = 0; page < 4 * chunk; ++page) {
        write_page(region_->bytes(), 1, page, 1);
    }
    moment_ = fail(ErrorKind::unsupported, 0, "released");
    region_ = fail(ErrorKind::unsupported, 0, "released");
}

TEST(SweeperThread, TakesTheLatestChunkFirst) {
    std::vector<u64> order;
    std::atomic<unsigned> done{0};
    kernel::FailingKernel kernel(host::linux_kernel());
    const std::unique_ptr<kernel::Mutex> gate = kernel.make_mutex();
    gate->lock();
    engine::Sweeper sweeper(kernel, [&](u64 at) {
        gate->lock();
        gate->unlock();
        order.push_back(at);
        done.fetch_add(1);
        return false;
    });
    sweeper.add(0);  // perhaps taken at once, perhaps not
    sweeper.add(1);
    sweeper.add(2);
    gate->unlock();
    ASSERT_TRUE(comes_true([&] { return done.load() == 3; }));
    sweeper.stop();
    EXPECT_LT(std::ranges::find(order, 2U) - order.begin(),
              std::ranges::find(order, 1U) - order.begin());
}

TEST(SweeperThread, ThatCannotBeHadIsNotAskedForAgain) {
    kernel::FailingKernel kernel(host::linux_kernel());
    kernel.fail_spawn(1);
    engine::Sweeper sweeper(kernel, [](u64) { return false; });
    sweeper.add(0);
    EXPECT_EQ(kernel.delivered(), 1U);
    sweeper.add(1);
    EXPECT_EQ(kernel.delivered(), 1U);
}

}  // namespace
}  // namespace verso::test
