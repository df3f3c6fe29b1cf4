// Hazards of fault handling: waking, discarding, protecting what is absent, being held up halfway.
#include <atomic>
#include <cstdlib>

#include <sys/mman.h>

#include "hazards/hooked.h"

namespace verso::test {
namespace {

using kernel::Call;
using kernel::FillFlag;
using kernel::Op;

/// One round: every page of a fresh child is read by four threads while a second resolver, which
/// wakes nobody, fills the same pages. Returns the faults that the engine served.
u64 race_two_resolvers(Region& source, u64 pages) {
    const Result<Snapshot> moment = source.snapshot();
    const Result<Region> child = moment->fork();
    const engine::Region& inner = *child->impl().region;
    std::vector<std::thread> threads;
    threads.emplace_back([&] {
        for (u64 page = 0; page < pages; ++page) {
            (void)process_runtime().kernel().perform(Call::uffd_continue(
                inner.uffd(), inner.base() + to_bytes(page), page_size, FillFlag::no_wake));
        }
    });
    std::atomic<u64> wrong{0};
    for (u64 id = 0; id < 4; ++id) {
        threads.emplace_back([&, id] {
            for (u64 i = 0; i < pages; ++i) {
                const u64 page = (i * 37 + id * 211) % pages;
                Page seen;
                wrong += load_page(child->bytes().data() + to_bytes(page), seen) &&
                                 seen == page_of(1, page, 0)
                             ? 0
                             : 1;
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    EXPECT_EQ(wrong.load(), 0U);
    return pages;
}

TEST(H01_ExistsIsNotWoken, EveryReaderFinishesWhenTwoResolversRaceOnEveryPage) {
    VERSO_NEEDS_USERFAULTFD();
    constexpr u64 pages = 1'021;
    // VERSO_SOAK=1: ten million pages resolved in a race, some minutes.
    const u64 wanted = std::getenv("VERSO_SOAK") != nullptr ? 10'000'000 : 100'000;
    Result<Region> source = Region::create({.size = to_bytes(pages)});
    VERSO_ASSERT_OK(source);
    write_all(source->bytes(), 1, 0);
    for (u64 done = 0; done < wanted && !testing::Test::HasFailure();) {
        done += race_two_resolvers(*source, pages);
    }
}

TEST(H02_LayoutEventsMakeCallsFail, NobodyHangsWhileAThreadDiscardsAndOthersFault) {
    constexpr u64 pages = 700;
    Result<Region> region = Region::create({.size = to_bytes(pages)});
    VERSO_ASSERT_OK(region);
    std::atomic<bool> ending{false};
    std::vector<std::thread> writers;
    for (u64 id = 0; id < 2; ++id) {
        writers.emplace_back([&, id] {
            Random random(id);
            while (!ending.load()) {
                write_page(region->bytes(), 1, 350 * id + random.below(350), 1);
            }
        });
    }
    for (u64 round = 0; round < 60; ++round) {
        const Result<Snapshot> moment = region->snapshot();
        VERSO_ASSERT_OK(moment);
        VERSO_EXPECT_OK(region->discard({mix(round) % pages, 1}));
        (void)::madvise(region->bytes().data() + to_bytes(mix(round) % 600), to_bytes(3),
                        MADV_DONTNEED);
        if (!region->damage().empty()) {  // said aloud, which is all that can be done
            break;
        }
    }
    ending.store(true);
    for (std::thread& writer : writers) {
        writer.join();
    }
}

TEST(H02_LayoutEventsMakeCallsFail, ADiscardedPageReadsZeroesNeverOldBytes) {
    Result<Region> region = Region::create({.size = to_bytes(64)});
    VERSO_ASSERT_OK(region);
    for (u64 round = 0; round < 200; ++round) {
        write_page(region->bytes(), 1, round % 64, round);
        const Result<Snapshot> moment = region->snapshot();
        const Result<Region> child = moment->fork();
        VERSO_ASSERT_OK(child);
        Page seen;
        ASSERT_TRUE(load_page(child->bytes().data() + to_bytes(round % 64), seen));
        VERSO_ASSERT_OK(region->discard({round % 64, 1}));
        ASSERT_TRUE(load_page(region->bytes().data() + to_bytes(round % 64), seen));
        ASSERT_EQ(seen, Page{});
        ASSERT_TRUE(load_page(child->bytes().data() + to_bytes(round % 64), seen));
        ASSERT_EQ(seen, page_of(1, round % 64, round));
    }
}

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
        Gate at_the_copy(hooked.kernel, [](const Call& call) { return call.op == Op::file_write; });
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
    Gate at_the_copy(hooked.kernel, [](const Call& call) { return call.op == Op::file_write; });
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
    const std::atomic_ref<u64> word(*reinterpret_cast<u64*>(region->bytes().data() + to_bytes(3)));
    const u64 before = word.load();
    const Result<Snapshot> first = region->snapshot();
    std::optional<Snapshot> second;
    {
        Gate at_release(hooked.kernel, [](const Call& call) {
            return call.op == Op::uffd_write_protect && call.aux == 0;
        });
        std::thread writer([&] { word.store(42); });
        at_release.wait_for_arrival();  // captured, not yet released
        std::thread freezer([&] { second = std::move(*region->snapshot()); });
        at_release.open();
        writer.join();
        freezer.join();
    }
    word.store(43);
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
