// Hazards of fault handling: protecting what is absent, being held up halfway, partial fills.
#include <atomic>

#include "hazards/hooked.h"

namespace verso::test {
namespace {

using kernel::Call;
using kernel::Op;

TEST(H03_ProtectionSkipsAbsentPages, EveryFirstWriteToANeverTouchedPageIsCaughtAndReported) {
    for (const Tracking tracking : {Tracking::contents, Tracking::pages}) {
        Result<Region> region = Region::create({.size = to_bytes(600), .tracking = tracking});
        VERSO_ASSERT_OK(region);
        const Result<Written> before = region->written(Mark{});
        VERSO_ASSERT_OK(before);
        std::optional<Snapshot> moment;
        if (tracking == Tracking::contents) {
            moment = std::move(*region->snapshot());
        }
        write_all(region->bytes(), 1, 1);
        const Result<Written> after = region->written(before->mark);
        VERSO_ASSERT_OK(after);
        EXPECT_EQ(after->pages, 600U);
        if (moment) {
            const auto bytes = moment->bytes();
            EXPECT_EQ(std::count(bytes->begin(), bytes->end(), std::byte{}),
                      static_cast<std::ptrdiff_t>(bytes->size()));
        }
    }
}

TEST(H03_ProtectionSkipsAbsentPages, WithoutTheFeatureAPagesRegionIsRefusedOrMissesNothing) {
    Hooked lacking(host::Mask{.no_wp_unpopulated = true});
    Result<Region> region = lacking.create(64, Tracking::pages);
    if (!region) {
        EXPECT_FALSE(region.error().message.empty());
        return;
    }
    const Result<Written> before = region->written(Mark{});
    write_all(region->bytes(), 1, 1);
    EXPECT_EQ(region->written(before->mark)->pages, 64U);
}

TEST(H07_CapturedBeforeItWasRead, AWriterThatMeetsAPausedCopierStillLeavesTheOldBytes) {
    VERSO_NEEDS_USERFAULTFD();
    Hooked hooked;
    Result<Region> region = hooked.create(16);
    VERSO_ASSERT_OK(region);
    write_all(region->bytes(), 1, 0);
    const Result<Snapshot> moment = region->snapshot();
    std::atomic<bool> written{false};
    {
        Gate at_the_copy(hooked.kernel, [](const Call& call) { return call.op == Op::uffd_copy; });
        std::thread writer([&] {
            write_page(region->bytes(), 1, 3, 1);
            written.store(true);
        });
        at_the_copy.wait_for_arrival();
        EXPECT_EQ(moment->report().pages_captured, 0U);
        EXPECT_FALSE(written.load());
        at_the_copy.open();
        writer.join();
    }
    EXPECT_TRUE(holds(*moment->bytes(), 1, 0));
}

TEST(H08_LockHeldAcrossTheCopy, WritersProceedWhileABackgroundCopyIsHeldUp) {
    VERSO_NEEDS_USERFAULTFD();
    Hooked hooked;
    Result<Region> region = hooked.create(2'048);
    VERSO_ASSERT_OK(region);
    write_all(region->bytes(), 1, 0);
    const Result<Snapshot> moment = region->snapshot();
    Gate at_the_copy(hooked.kernel, [](const Call& call) { return call.op == Op::uffd_copy; });
    std::thread copier([&] { VERSO_EXPECT_OK(moment->detach()); });
    at_the_copy.wait_for_arrival();
    for (u64 page = 512; page < 2'048; page += 100) {  // would hang if one lock covered all
        write_page(region->bytes(), 1, page, 1);
    }
    at_the_copy.open();
    copier.join();
    EXPECT_TRUE(holds(*moment->bytes(), 1, 0));
}

TEST(H29_FaultInServiceAtTheNextFreeze, ThePageBelongsToBothSnapshotsRightly) {
    VERSO_NEEDS_USERFAULTFD();
    Hooked hooked;
    Result<Region> region = hooked.create(16);
    VERSO_ASSERT_OK(region);
    write_all(region->bytes(), 1, 0);
    // Relaxed: an access of any other order ThreadSanitizer makes with a lock of its own held, and
    // whoever serves the fault may need it.
    constexpr auto relaxed = std::memory_order_relaxed;
    const std::atomic_ref<u64> word(*reinterpret_cast<u64*>(region->bytes().data() + to_bytes(3)));
    const u64 before = word.load(relaxed);
    const Result<Snapshot> first = region->snapshot();
    std::optional<Snapshot> second;
    {
        Gate at_release(hooked.kernel, [](const Call& call) {
            return call.op == Op::uffd_write_protect && call.aux == 0;
        });
        std::thread writer([&] { word.store(42, relaxed); });
        at_release.wait_for_arrival();  // captured, not yet released
        std::thread freezer([&] { second = std::move(*region->snapshot()); });
        at_release.open();
        writer.join();
        freezer.join();
    }
    word.store(43, relaxed);
    EXPECT_TRUE(holds(*first->bytes(), 1, 0));
    u64 held = 0;
    std::memcpy(&held, second->bytes()->data() + to_bytes(3), sizeof held);
    EXPECT_TRUE(held == before || held == 42) << held;
}

TEST(H31_PartialFills, EveryPartialCountIsContinuedFrom) {
    VERSO_NEEDS_USERFAULTFD();
    for (const Op op : {Op::uffd_continue, Op::uffd_copy}) {
        for (u64 done = 1; done <= 16; ++done) {
            Hooked hooked;
            Result<Region> source = hooked.create(64);
            VERSO_ASSERT_OK(source);
            write_all(source->bytes(), 1, 0);
            const Result<Snapshot> moment = source->snapshot();
            Result<Region> child = moment->fork();
            VERSO_ASSERT_OK(child);
            if (op == Op::uffd_copy) {
                write_all(source->bytes(), 1, 1);
            }
            hooked.kernel.fail(
                {.nth = 1,
                 .outcome = {kernel::Verdict::partial, EAGAIN, static_cast<i64>(to_bytes(done)), 0},
                 .only = op,
                 .times = 1'000});
            EXPECT_TRUE(holds(child->bytes(), 1, 0)) << done << " pages a call";
            hooked.kernel.stop_failing();
        }
    }
}

}  // namespace
}  // namespace verso::test
