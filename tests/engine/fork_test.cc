// Forks within one process: any depth, isolated, destroyed in any order.
#include <algorithm>
#include <optional>
#include <vector>

#include <gtest/gtest.h>

#include "support/backends.h"

namespace verso::test {
namespace {

constexpr u64 seed = 11;

bool holds(std::span<const std::byte> bytes, u64 version) {
    return tally(bytes, seed, version).right == to_pages(bytes.size());
}

class Fork : public OnEachBackend {};

TEST_P(Fork, OfAForkOfAForkReadsItsOwnMomentToDepthEight) {
    std::vector<Region> family;
    std::vector<Snapshot> moments;
    Result<Region> root = make(40);
    VERSO_ASSERT_OK(root);
    family.push_back(std::move(*root));
    for (u64 depth = 0; depth < 8; ++depth) {
        write_page(family[depth].bytes(), seed, depth, 1);
        Result<Snapshot> taken = family[depth].snapshot();
        VERSO_ASSERT_OK(taken);
        moments.push_back(std::move(*taken));
        Result<Region> child = moments.back().fork();
        VERSO_ASSERT_OK(child);
        family.push_back(std::move(*child));
        write_page(family[depth].bytes(), seed, depth, 2);  // after the fork: not for the child
    }
    const std::span<const std::byte> deepest = family.back().bytes();
    for (u64 page = 0; page < 8; ++page) {
        Page seen;
        ASSERT_TRUE(load_page(deepest.data() + to_bytes(page), seen));
        EXPECT_EQ(seen, page_of(seed, page, 1)) << "page " << page;
    }
    EXPECT_EQ(std::count(deepest.begin() + 8 * page_bytes, deepest.end(), std::byte{}),
              static_cast<std::ptrdiff_t>(32 * page_bytes));
}

TEST_P(Fork, ChildrenSeeNeitherEachOthersWritesNorTheSources) {
    Result<Region> source = make(100);
    VERSO_ASSERT_OK(source);
    write_all(source->bytes(), seed, 0);
    const Result<Snapshot> moment = source->snapshot();
    VERSO_ASSERT_OK(moment);
    Result<Region> a = moment->fork();
    Result<Region> b = moment->fork();
    Result<Region> quiet = moment->fork();
    VERSO_ASSERT_OK(a);
    VERSO_ASSERT_OK(b);
    VERSO_ASSERT_OK(quiet);
    write_all(a->bytes(), seed, 1);
    write_all(source->bytes(), seed, 2);
    write_all(b->bytes(), seed, 3);
    EXPECT_TRUE(holds(a->bytes(), 1));
    EXPECT_TRUE(holds(source->bytes(), 2));
    EXPECT_TRUE(holds(b->bytes(), 3));
    EXPECT_TRUE(holds(quiet->bytes(), 0));
    EXPECT_TRUE(holds(*moment->bytes(), 0));
}

TEST_P(Fork, EveryoneKeepsTheirBytesInEveryOrderOfDestruction) {
    std::vector<int> order{0, 1, 2, 3};  // source, snapshot, child, grandchild
    do {
        std::optional<Region> source = std::move(*make(33));
        write_all(source->bytes(), seed, 0);
        std::optional<Snapshot> moment = std::move(*source->snapshot());
        std::optional<Region> child = std::move(*moment->fork());
        write_all(source->bytes(), seed, 1);
        write_page(child->bytes(), seed, 5, 0);  // the same bytes, but the child's own page
        std::optional<Region> grandchild = std::move(*child->snapshot()->fork());
        for (const int next : order) {
            EXPECT_TRUE(!source || holds(source->bytes(), 1));
            EXPECT_TRUE(!moment || holds(*moment->bytes(), 0));
            EXPECT_TRUE(!child || holds(child->bytes(), 0));
            EXPECT_TRUE(!grandchild || holds(grandchild->bytes(), 0));
            switch (next) {
                case 0: source.reset(); break;
                case 1: moment.reset(); break;
                case 2: child.reset(); break;
                default: grandchild.reset(); break;
            }
        }
    } while (std::next_permutation(order.begin(), order.end()));
}

TEST_P(Fork, ASnapshotOutlivesItsRegionWithoutHavingBeenReadBefore) {
    std::optional<Region> source = std::move(*make(20));
    write_all(source->bytes(), seed, 0);
    const Result<Snapshot> moment = source->snapshot();
    VERSO_ASSERT_OK(moment);
    write_page(source->bytes(), seed, 3, 1);
    source.reset();
    EXPECT_TRUE(holds(*moment->bytes(), 0));
}

TEST_P(Fork, OddSizesAreTrackedToTheLastPage) {
    for (const u64 pages : {u64{1}, u64{513}, u64{4097}}) {
        Result<Region> source = make(pages);
        VERSO_ASSERT_OK(source);
        write_all(source->bytes(), seed, 0);
        const Result<Snapshot> moment = source->snapshot();
        VERSO_ASSERT_OK(moment);
        write_page(source->bytes(), seed, pages - 1, 1);
        const Result<Region> child = moment->fork();
        VERSO_ASSERT_OK(child);
        EXPECT_TRUE(holds(child->bytes(), 0)) << pages << " pages";
        VERSO_ASSERT_OK(source->rewind(*moment));
        EXPECT_TRUE(holds(source->bytes(), 0)) << pages << " pages";
    }
}

TEST_P(Fork, OneSnapshotTooManyIsRefusedAndTheNextReleaseMakesRoom) {
    Result<Region> source = make(1);
    VERSO_ASSERT_OK(source);
    std::vector<Snapshot> alive;
    for (unsigned i = 0; i < Limits::snapshots_max; ++i) {
        Result<Snapshot> taken = source->snapshot();
        VERSO_ASSERT_OK(taken);
        alive.push_back(std::move(*taken));
    }
    const Result<Snapshot> refused = source->snapshot();
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().kind, ErrorKind::resource);
    alive.erase(alive.begin() + 500);
    VERSO_EXPECT_OK(source->snapshot());
}

TEST_P(Fork, RewindOfAChildWorksThoughItsSourceTookPagesBackMeanwhile) {
    Result<Region> source = make(64);
    VERSO_ASSERT_OK(source);
    write_all(source->bytes(), seed, 0);
    const Result<Snapshot> moment = source->snapshot();
    Result<Region> child = moment->fork();
    VERSO_ASSERT_OK(child);
    const Result<Snapshot> of_child = child->snapshot();
    VERSO_ASSERT_OK(of_child);
    EXPECT_TRUE(holds(*of_child->bytes(), 0));  // stores the child's pages in its layer
    write_all(source->bytes(), seed, 1);
    VERSO_ASSERT_OK(child->rewind(*of_child));
    EXPECT_TRUE(holds(child->bytes(), 0));
}

TEST_P(Fork, DiscardInAChildGivesZeroesForPagesItNeverTouched) {
    Result<Region> source = make(64);
    VERSO_ASSERT_OK(source);
    write_all(source->bytes(), seed, 0);
    const Result<Snapshot> moment = source->snapshot();
    Result<Region> child = moment->fork();
    VERSO_ASSERT_OK(child);
    VERSO_ASSERT_OK(child->snapshot());  // released at once: from here its pages arrive protected
    VERSO_ASSERT_OK(child->discard({7, 3}));
    const auto bytes = child->bytes().subspan(to_bytes(7), to_bytes(3));
    EXPECT_EQ(std::count(bytes.begin(), bytes.end(), std::byte{}),
              static_cast<std::ptrdiff_t>(bytes.size()));
    EXPECT_TRUE(holds(source->bytes(), 0));
}

TEST_P(Fork, RefusesToRewindToAnotherRegionsPast) {
    Result<Region> a = make(4);
    Result<Region> b = make(4);
    const Result<Snapshot> of_a = a->snapshot();
    VERSO_ASSERT_OK(of_a);
    const auto rewound = b->rewind(*of_a);
    ASSERT_FALSE(rewound.has_value());
    EXPECT_EQ(rewound.error().kind, ErrorKind::invalid_argument);
}

INSTANTIATE_TEST_SUITE_P(Engine, Fork, each_backend, backend_name);

}  // namespace
}  // namespace verso::test
