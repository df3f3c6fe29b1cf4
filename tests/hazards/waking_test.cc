// H1: "the page is there already" says nothing about who was woken. One thread in some two million
// faults slept for ever in a rival, so these tests are a matter of numbers:
//
//   test_hazards --gtest_filter='H01*'                 200,000 faults of each kind, some seconds
//   VERSO_SOAK=1 test_hazards --gtest_filter='H01*'    ten million of each kind, half an hour
//
// What is counted are faults that the engine was told of, by its own counters, and not pages. A
// thread that is not woken hangs the test.
#include <atomic>
#include <cstdlib>

#include <sys/mman.h>

#include "hazards/hooked.h"

namespace verso::test {
namespace {

using kernel::Call;
using kernel::FillFlag;

u64 faults_wanted() { return std::getenv("VERSO_SOAK") != nullptr ? 10'000'000 : 200'000; }

/// Every page of the child goes and is read again by two threads, while a second resolver, which
/// wakes nobody, fills the very pages that they are about to read or already wait for.
void race_two_resolvers(const engine::Region& child, std::span<const std::byte> bytes) {
    const u64 pages = child.pages();
    ASSERT_EQ(::madvise(const_cast<std::byte*>(bytes.data()), bytes.size(), MADV_DONTNEED), 0);
    std::atomic<u64> wrong{0};
    std::array<std::atomic<u64>, 2> at{};
    std::vector<std::thread> readers;
    for (u64 id = 0; id < at.size(); ++id) {
        readers.emplace_back([&, id] {
            for (u64 page = 0; page < pages; ++page) {
                at[id].store(page);
                Page seen;
                wrong +=
                    load_page(bytes.data() + to_bytes(page), seen) && seen == page_of(1, page, 0)
                        ? 0
                        : 1;
            }
            at[id].store(pages);
        });
    }
    std::thread second_resolver([&] {
        for (u64 turn = 0; at[0].load() + at[1].load() < 2 * pages; ++turn) {
            const u64 page = at[turn % 2].load();
            if (page < pages) {
                (void)process_runtime().kernel().perform(Call::uffd_continue(
                    child.uffd(), child.base() + to_bytes(page), page_size, FillFlag::no_wake));
            }
        }
    });
    for (std::thread& reader : readers) {
        reader.join();
    }
    second_resolver.join();
    ASSERT_EQ(wrong.load(), 0U);
}

TEST(H01_ExistsIsNotWoken, EveryReaderFinishesWhenTwoResolversRaceOnEveryPage) {
    VERSO_NEEDS_USERFAULTFD();
    constexpr u64 pages = 1'021;
    Result<Region> source = Region::create({.size = to_bytes(pages)});
    VERSO_ASSERT_OK(source);
    write_all(source->bytes(), 1, 0);
    const Result<Snapshot> moment = source->snapshot();
    const Result<Region> child = moment->fork();
    VERSO_ASSERT_OK(child);
    // Once read, a page is no longer mapped ahead: from then on every page takes a fault.
    EXPECT_TRUE(holds(child->bytes(), 1, 0));
    while (source->stats().fill_faults < faults_wanted() && !testing::Test::HasFailure()) {
        race_two_resolvers(*child->impl().region, child->bytes());
    }
    RecordProperty("fill_faults", std::to_string(source->stats().fill_faults));
}

/// A word of 64 pages counts as dense from its fourth open page on, and is then released ahead of
/// its writers. Two pages of each keep every one of them a fault.
constexpr u64 word_pages = 64;
u64 scattered(u64 index, u64 round) {
    return index / 2 * word_pages + (index % 2 == 0 ? round % 31 : 32 + round % 29);
}

TEST(H01_ExistsIsNotWoken, EveryWriterFinishesWhenThreeMeetOnEveryPage) {
    VERSO_NEEDS_USERFAULTFD();
    constexpr u64 pages = 256 * word_pages;
    constexpr u64 writes = 2 * pages / word_pages;
    constexpr u64 writers = 3;
    Result<Region> region = Region::create({.size = to_bytes(pages)});
    VERSO_ASSERT_OK(region);
    const std::span<std::byte> bytes = region->bytes();
    const auto counter = [&](u64 page) {
        return std::atomic_ref<u64>(*reinterpret_cast<u64*>(bytes.data() + to_bytes(page)));
    };
    std::vector<u64> expected(pages, 0);
    u64 round = 0;
    for (; region->stats().write_faults < faults_wanted() && !testing::Test::HasFailure();
         ++round) {
        const Result<Snapshot> moment = region->snapshot();
        VERSO_ASSERT_OK(moment);
        std::vector<std::thread> threads;
        for (u64 id = 0; id < writers; ++id) {
            threads.emplace_back([&] {
                for (u64 i = 0; i < writes; ++i) {
                    // Relaxed: an access of any other order ThreadSanitizer makes with locks of its
                    // own held, and whoever serves the fault may need one of them.
                    counter(scattered(i, round)).fetch_add(1, std::memory_order_relaxed);
                }
            });
        }
        for (std::thread& thread : threads) {
            thread.join();
        }
        const Result<std::span<const std::byte>> frozen = moment->bytes();
        VERSO_ASSERT_OK(frozen);
        for (u64 i = round % 16; i < writes; i += 16) {  // one in sixteen: faults are the point
            const u64 page = scattered(i, round);
            u64 kept = 0;
            std::memcpy(&kept, frozen->data() + to_bytes(page), sizeof kept);
            ASSERT_EQ(kept, expected[page]) << "page " << page << " of round " << round;
        }
        for (u64 i = 0; i < writes; ++i) {
            expected[scattered(i, round)] += writers;
        }
    }
    for (u64 page = 0; page < pages; ++page) {
        ASSERT_EQ(counter(page).load(), expected[page]) << page;
    }
    EXPECT_EQ(region->damage(), "");
    RecordProperty("write_faults", std::to_string(region->stats().write_faults));
}

}  // namespace
}  // namespace verso::test
