// written(): a replica that copies only the named pages must equal the region in the end.
#include <atomic>
#include <thread>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

#include "support/backends.h"
#include "support/needs.h"

namespace verso::test {
namespace {

/// An incremental copy: what a backup would do with the answers.
class Replica {
public:
    explicit Replica(u64 pages) : bytes_(to_bytes(pages)) {}
    void catch_up(Region& region) {
        const Result<Written> answer = region.written(mark_);
        VERSO_ASSERT_OK(answer);
        for (const PageRange& range : answer->ranges) {
            std::memcpy(&bytes_[to_bytes(range.first)],
                        region.bytes().data() + to_bytes(range.first), to_bytes(range.count));
        }
        mark_ = answer->mark;
    }
    u64 first_difference_to(const Region& region) const {
        return first_difference(bytes_, region.bytes());
    }

private:
    std::vector<std::byte> bytes_;
    Mark mark_;
};

using Kind = std::tuple<Backend, Tracking>;
class WrittenPages : public testing::TestWithParam<Kind> {
protected:
    void SetUp() override {
        const kernel::Abilities& can = process_runtime().kernel().abilities();
        const auto [backend, tracking] = GetParam();
        if (backend == Backend::userfaultfd &&
            !(tracking == Tracking::pages ? can.wp_async && can.pagemap_scan
                                          : can.write_protect_shmem)) {
            GTEST_SKIP() << "this kernel lacks what the region needs. " << can.why_no_userfaultfd;
        }
    }
    static Result<Region> make(u64 pages) {
        return Region::create({.size = to_bytes(pages),
                               .tracking = std::get<1>(GetParam()),
                               .backend = std::get<0>(GetParam())});
    }
};

std::string kind_name(const testing::TestParamInfo<Kind>& kind) {
    return name_of(std::get<0>(kind.param)) +
           (std::get<1>(kind.param) == Tracking::pages ? "Pages" : "Contents");
}

TEST_P(WrittenPages, LoseNoWriteOfConcurrentWritersToAnyOfThreeIndependentAskers) {
    constexpr u64 pages = 400;
    Result<Region> region = make(pages);
    VERSO_ASSERT_OK(region);
    std::atomic<bool> ending{false};
    std::vector<std::thread> writers;
    for (u64 id = 0; id < 3; ++id) {
        writers.emplace_back([&, id] {
            Random random(id);
            for (u64 i = 1; !ending.load(); ++i) {  // each writer has a word of every page
                auto* const at = reinterpret_cast<u64*>(region->bytes().data() +
                                                        to_bytes(random.below(pages)) + id * 8);
                std::atomic_ref<u64>(*at).store(i, std::memory_order_relaxed);
            }
        });
    }
    std::vector<Replica> replicas(3, Replica(pages));
    for (unsigned round = 0; round < 60 && !HasFailure(); ++round) {
        for (unsigned i = 0; i < replicas.size(); ++i) {
            if (round % (i + 1) == 0) {
                replicas[i].catch_up(*region);
            }
        }
    }
    ending.store(true);
    for (std::thread& writer : writers) {
        writer.join();
    }
    for (Replica& replica : replicas) {
        replica.catch_up(*region);
        EXPECT_EQ(replica.first_difference_to(*region), pages);
    }
}

TEST_P(WrittenPages, NameNothingWhereNothingWasWritten) {
    Result<Region> region = make(50);
    VERSO_ASSERT_OK(region);
    const Result<Written> first = region->written(Mark{});
    VERSO_ASSERT_OK(first);
    EXPECT_EQ(first->pages, 50U);
    const Result<Written> second = region->written(first->mark);
    VERSO_ASSERT_OK(second);
    EXPECT_EQ(second->pages, 0U);
}

TEST_P(WrittenPages, NameWhatWasDiscardedToAnAskerWhoIsUpToDate) {
    constexpr u64 pages = 50;
    Result<Region> region = make(pages);
    VERSO_ASSERT_OK(region);
    write_all(region->bytes(), 1, 0);
    Replica often(pages);
    Replica seldom(pages);
    seldom.catch_up(*region);
    often.catch_up(*region);
    often.catch_up(*region);  // the last to have asked
    VERSO_ASSERT_OK(region->discard({5, 3}));
    often.catch_up(*region);
    EXPECT_EQ(often.first_difference_to(*region), pages);
    write_page(region->bytes(), 1, 20, 1);
    often.catch_up(*region);
    EXPECT_EQ(often.first_difference_to(*region), pages);
    seldom.catch_up(*region);
    EXPECT_EQ(seldom.first_difference_to(*region), pages);
}

TEST_P(WrittenPages, RefuseAMarkThatIsNotTheirs) {
    Result<Region> region = make(5);
    VERSO_ASSERT_OK(region);
    const Result<Written> answer = region->written(Mark{77});
    ASSERT_FALSE(answer.has_value());
    EXPECT_EQ(answer.error().kind, ErrorKind::invalid_argument);
}

INSTANTIATE_TEST_SUITE_P(Engine, WrittenPages,
                         testing::Values(Kind{Backend::userfaultfd, Tracking::contents},
                                         Kind{Backend::userfaultfd, Tracking::pages},
                                         Kind{Backend::mprotect_segv, Tracking::contents},
                                         Kind{Backend::mprotect_segv, Tracking::pages}),
                         kind_name);

TEST(Memory, EightChildrenThatReadEverythingOfAQuietSourceAddNoPagesOfAnyMemfd) {
    Result<Region> source =
        Region::create({.size = to_bytes(1'000), .backend = Backend::userfaultfd});
    VERSO_ASSERT_OK_OR_UNSUPPORTED(source);
    write_all(source->bytes(), 1, 0);
    const Result<Snapshot> moment = source->snapshot();
    std::vector<Region> children;
    for (int i = 0; i < 8; ++i) {
        children.push_back(std::move(*moment->fork()));
        EXPECT_EQ(tally(children.back().bytes(), 1, 0).right, 1'000U);
    }
    const Result<MemoryReport> of_source = source->memory();
    VERSO_ASSERT_OK(of_source);
    EXPECT_EQ(of_source->live_bytes, to_bytes(1'000));
    EXPECT_EQ(of_source->frozen_bytes, 0U);
    for (const Region& child : children) {
        const Result<MemoryReport> of_child = child.memory();
        VERSO_ASSERT_OK(of_child);
        EXPECT_EQ(of_child->private_bytes, 0U);
        EXPECT_EQ(of_child->shared_bytes, to_bytes(1'000));
        EXPECT_EQ(of_child->frozen_bytes, 0U);
    }
}

}  // namespace
}  // namespace verso::test
